"""A workload with all that contestants need, and what they answer with."""

import shutil
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import faults
import networks
import temper_cli
from faults import Fault
from temper_cli import Campaign, Temper
from workloads import Workload


@dataclass(frozen=True)
class Case:
    """A workload, prepared."""

    workload: Workload
    temper: Temper
    work: Path
    model_file: Path
    """Temper's model file."""
    state_file: Path
    """The same weights, as a PyTorch state dict."""
    images: Tensor
    """`[N, C, H, W]`, normalised."""
    labels: Tensor
    trials: list[list[Fault]]
    expected: np.ndarray
    """Temper's top classes under these faults, `[trials, images]`."""
    changed: int
    """How many of these are not those of the golden run: what there is to agree on."""

    @property
    def data(self) -> str:
        """The name of the data set."""
        return networks.NETWORKS[self.workload.network].data

    def model(self) -> nn.Module:
        """A new PyTorch model with the weights."""
        model = networks.NETWORKS[self.workload.network].build()
        model.load_state_dict(torch.load(self.state_file, weights_only=True))
        return model.eval().requires_grad_(False)

    def onnx(self) -> Path:
        """The network as an ONNX file."""
        file = self.state_file.with_suffix(".onnx")
        with warnings.catch_warnings():
            # The exporter for PyTorch's own tracer is called legacy; the other one needs one more package.
            warnings.simplefilter("ignore")
            names = {"input_names": ["images"], "output_names": ["logits"]}
            batches = {"images": {0: "batch"}, "logits": {0: "batch"}}
            torch.onnx.export(self.model(), (self.images[:2],), str(file), dynamo=False, dynamic_axes=batches, **names)
        return file


@dataclass(frozen=True)
class Measurement:
    """One run of a contestant."""

    seconds: float
    inferences: int
    """Trials times images."""
    predictions: np.ndarray | None
    """Top classes, `[trials, images]`, of the trials that everyone runs; `None` where only `correct` is known."""
    correct: list[int]
    """Correct images of each of these trials."""


class Contestant(ABC):
    """A program that runs workloads."""

    name: str

    @abstractmethod
    def takes(self, workload: Workload) -> bool:
        """Whether it can run the workload."""

    @abstractmethod
    def prepare(self, case: Case, threads: int) -> Callable[[], Measurement]:
        """Loads all it needs; what is returned is called once a round, and times itself."""


def measurement(case: Case, seconds: float, tops: np.ndarray) -> Measurement:
    """A measurement of the trials that everyone runs. `tops`: `[trials, images]`."""
    correct = (tops == case.labels.numpy()).sum(axis=1).tolist()
    return Measurement(seconds, tops.size, tops, correct)


def prepare(workload: Workload, temper: Temper, work: Path) -> Case:
    """Makes weights, model file and fault list, as far as they are not there yet."""
    network = networks.NETWORKS[workload.network]
    folder = work / "models"
    folder.mkdir(parents=True, exist_ok=True)
    state_file = folder / f"{workload.network}.pt"
    model_file = state_file.with_suffix(".safetensors")
    if not state_file.exists():
        partial = state_file.with_suffix(".part")
        torch.save(network.weights(network, temper.data).state_dict(), partial)
        partial.rename(state_file)
    temper.run("model", "import", *network.import_options(), "--weights", state_file, "-o", model_file)
    images, labels = network.inputs(temper.data, "test", workload.images)
    reference = work / "reference"
    shutil.rmtree(reference, ignore_errors=True)
    campaign = Campaign(model_file, network.data, workload, workload.trials, predictions=True)
    temper.run_campaign(campaign, reference, threads=torch.get_num_threads())
    temper.export_faults(reference, reference / "faults.csv")
    trials = faults.read(reference / "faults.csv", workload.trials)
    recorded = temper_cli.records(reference)
    expected = temper_cli.predictions(recorded)
    changed = sum(record["sdc"] + record["due"] for record in recorded)
    return Case(workload, temper, work, model_file, state_file, images, labels, trials, expected, changed)
