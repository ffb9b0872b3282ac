"""Temper."""

import json
import shutil
from collections.abc import Callable

import temper_cli
from case import Case, Contestant, Measurement
from workloads import Workload

# Passes of golden inference, of which the fastest counts; the same for everyone.
GOLDEN_PASSES = 3


class TemperContestant(Contestant):
    """The command line tool. Its time is its own: loading is left out, the golden run and the writing of records are in it."""

    name = "Temper"

    def __init__(self, campaign_seconds: float, most_trials: int) -> None:
        self.campaign_seconds = campaign_seconds
        """About how long a campaign shall take: as many trials are run as fit in."""
        self.most_trials = most_trials

    def takes(self, workload: Workload) -> bool:
        return True

    def prepare(self, case: Case, threads: int) -> Callable[[], Measurement]:
        if case.workload.golden:
            return lambda: _golden(case, threads)
        shared = case.workload.trials
        probe = _campaign(case, threads, shared)
        fitting = int(shared * self.campaign_seconds / probe.seconds)
        trials = min(max(fitting, shared), max(self.most_trials, shared))
        return lambda: _campaign(case, threads, trials)


def _golden(case: Case, threads: int) -> Measurement:
    done = case.temper.run(
        "eval", case.model_file, "--data", case.data, "--data-dir", case.temper.data, "--limit",
        str(case.workload.images), "--repeat", str(GOLDEN_PASSES), "--threads", str(threads), "--json",
    )
    found = json.loads(done.stdout)
    return Measurement(found["seconds"], found["images"], None, [found["correct"]])


def _campaign(case: Case, threads: int, trials: int) -> Measurement:
    directory = case.work / "campaign"
    shutil.rmtree(directory, ignore_errors=True)
    seconds = case.temper.campaign(
        case.model_file, case.workload, case.data, trials, directory, threads, predictions=False
    )
    shared = temper_cli.records(directory)[: case.workload.trials]
    correct = [record["correct"] for record in shared]
    return Measurement(seconds, trials * case.workload.images, None, correct)
