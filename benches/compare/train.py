"""Runs the comparison of training: see `train` beside this file."""

import argparse
import os
from pathlib import Path

import host
from temper_cli import Temper
from training import accuracy, recipe, report, speed
from training.accuracy import Outcome
from training.speed import Speed

RECIPES = Path(__file__).parents[2] / "examples" / "recipes"
COMPARED = ("mlp-mnist", "lenet5-mnist", "lenet5-fashion-mnist", "resnet-cifar-10")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compares Temper's training with PyTorch's.")
    parser.add_argument("--temper", type=Path, required=True, help="the temper binary")
    parser.add_argument("--work", type=Path, required=True, help="folder for trainings")
    data = os.environ.get("TEMPER_DATA")
    parser.add_argument("--data", type=Path, default=data, help="folder of data sets")
    parser.add_argument("--output", type=Path, help="folder for tables and JSON files [default: the work folder]")
    parser.add_argument("--quick", action="store_true", help="one epoch of each recipe; fewer and shorter rounds")
    parser.add_argument("--only", default="", metavar="WORD", help='only what has WORD in its name: "speed, LeNet-5"')
    parser.add_argument("--seeds", type=int, help="trainings of each recipe, each side [default: 5; 2 with --quick]")
    parser.add_argument("--threads", type=int, default=host.threads(), help="of trainings; speed is told for 1 and all")
    parsed = parser.parse_args()
    if parsed.data is None:
        parser.error("where is the data? give --data or set TEMPER_DATA")
    if parsed.seeds is None:
        parsed.seeds = 2 if parsed.quick else 5
    if parsed.seeds < 1:
        parser.error("--seeds: expected at least 1")
    return parsed


def compare_speed(given: argparse.Namespace, facts: dict[str, object], networks: list[str]) -> None:
    program = speed.benchmark()
    rounds, seconds = (3, 2.0) if given.quick else (7, 4.0)
    found: list[Speed] = []
    for network in networks:
        for threads in sorted({1, host.threads()}):
            found += (new := list(speed.compare(network, program, threads, rounds, seconds)))
            report.write_speed(given.output, facts, found)
            print(report.speed_progress(new), flush=True)


def compare_accuracy(given: argparse.Namespace, temper: Temper, facts: dict[str, object], names: list[str]) -> None:
    outcomes: list[Outcome] = []
    for name in names:
        followed = recipe.read(RECIPES / f"{name}.toml", epochs=1 if given.quick else None)
        outcome = Outcome(name, followed.epochs, given.threads, [])
        outcomes.append(outcome)
        for trained in accuracy.trainings(followed, temper, given.work.resolve(), given.seeds, given.threads):
            outcome.trainings.append(trained)
            print(f"{name}, seed {trained.seed}, {trained.by}: {trained.accuracies[-1]:.4f}", flush=True)
        # After every recipe, so that an interruption loses little.
        report.write_accuracy(given.output, facts, outcomes)
        print(report.accuracy_progress(outcome), flush=True)


def main() -> None:
    given = arguments()
    temper = Temper(given.temper.resolve(), given.data.resolve())
    given.output = given.output or given.work
    given.output.mkdir(parents=True, exist_ok=True)
    networks = [network for network, name in speed.NETWORKS.items() if given.only in f"speed, {name}"]
    recipes = [name for name in COMPARED if given.only in f"accuracy, {name}"]
    if not networks and not recipes:
        raise SystemExit(f"--only: no name contains {given.only!r}: see NETWORKS in speed.py, COMPARED in train.py")
    facts = host.facts(temper, ("torch", "numpy", "scipy")) | {"quick": given.quick}
    if networks:
        compare_speed(given, facts, networks)
    if recipes:
        compare_accuracy(given, temper, facts | {"threads": given.threads}, recipes)
    print(f"written: training-*.md and training-*.json in {given.output}")


if __name__ == "__main__":
    main()
