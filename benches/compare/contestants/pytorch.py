"""What the contestants built on PyTorch have in common: its fastest settings, and inference."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from case import Case
from contestants.temper import GOLDEN_PASSES

Forward = Callable[[Tensor], Tensor]

LAYERS = (nn.Conv2d, nn.Linear)


@dataclass(frozen=True)
class Settings:
    """How inference runs."""

    batch: int
    memory_format: torch.memory_format


_fastest: dict[tuple, Settings] = {}


def fastest_settings(case: Case, threads: int, channels_last: bool = True) -> Settings:
    """The batch size, and with `channels_last` the memory format, with which golden inference is fastest."""
    key = (case.workload.network, len(case.images), threads, channels_last)
    if key not in _fastest:
        formats = [torch.contiguous_format, torch.channels_last] if channels_last else [torch.contiguous_format]
        sizes = [size for size in (25, 50, 100, 250, 500, 1000) if len(case.images) % size == 0]
        choices = [Settings(size, memory_format) for memory_format in formats for size in sizes]
        _fastest[key] = min(choices, key=lambda settings: _seconds_per_image(case, settings))
    return _fastest[key]


def _seconds_per_image(case: Case, settings: Settings) -> float:
    """On some of the images: at least 500 and one batch, if there are so many."""
    model = load(case, settings)
    few = case.images[: max(settings.batch, 500)]
    batches = batched(few, settings)
    return min(timed(lambda: tops(model, batches))[0] for _ in range(3)) / len(few)


def load(case: Case, settings: Settings) -> nn.Module:
    """The model with its weights, in the memory format."""
    return case.model().to(memory_format=settings.memory_format)


def batched(images: Tensor, settings: Settings) -> list[Tensor]:
    """The images in batches."""
    return [batch.contiguous(memory_format=settings.memory_format) for batch in images.split(settings.batch)]


def layers(model: nn.Module) -> dict[str, nn.Module]:
    """Convolutions and linear layers, in the order in which they run."""
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, LAYERS)}


def output_shapes(model: nn.Module, images: Tensor) -> dict[str, torch.Size]:
    """The shape of each layer's output, without the batch."""
    shapes: dict[str, torch.Size] = {}

    def note(name: str) -> Callable[..., None]:
        return lambda layer, inputs, output: shapes.update({name: output.shape[1:]})

    handles = [layer.register_forward_hook(note(name)) for name, layer in layers(model).items()]
    model(images)
    for handle in handles:
        handle.remove()
    return shapes


def tops(forward: Forward, batches: list[Tensor]) -> np.ndarray:
    """The top class of every image; -1 for an output with a NaN."""
    return torch.cat([top(forward(batch)) for batch in batches]).numpy()


def top(logits: Tensor) -> Tensor:
    """The top class of every row; -1 for a row with a NaN."""
    return torch.where(logits.isnan().any(1), -1, logits.argmax(1))


@torch.inference_mode()
def timed(work: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """How long it took, and what came out."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def golden(forward: Forward, batches: list[Tensor]) -> tuple[float, np.ndarray]:
    """The fastest of some passes, and the top classes `[1, images]`."""
    passes = [timed(lambda: tops(forward, batches)) for _ in range(GOLDEN_PASSES)]
    return min(seconds for seconds, _ in passes), passes[0][1][None]
