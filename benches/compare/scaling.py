"""How the cost of campaigns grows: single flips in weights, by trials, images and threads; time and memory.

    python3 benches/compare/scaling.py --data DIR [--most-trials N]

Needs the program (`cargo build --release`) and the networks that `benches/compare/run` leaves in
`target/compare/models`; nothing beyond Python's own library. Prints the table of docs/results/speed.md. Leave the
machine alone meanwhile.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TIME = re.compile(r"golden run, trials and records: ([0-9.]+) s")


@dataclass(frozen=True)
class Run:
    """A campaign that was measured."""

    network: str
    trials: int
    images: int
    threads: int
    memory: str
    seconds: float
    processor_seconds: float
    peak_bytes: int

    def row(self) -> str:
        rate = self.trials * self.images / self.seconds
        cells = [self.network, f"{self.trials:,}", f"{self.images:,}", str(self.threads), self.memory]
        cells += [f"{self.seconds:.2f}", f"{self.processor_seconds:.2f}", f"{float(f'{rate:.3g}'):,.0f}"]
        cells.append(f"{self.peak_bytes / 1e6:.0f} MB")
        return "| " + " | ".join(cell.replace(",", " ") for cell in cells) + " |"


def campaign(data: Path, network: str, trials: int, images: int, threads: int, memory: str) -> Run:
    """Runs a campaign of single flipped bits in a process of its own."""
    model = ROOT / f"target/compare/models/{network}.safetensors"
    images_of = "mnist" if network == "LeNet-5" else "cifar-10"
    spec = f"""seed = 1
model.file = {str(model)!r}
data = {{ set = "{images_of}", limit = {images} }}
trials.count = {trials}
fault = [{{ model = "bit-flip", count = 1 }}]
"""
    folder = Path(tempfile.mkdtemp())
    try:
        (folder / "spec.toml").write_text(spec)
        command = [ROOT / "target/release/temper", "campaign", "run", folder / "spec.toml", "-o", folder / "run"]
        command += ["--data-dir", data, "--threads", str(threads), "--memory", memory]
        with (folder / "log").open("w") as log:
            child = subprocess.Popen(command, stdout=log, stderr=log)
            _, status, usage = os.wait4(child.pid, 0)
        log = (folder / "log").read_text()
        found = TIME.search(log)
        if status != 0 or found is None:
            sys.exit(f"{command}\n{log}")
        processor = usage.ru_utime + usage.ru_stime
        peak = usage.ru_maxrss * 1024
        return Run(network, trials, images, threads, memory, float(found[1]), processor, peak)
    finally:
        shutil.rmtree(folder)


def runs(data: Path, most: int) -> Iterator[Run]:
    trials = 100
    while trials <= most:
        yield campaign(data, "LeNet-5", trials, 1000, 2, "1GiB")
        trials *= 10
    for images in (100, 1000, 10_000):
        yield campaign(data, "LeNet-5", 10_000, images, 2, "1GiB")
    for threads in (1, 2):
        yield campaign(data, "LeNet-5", 50_000, 1000, threads, "1GiB")
        yield campaign(data, "ResNet-20", 300, 500, threads, "1GiB")
    for memory in ("256MiB", "1GiB"):
        for trials in (20, 600):
            yield campaign(data, "ResNet-18", trials, 100, 2, memory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("TEMPER_DATA"), help="folder of data sets")
    parser.add_argument("--most-trials", type=int, default=1_000_000)
    parsed = parser.parse_args()
    if parsed.data is None:
        parser.error("where is the data? give --data or set TEMPER_DATA")
    print("| network | trials | images | threads | `--memory` | s | processor s | trial·images/s | peak memory |")
    print("|---|---|---|---|---|---|---|---|---|")
    for run in runs(parsed.data, parsed.most_trials):
        print(run.row(), flush=True)


if __name__ == "__main__":
    main()
