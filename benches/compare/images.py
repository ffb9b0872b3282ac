"""The images of a data set, as PyTorch wants them."""

import gzip
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


def load(data: Path, name: str, split: str, count: int | None = None) -> tuple[np.ndarray, Tensor]:
    """The first `count` images `[N, C, H, W]`, as bytes, and their labels `[N]`."""
    pixels, labels = _cifar10(data, split, count) if name == "cifar-10" else _mnist(data / name, split)
    return pixels[:count], torch.from_numpy(labels[:count].astype(np.int64))


def normalised(pixels: np.ndarray, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """`(pixel / 255 - mean) / std` for each channel."""
    mean_, std_ = (torch.tensor(values).view(1, -1, 1, 1) for values in (mean, std))
    return (torch.from_numpy(pixels.astype(np.float32)) / 255 - mean_) / std_


def _cifar10(data: Path, split: str, count: int | None) -> tuple[np.ndarray, np.ndarray]:
    names = ["test_batch"] if split == "test" else [f"data_batch_{batch}" for batch in range(1, 6)]
    if count is not None:
        names = names[: math.ceil(count / 10_000)]
    files = [data / "cifar-10" / "cifar-10-batches-bin" / f"{name}.bin" for name in names]
    records = np.concatenate([np.fromfile(file, np.uint8).reshape(-1, 1 + 3 * 32 * 32) for file in files])
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]


def _mnist(folder: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """MNIST or Fashion-MNIST."""
    prefix = folder / ("t10k" if split == "test" else "train")
    pixels = _idx(Path(f"{prefix}-images-idx3-ubyte"), header=16).reshape(-1, 1, 28, 28)
    return pixels, _idx(Path(f"{prefix}-labels-idx1-ubyte"), header=8)


def _idx(file: Path, header: int) -> np.ndarray:
    compressed = file.with_name(f"{file.name}.gz")
    content = gzip.decompress(compressed.read_bytes()) if compressed.exists() else file.read_bytes()
    return np.frombuffer(content, np.uint8, offset=header)
