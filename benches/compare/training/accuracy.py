"""What the same recipe reaches in Temper and in PyTorch, over some seeds."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from scipy.stats import ttest_ind

from temper_cli import Temper
from training import pytorch
from training.pytorch import Data
from training.recipe import Recipe


@dataclass(frozen=True)
class Trained:
    """One training."""

    by: str
    seed: int
    accuracies: list[float]
    """On the test images, after each epoch."""
    seconds: float
    """Of all epochs with their tests."""


@dataclass(frozen=True)
class Outcome:
    """All trainings by one recipe."""

    recipe: str
    epochs: int
    threads: int
    trainings: list[Trained]

    def last(self, by: str) -> list[float]:
        """Test accuracies after the last epoch: no epoch is chosen by the test images."""
        return [training.accuracies[-1] for training in self.trainings if training.by == by]

    def interval(self) -> tuple[float, float]:
        """95 % interval of the difference of the means, Temper less PyTorch, by Welch's t."""
        test = ttest_ind(self.last("Temper"), self.last("PyTorch"), equal_var=False)
        low, high = test.confidence_interval(0.95)
        return float(low), float(high)


def trainings(recipe: Recipe, temper: Temper, work: Path, seeds: int, threads: int) -> Iterator[Trained]:
    """Trains with Temper and with PyTorch in turn, one seed after another."""
    torch.set_num_threads(threads)
    data = Data(recipe, temper.data)
    for seed in range(1, seeds + 1):
        yield _by_temper(recipe, temper, work / "training" / f"{recipe.name}-{seed}", seed, threads)
        accuracies, seconds = pytorch.train(recipe, data, seed)
        yield Trained("PyTorch", seed, accuracies, seconds)


def _by_temper(recipe: Recipe, temper: Temper, folder: Path, seed: int, threads: int) -> Trained:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    file = folder.with_suffix(".toml")
    file.write_text(recipe.of_seed(seed))
    temper.run("train", file, "-o", folder, "--data-dir", temper.data, "--threads", str(threads))
    records = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    accuracies = [record["test_accuracy"] for record in records]
    return Trained("Temper", seed, accuracies, sum(record["seconds"] for record in records))
