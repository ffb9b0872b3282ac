"""The speed and the memory of training steps."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
NETWORKS = {"mlp": "MLP 784-300-100-10", "lenet5": "LeNet-5", "resnet18": "ResNet-18"}
TEMPER, EAGER, CHANNELS_LAST = "Temper", "PyTorch", "PyTorch, channels-last"


@dataclass(frozen=True)
class Speed:
    """One contestant on one network with one number of threads."""

    network: str
    threads: int
    by: str
    batch: int
    rounds: list[list[float]]
    """The seconds of each step of each round."""
    peak_memory_bytes: int | None
    """The largest resident set of the process."""

    @property
    def best(self) -> float:
        """Images a second in the fastest round; a round is as fast as its median step."""
        return self.batch / min(statistics.median(steps) for steps in self.rounds)

    @property
    def median(self) -> float:
        """Images a second in the median round."""
        return self.batch / statistics.median(statistics.median(steps) for steps in self.rounds)


def benchmark() -> Path:
    """Builds Temper's benchmark of steps; returns the program."""
    # Both packages, so that dependencies have the features with which they are built already.
    command = ["cargo", "bench", "--locked", "-p", "temper", "-p", "temper-train", "--bench", "step", "--no-run"]
    command += ["--message-format", "json-render-diagnostics"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    return next(Path(message["executable"]) for message in messages if message.get("executable"))


def compare(network: str, program: Path, threads: int, rounds: int, seconds: float) -> Iterator[Speed]:
    """Runs everyone in turn, round after round, each in a process of its own."""
    settings = [network, str(threads), str(seconds)]
    step = [sys.executable, "-m", "training.step", *settings]
    commands = {TEMPER: [str(program), *settings], EAGER: [*step, "eager"]}
    if network != "mlp":
        commands[CHANNELS_LAST] = [*step, "channels-last"]
    measured: dict[str, list[dict]] = {by: [] for by in commands}
    for _ in range(rounds):
        for by, command in commands.items():
            measured[by].append(_run(command))
    for by, reports in measured.items():
        peaks = [report["peak_memory_bytes"] for report in reports]
        yield Speed(
            network=NETWORKS[network],
            threads=threads,
            by=by,
            batch=reports[0]["images"],
            rounds=[report["step_seconds"] for report in reports],
            peak_memory_bytes=None if None in peaks else max(peaks),
        )


def _run(command: list[str]) -> dict:
    environment = os.environ | {"PYTHONPATH": str(HERE.parent)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
    return json.loads(done.stdout)
