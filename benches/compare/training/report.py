"""What the comparison of training found, as Markdown and JSON."""

import dataclasses
import json
import statistics
from pathlib import Path

from report import facts_table, rate, threads_words
from training.accuracy import Outcome
from training.speed import TEMPER, Speed


def write_accuracy(folder: Path, facts: dict[str, object], outcomes: list[Outcome]) -> None:
    """Writes `training-accuracy.json`, with every epoch of every training, and `training-accuracy.md`."""
    lines = [*facts_table(facts), "", *_accuracy_table(outcomes)]
    results = [dataclasses.asdict(outcome) for outcome in outcomes]
    _write(folder, "training-accuracy", facts, results, lines)


def write_speed(folder: Path, facts: dict[str, object], speeds: list[Speed]) -> None:
    """Writes `training-speed.json`, with every step, and `training-speed.md`."""
    lines = [*facts_table(facts), "", *_speed_table(speeds)]
    _write(folder, "training-speed", facts, [dataclasses.asdict(speed) for speed in speeds], lines)


def _write(folder: Path, name: str, facts: dict[str, object], results: list[dict], lines: list[str]) -> None:
    (folder / f"{name}.json").write_text(json.dumps({"host": facts, "results": results}) + "\n")
    (folder / f"{name}.md").write_text("\n".join(lines) + "\n")


def _accuracy_table(outcomes: list[Outcome]) -> list[str]:
    lines = [
        "| recipe | epochs | seeds | Temper | PyTorch | Temper less PyTorch, 95 % interval | s: Temper | s: PyTorch |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for outcome in outcomes:
        cells = [outcome.recipe, outcome.epochs, len(outcome.last("Temper"))]
        cells += [_spread(outcome.last(by)) for by in ("Temper", "PyTorch")]
        cells.append(_difference(outcome))
        for by in ("Temper", "PyTorch"):
            cells.append(f"{statistics.mean(t.seconds for t in outcome.trainings if t.by == by):.0f}")
        lines.append(_row(cells))
    return lines


def _spread(accuracies: list[float]) -> str:
    """Mean and standard deviation, in percent."""
    percent = [100 * accuracy for accuracy in accuracies]
    mean = f"{statistics.mean(percent):.2f}"
    return mean if len(percent) < 2 else f"{mean} ± {statistics.stdev(percent):.2f}"


def _difference(outcome: Outcome) -> str:
    """In points of a percent."""
    difference = 100 * (statistics.mean(outcome.last("Temper")) - statistics.mean(outcome.last("PyTorch")))
    if len(outcome.last("Temper")) < 2:
        return f"{difference:+.2f}"
    low, high = (100 * end for end in outcome.interval())
    return f"{difference:+.2f} ({low:+.2f} to {high:+.2f})"


def _speed_table(speeds: list[Speed]) -> list[str]:
    lines = [
        "| network | threads | | images a second: best (median) | Temper is | peak memory |",
        "|---|---|---|---|---|---|",
    ]
    for speed in speeds:
        rates = f"{rate(speed.best)} ({rate(speed.median)})"
        memory = "" if speed.peak_memory_bytes is None else f"{speed.peak_memory_bytes / 1e6:.0f} MB"
        lines.append(_row([speed.network, speed.threads, speed.by, rates, _ratio(speed, speeds), memory]))
    return lines


def _row(cells: list[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _ratio(speed: Speed, speeds: list[Speed]) -> str:
    """How many times as fast Temper is, best against best."""
    if speed.by == TEMPER:
        return ""
    temper = next(s for s in speeds if (s.by, s.network, s.threads) == (TEMPER, speed.network, speed.threads))
    return f"{temper.best / speed.best:.2f}×"


def accuracy_progress(outcome: Outcome) -> str:
    """What was found last, for the terminal."""
    spreads = ", ".join(f"{by} {_spread(outcome.last(by))} %" for by in ("Temper", "PyTorch"))
    return f"{outcome.recipe}: {spreads}; difference {_difference(outcome)}"


def speed_progress(speeds: list[Speed]) -> str:
    """The same of the contestants on one network with one number of threads."""
    rates = ", ".join(f"{speed.by} {rate(speed.best)}" for speed in speeds)
    return f"{speeds[0].network}, {threads_words(speeds[0].threads)}: {rates} images a second"
