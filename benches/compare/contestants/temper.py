"""Temper."""

import json
import shutil
from collections.abc import Callable

import temper_cli
from case import Case, Contestant, Measurement
from temper_cli import Campaign
from workloads import Workload

# Passes of golden inference, of which the fastest counts; the same for everyone.
GOLDEN_PASSES = 3


class TemperContestant(Contestant):
    """The command line tool, by its own clock: without loading, with the golden run and the writing of records."""

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
    images = ["--data", case.data, "--data-dir", case.temper.data, "--limit", str(case.workload.images)]
    options = ["--repeat", str(GOLDEN_PASSES), "--threads", str(threads), "--json"]
    done = case.temper.run("eval", case.model_file, *images, *options)
    found = json.loads(done.stdout)
    return Measurement(found["seconds"], found["images"], None, [found["correct"]])


def _campaign(case: Case, threads: int, trials: int) -> Measurement:
    directory = case.work / "campaign"
    shutil.rmtree(directory, ignore_errors=True)
    campaign = Campaign(case.model_file, case.data, case.workload, trials, predictions=False)
    seconds = case.temper.run_campaign(campaign, directory, threads)
    shared = temper_cli.records(directory)[: case.workload.trials]
    correct = [record["correct"] for record in shared]
    return Measurement(seconds, trials * case.workload.images, None, correct)
