"""The loop that one writes by hand: set values in place, run, put them back."""

import shutil
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

import faults
from case import Case, Contestant, Measurement, measurement
from contestants import pytorch
from faults import Fault
from workloads import Workload

# Where in a tensor, and what it reads there.
Damage = tuple[tuple[Tensor, ...], Tensor]


class InPlace(Contestant):
    """Eager PyTorch in inference mode, with the fastest batch size and memory format."""

    name = "PyTorch, in place"

    def takes(self, workload: Workload) -> bool:
        return True

    def prepare(self, case: Case, threads: int) -> Callable[[], Measurement]:
        settings = pytorch.fastest_settings(case, threads)
        model = pytorch.load(case, settings)
        return _runner(case, model, model, pytorch.batched(case.images, settings))


class InPlaceCompiled(Contestant):
    """The same with `torch.compile`, which fuses batch norm and ReLU. Compiled before the clock starts."""

    name = "PyTorch, in place, compiled"

    def takes(self, workload: Workload) -> bool:
        # Compiled code breaks off at hooks on layers. Without a C++ compiler there is none.
        return not workload.transient and shutil.which("g++") is not None

    def prepare(self, case: Case, threads: int) -> Callable[[], Measurement]:
        settings = pytorch.fastest_settings(case, threads)
        model = pytorch.load(case, settings)
        batches = pytorch.batched(case.images, settings)
        torch.compiler.reset()
        compiled = torch.compile(model)
        pytorch.timed(lambda: pytorch.tops(compiled, batches[:1]))
        return _runner(case, model, compiled, batches)


def _runner(case: Case, model: nn.Module, forward: pytorch.Forward, batches: list[Tensor]) -> Callable[[], Measurement]:
    """What runs a workload through `forward`, which computes with the parameters of `model`."""
    if case.workload.golden:
        return lambda: measurement(case, *pytorch.golden(forward, batches))
    trials = _neurons(case, model, batches) if case.workload.transient else _weights(case, model, forward, batches)
    return lambda: measurement(case, *pytorch.timed(trials))


def _weights(case: Case, model: nn.Module, forward: pytorch.Forward, batches: list[Tensor]) -> Callable[[], np.ndarray]:
    def damage(layer: str, struck: list[Fault]) -> tuple[Tensor, Damage]:
        weight = model.get_submodule(layer).weight
        places = torch.unravel_index(torch.tensor([fault.index for fault in struck]), weight.shape)
        return weight, (places, faults.struck(weight[places], struck))

    drawn = [[damage(*layer) for layer in faults.by_layer(trial).items()] for trial in case.trials]

    def trial(damages: list[tuple[Tensor, Damage]]) -> np.ndarray:
        kept = [weight[places] for weight, (places, _) in damages]
        for weight, (places, values) in damages:
            weight[places] = values
        result = pytorch.tops(forward, batches)
        for (weight, (places, _)), values in zip(damages, kept, strict=True):
            weight[places] = values
        return result

    return lambda: np.stack([trial(damages) for damages in drawn])


def _neurons(case: Case, model: nn.Module, batches: list[Tensor]) -> Callable[[], np.ndarray]:
    batch = len(batches[0])
    shapes = pytorch.output_shapes(model, batches[0])
    current: dict[str, Damage] = {}

    def strike(name: str) -> Callable[..., None]:
        def hook(layer: nn.Module, inputs: tuple, output: Tensor) -> None:
            if name in current:
                places, values = current[name]
                output[places] = values

        return hook

    for name, layer in pytorch.layers(model).items():
        layer.register_forward_hook(strike(name))

    def damage(layer: str, struck: list[Fault]) -> Damage:
        rows = torch.tensor([fault.image % batch for fault in struck])
        places = torch.unravel_index(torch.tensor([fault.index for fault in struck]), shapes[layer])
        return (rows, *places), torch.tensor([fault.value for fault in struck])

    def damages(part: list[Fault]) -> dict[str, Damage]:
        return {layer: damage(layer, struck) for layer, struck in faults.by_layer(part).items()}

    drawn = [[damages(part) for part in faults.by_batch(trial, batch, len(case.images))] for trial in case.trials]

    def run(images: Tensor, part: dict[str, Damage]) -> Tensor:
        current.clear()
        current.update(part)
        return pytorch.top(model(images))

    def trial(parts: list[dict[str, Damage]]) -> np.ndarray:
        return torch.cat([run(images, part) for images, part in zip(batches, parts, strict=True)]).numpy()

    return lambda: np.stack([trial(parts) for parts in drawn])
