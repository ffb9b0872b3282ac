"""Runs the comparison: see `run` beside this file."""

import argparse
import os
import statistics
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

import case
import host
import report
from case import Case, Contestant, Measurement
from contestants.in_place import InPlace, InPlaceCompiled
from contestants.mrfi import Mrfi
from contestants.onnx_runtime import OnnxRuntime
from contestants.pytorchfi import PyTorchFi
from contestants.temper import TemperContestant
from report import Result
from temper_cli import Temper
from workloads import workloads

# A contestant that answers otherwise on a larger share of a trial's images runs another experiment.
MOST_DIFFERING = 0.01


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compares Temper's speed with that of others.")
    parser.add_argument("--temper", type=Path, required=True, help="the temper binary")
    parser.add_argument("--work", type=Path, required=True, help="folder for models, campaigns and fault lists")
    data = os.environ.get("TEMPER_DATA")
    parser.add_argument("--data", type=Path, default=data, help="folder of data sets and models/")
    parser.add_argument("--output", type=Path, help="folder for speed.md and speed.json [default: the work folder]")
    parser.add_argument("--quick", action="store_true", help="fewer images, trials and rounds")
    parser.add_argument("--only", default="", metavar="WORD", help="only workloads whose name contains WORD")
    parsed = parser.parse_args()
    if parsed.data is None:
        parser.error("where is the data? give --data or set TEMPER_DATA")
    return parsed


def contestants(quick: bool) -> list[Contestant]:
    temper = TemperContestant(campaign_seconds=4.0 if quick else 10.0, most_trials=10_000)
    return [temper, InPlace(), InPlaceCompiled(), PyTorchFi(), Mrfi(), OnnxRuntime()]


def compare(prepared: Case, field: list[Contestant], threads: int, rounds: int) -> Iterator[Result]:
    """Runs everyone in turn, round after round."""
    torch.set_num_threads(threads)
    runs = {contestant.name: contestant.prepare(prepared, threads) for contestant in field}
    measured: dict[str, list[Measurement]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            measured[name].append(run())
    for name, measurements in measured.items():
        yield result(prepared, name, threads, measurements)


def result(prepared: Case, name: str, threads: int, measurements: list[Measurement]) -> Result:
    """Sums up the rounds, and compares the answers with those of Temper's reference campaign."""
    first, expected = measurements[0], prepared.expected
    images = prepared.workload.images
    correct = (expected == prepared.labels.numpy()).sum(axis=1)
    off = np.abs(correct - first.correct)
    differing = None if first.predictions is None else (expected != first.predictions).sum(axis=1)
    worst = int((off if differing is None else differing).max())
    if worst > MOST_DIFFERING * images:
        where = f"{prepared.workload.name}, {worst} of {images} images of a trial"
        raise RuntimeError(f"{name} gives other answers than Temper: {where}")
    rates = [measured.inferences / measured.seconds for measured in measurements]
    return Result(
        workload=prepared.workload.name,
        images=images,
        contestant=name,
        threads=threads,
        trials=first.inferences // images,
        seconds=[measured.seconds for measured in measurements],
        best=max(rates),
        median=statistics.median(rates),
        correct=first.correct,
        compared=expected.size,
        changed=prepared.changed,
        differing=None if differing is None else int(differing.sum()),
        most_off=int(off.max()),
    )


def main() -> None:
    given = arguments()
    temper = Temper(given.temper.resolve(), given.data.resolve())
    output = given.output or given.work
    output.mkdir(parents=True, exist_ok=True)
    field = contestants(given.quick)
    facts = host.facts(temper) | {"quick": given.quick}
    results: list[Result] = []
    chosen = [workload for workload in workloads(given.quick) if given.only in workload.name]
    if not chosen:
        raise SystemExit(f"--only: no workload's name contains {given.only!r}: see workloads.py")
    for workload in chosen:
        torch.set_num_threads(host.threads())
        prepared = case.prepare(workload, temper, given.work.resolve())
        for threads in sorted({1, host.threads()}):
            taking = [contestant for contestant in field if contestant.takes(workload)]
            results += compare(prepared, taking, threads, rounds=3 if given.quick else 5)
            # After every step, so that an interruption loses little.
            report.write(output, facts, results)
            print(report.progress(results, workload.name, threads), flush=True)
    print(f"written: {output / 'speed.md'} and {output / 'speed.json'}")


if __name__ == "__main__":
    main()
