"""Results as Markdown and JSON."""

import dataclasses
import json
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path


@dataclass(frozen=True)
class Result:
    """One contestant on one workload with one number of threads."""

    workload: str
    images: int
    contestant: str
    threads: int
    trials: int
    seconds: list[float]
    """Of each round."""
    best: float
    """Trials times images a second, in the fastest round."""
    median: float
    correct: list[int]
    """Correct images of each trial that everyone runs."""
    compared: int
    """Inferences whose answers are compared with Temper's reference campaign."""
    changed: int
    """Those in which the faults change the top class."""
    differing: int | None
    """Those with another top class; `None` where only counts are known."""
    most_off: int
    """The largest difference of the correct images of a trial."""


def write(folder: Path, facts: dict[str, object], results: list[Result]) -> None:
    """Writes `speed.json`, with every timing, and `speed.md`."""
    raw = {"host": facts, "results": [dataclasses.asdict(result) for result in results]}
    (folder / "speed.json").write_text(json.dumps(raw, indent=1) + "\n")
    (folder / "speed.md").write_text(markdown(facts, results))


def markdown(facts: dict[str, object], results: list[Result]) -> str:
    """Facts, then a table for each workload."""
    lines = facts_table(facts)
    for name, of_workload in groupby(results, key=lambda result: result.workload):
        lines += ["", *_table(name, list(of_workload))]
    return "\n".join(lines) + "\n"


def facts_table(facts: dict[str, object]) -> list[str]:
    """What the machine is, and what ran on it."""
    lines = ["| | |", "|---|---|"]
    for name, value in facts.items():
        shown = ", ".join(value) if isinstance(value, list) else str(value)
        lines.append(f"| {name.replace('_', ' ')} | {shown} |")
    return lines


def _table(name: str, results: list[Result]) -> list[str]:
    threads = sorted({result.threads for result in results})
    header = " | ".join(f"{threads_words(count)}: best (median) | Temper is" for count in threads)
    compared, changed = results[0].compared, results[0].changed
    effect = f"; the faults change {changed} of {compared} answers that are compared" if changed else ""
    lines = [f"### {name}", "", f"{results[0].images} images{effect}. Trial·images a second.", ""]
    lines += [f"| | trials | {header} | answers |", "|---|" + "---|" * (2 * len(threads) + 2)]
    for contestant in dict.fromkeys(result.contestant for result in results):
        mine = [result for result in results if result.contestant == contestant]
        rates = [f"{rate(result.best)} ({rate(result.median)}) | {_ratio(result, results)}" for result in mine]
        trials = " / ".join(dict.fromkeys(str(result.trials) for result in mine))
        lines.append(f"| {contestant} | {trials} | {' | '.join(rates)} | {_agreement(mine[-1])} |")
    return lines


def _ratio(result: Result, results: list[Result]) -> str:
    """How many times as fast Temper is, best against best."""
    best = next(other.best for other in results if other.contestant == "Temper" and other.threads == result.threads)
    return "" if result.contestant == "Temper" else f"{best / result.best:.2f}×"


def _agreement(result: Result) -> str:
    """Where the answers differ from those of Temper's reference campaign."""
    if result.differing is None:
        return "same counts" if result.most_off == 0 else f"up to {result.most_off} correct images of a trial off"
    if result.differing == 0:
        return "same"
    return f"{result.differing} of {result.compared} differ, up to {result.most_off} correct images of a trial off"


def threads_words(count: int) -> str:
    """`1 thread`, `2 threads`."""
    return "1 thread" if count == 1 else f"{count} threads"


def rate(per_second: float) -> str:
    """Three significant digits, thousands apart."""
    digits = max(0, len(str(int(per_second))) - 3)
    return f"{round(per_second, -digits):,.0f}".replace(",", " ")


def progress(results: list[Result], workload: str, threads: int) -> str:
    """What was measured last, for the terminal."""
    mine = [result for result in results if (result.workload, result.threads) == (workload, threads)]
    rates = ", ".join(f"{result.contestant} {rate(result.best)}" for result in mine)
    return f"{workload}, {threads_words(threads)}: {rates}"
