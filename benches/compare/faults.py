"""The fault lists that `temper campaign export --faults` writes."""

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor


@dataclass(frozen=True)
class Fault:
    """A weight, or an output of a layer for one image, that is set to a value or has a bit flipped."""

    layer: str
    index: int
    """Row-major within the weight tensor, or within the layer's output for the image."""
    bit: int | None
    value: float | None
    image: int | None
    """The only image that is struck; `None` for a weight."""

    @property
    def mask(self) -> int:
        """The flipped bit as a 32-bit two's complement integer."""
        assert self.bit is not None
        return -(1 << 31) if self.bit == 31 else 1 << self.bit


def read(file: Path, trials: int) -> list[list[Fault]]:
    """The faults of every trial."""
    faults: list[list[Fault]] = [[] for _ in range(trials)]
    with file.open(newline="") as lines:
        for row in csv.DictReader(lines):
            known = row["model"] in ("bit-flip", "set-value") and (row["count"], row["step"]) == ("1", "1")
            if not known or (row["target"], row["place"]) not in (("weight", ""), ("activation", "output")):
                raise ValueError(f"{file}: a fault that the contestants cannot apply: {row}")
            fault = Fault(
                layer=row["layer"],
                index=int(row["index"]),
                bit=int(row["bits"]) if row["bits"] else None,
                value=float(row["value"]) if row["value"] else None,
                image=int(row["image"]) if row["image"] else None,
            )
            faults[int(row["draw"])].append(fault)
    return faults


def by_layer(faults: list[Fault]) -> dict[str, list[Fault]]:
    """The faults of each struck layer."""
    layers = defaultdict(list)
    for fault in faults:
        layers[fault.layer].append(fault)
    return dict(layers)


def by_batch(faults: list[Fault], batch: int, images: int) -> list[list[Fault]]:
    """The faults of each batch of `batch` images."""
    batches: list[list[Fault]] = [[] for _ in range(0, images, batch)]
    for fault in faults:
        assert fault.image is not None
        batches[fault.image // batch].append(fault)
    return batches


def struck(values: Tensor, faults: list[Fault]) -> Tensor:
    """What these values read under these faults, one fault a value."""
    if faults[0].bit is not None:
        masks = torch.tensor([fault.mask for fault in faults], dtype=torch.int32)
        return (values.view(torch.int32) ^ masks).view(torch.float32)
    return torch.tensor([fault.value for fault in faults])
