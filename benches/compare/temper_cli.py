"""Running the `temper` binary."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workloads import Workload


@dataclass(frozen=True)
class Campaign:
    """A workload as a campaign of so many trials."""

    model: Path
    data: str
    workload: Workload
    trials: int
    predictions: bool
    """Whether the top class of every image is recorded."""

    def specification(self) -> str:
        """The campaign's TOML file."""
        return f"""seed = 1

[model]
file = "{self.model}"

[data]
set = "{self.data}"
limit = {self.workload.images}

[[fault]]
{self.workload.fault}

[trials]
count = {self.trials}

[record]
predictions = {str(self.predictions).lower()}
"""


@dataclass(frozen=True)
class Temper:
    """The binary and the folder of the data sets."""

    binary: Path
    data: Path

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Runs a command; an error ends the comparison with what Temper says."""
        done = subprocess.run([self.binary, *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"temper {' '.join(map(str, arguments))}: {done.stderr}")
        return done

    def version(self) -> str:
        return self.run("--version").stdout.strip()

    def run_campaign(self, campaign: Campaign, directory: Path, threads: int) -> float:
        """Runs it in a new directory; returns the seconds of golden run, trials and records, without loading."""
        directory.mkdir(parents=True)
        specification = directory.with_suffix(".toml")
        specification.write_text(campaign.specification())
        options = ["-o", directory, "--data-dir", self.data, "--threads", str(threads)]
        done = self.run("campaign", "run", specification, *options)
        line = next(line for line in done.stderr.splitlines() if line.startswith("golden run, trials and records: "))
        return float(line.split()[-2])

    def export_faults(self, directory: Path, file: Path) -> None:
        """Writes the faults of a campaign's trials as CSV."""
        self.run("campaign", "export", directory, "--faults", "--data-dir", self.data, "-o", file)


def records(directory: Path) -> list[dict]:
    """A campaign's records, in the order of their trials."""
    files = directory.glob("shards/*/*.jsonl")
    found = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return sorted(found, key=lambda record: record["trial"])


def predictions(recorded: list[dict]) -> np.ndarray:
    """The top class of every image in every trial, `[trials, images]`; -1 for an output with a NaN."""
    rows = [record["predictions"] for record in recorded]
    return np.array([[-1 if top is None else top for top in row] for row in rows], dtype=np.int16)
