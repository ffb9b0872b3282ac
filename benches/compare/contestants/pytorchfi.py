"""PyTorchFI 0.6.0, by its documented interface: `declare_weight_fi` for a trial, `declare_neuron_fi` for a batch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from pytorchfi.core import fault_injection
from torch import Tensor, nn

import faults
from case import Case, Contestant, Measurement, measurement
from contestants import pytorch
from faults import Fault
from workloads import Workload


class PyTorchFi(Contestant):
    """With the batch size and memory format of the hand-written loop, and in inference mode like it."""

    name = "PyTorchFI"

    def takes(self, workload: Workload) -> bool:
        return not workload.golden

    def prepare(self, case: Case, threads: int) -> Callable[[], Measurement]:
        settings = pytorch.fastest_settings(case, threads)
        model = pytorch.load(case, settings)
        batches = pytorch.batched(case.images, settings)
        shape, types = list(case.images.shape[1:]), list(pytorch.LAYERS)
        injector = fault_injection(model, settings.batch, input_shape=shape, layer_types=types, use_cuda=False)
        trials = _neurons(case, injector, batches) if case.workload.transient else _weights(case, injector, batches)
        return lambda: measurement(case, *pytorch.timed(trials))


def _coordinates(indices: list[int], shape: tuple[int, ...]) -> list[list[int | None]]:
    """The indices in each dimension; `None` in those that a linear layer does not have, as PyTorchFI wants it."""
    found: list[list[int | None]] = [column.tolist() for column in np.unravel_index(indices, shape)]
    return found + [[None] * len(indices)] * (4 - len(found))


def _weights(case: Case, injector: fault_injection, batches: list[Tensor]) -> Callable[[], np.ndarray]:
    layers = pytorch.layers(injector.get_original_model())
    numbers = {name: number for number, name in enumerate(layers)}

    def arguments(trial: list[Fault]) -> dict[str, Any]:
        declared: dict[str, Any] = {"layer_num": [], "k": [], "dim1": [], "dim2": [], "dim3": [], "value": []}
        for layer, struck in faults.by_layer(trial).items():
            weight = layers[layer].weight
            indices = [fault.index for fault in struck]
            values = weight[torch.unravel_index(torch.tensor(indices), weight.shape)]
            declared["layer_num"] += [numbers[layer]] * len(struck)
            for key, column in zip(("k", "dim1", "dim2", "dim3"), _coordinates(indices, weight.shape), strict=True):
                declared[key] += column
            declared["value"] += faults.struck(values, struck).tolist()
        return declared

    def trial(declared: dict[str, Any]) -> np.ndarray:
        return pytorch.tops(injector.declare_weight_fi(**declared), batches)

    drawn = [arguments(trial) for trial in case.trials]
    return lambda: np.stack([trial(declared) for declared in drawn])


def _neurons(case: Case, injector: fault_injection, batches: list[Tensor]) -> Callable[[], np.ndarray]:
    batch = len(batches[0])
    numbers = {name: number for number, name in enumerate(pytorch.layers(injector.get_original_model()))}

    def arguments(part: list[Fault]) -> dict[str, Any]:
        layers = [numbers[fault.layer] for fault in part]
        # The shape of an output as PyTorchFI keeps it has a batch of one before it.
        pairs = zip(part, layers, strict=True)
        places = [_coordinates([fault.index], injector.get_layer_shape(layer)) for fault, layer in pairs]
        dimensions = {f"dim{number}": [place[number][0] for place in places] for number in (1, 2, 3)}
        rows, values = [fault.image % batch for fault in part], [fault.value for fault in part]
        return {"batch": rows, "layer_num": layers, "value": values, **dimensions}

    def run(images: Tensor, declared: dict[str, Any]) -> Tensor:
        model: nn.Module = injector.declare_neuron_fi(**declared)
        return pytorch.top(model(images))

    def trial(parts: list[dict[str, Any]]) -> np.ndarray:
        return torch.cat([run(images, part) for images, part in zip(batches, parts, strict=True)]).numpy()

    drawn = [[arguments(part) for part in faults.by_batch(trial, batch, len(case.images))] for trial in case.trials]
    return lambda: np.stack([trial(parts) for parts in drawn])
