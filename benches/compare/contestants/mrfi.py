"""MRFI 2.1.0, by its documented interface: a tree of settings, whose positions and values change from run to run."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mrfi import MRFI, EasyConfig
from torch import Tensor

import faults
from case import Case, Contestant, Measurement, measurement
from contestants import pytorch
from faults import Fault
from workloads import Workload

# Positions and operands for each layer.
Declared = dict[str, tuple[list[int], list[Any]]]


class Mrfi(Contestant):
    """With its fastest batch size, in inference mode. Its `view(-1)` of tensors rules channels-last out."""

    name = "MRFI"

    def takes(self, workload: Workload) -> bool:
        return not workload.golden

    def prepare(self, case: Case, threads: int) -> Callable[[], Measurement]:
        settings = pytorch.fastest_settings(case, threads, channels_last=False)
        batches = pytorch.batched(case.images, settings)
        injector = _Injector(case, settings)
        trials = _neurons(case, injector, batches) if case.workload.transient else _weights(case, injector, batches)
        return lambda: measurement(case, *pytorch.timed(trials))


class _Injector:
    """A model, and what of its settings changes."""

    def __init__(self, case: Case, settings: pytorch.Settings) -> None:
        flips = case.trials[0][0].bit is not None
        # The error mode that does what the faults do, and its argument with one entry a fault.
        mode, self.operand = ("FloatFixedBitFlip", "bit") if flips else ("SetValue", "value")
        place = {"type": "activation_out"} if case.workload.transient else {"type": "weight", "name": ["weight"]}
        actions = {
            "selector": {"method": "FixPositions", "positions": []},
            "error_mode": {"method": mode, self.operand: []},
            "module_type": ["Conv2d", "Linear"],
        }
        self.model = MRFI(pytorch.load(case, settings), EasyConfig({"faultinject": [place | actions]}))
        kind = "activation_out" if case.workload.transient else "weights"
        self.settings = {name: layer.FI_config[kind][0] for name, layer in pytorch.layers(self.model).items()}

    def declare(self, struck: list[Fault], position: Callable[[Fault], int]) -> Declared:
        """What is struck in every layer. Layers without a fault stay in: so they get their weights back."""
        layers = faults.by_layer(struck)

        def declared(at: list[Fault]) -> tuple[list[int], list[Any]]:
            return [position(fault) for fault in at], [getattr(fault, self.operand) for fault in at]

        return {name: declared(layers.get(name, [])) for name in self.settings}

    def apply(self, declared: Declared) -> None:
        """From now on these faults strike."""
        for name, (positions, operands) in declared.items():
            self.settings[name].selector.args.positions = positions
            setattr(self.settings[name].error_mode.args, self.operand, operands)


def _weights(case: Case, injector: _Injector, batches: list[Tensor]) -> Callable[[], np.ndarray]:
    def trial(declared: Declared) -> np.ndarray:
        injector.apply(declared)
        return pytorch.tops(injector.model, batches)

    drawn = [injector.declare(trial, lambda fault: fault.index) for trial in case.trials]
    return lambda: np.stack([trial(declared) for declared in drawn])


def _neurons(case: Case, injector: _Injector, batches: list[Tensor]) -> Callable[[], np.ndarray]:
    batch = len(batches[0])
    shapes = pytorch.output_shapes(injector.model, batches[0])

    def position(fault: Fault) -> int:
        return fault.image % batch * shapes[fault.layer].numel() + fault.index

    def run(images: Tensor, declared: Declared) -> Tensor:
        injector.apply(declared)
        return pytorch.top(injector.model(images))

    def trial(parts: list[Declared]) -> np.ndarray:
        return torch.cat([run(images, part) for images, part in zip(batches, parts, strict=True)]).numpy()

    parts = [faults.by_batch(trial, batch, len(case.images)) for trial in case.trials]
    drawn = [[injector.declare(part, position) for part in trial] for trial in parts]
    return lambda: np.stack([trial(parts) for parts in drawn])
