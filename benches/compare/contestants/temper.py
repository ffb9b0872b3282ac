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
        """How long a campaign shall take at most: from half of it upwards, unless the first trials take longer."""
        self.most_trials = most_trials

    def takes(self, workload: Workload) -> bool:
        return True

    def prepare(self, case: Case, threads: int) -> Callable[[], Measurement]:
        if case.workload.golden:
            return lambda: _golden(case, threads)
        trials = self._fitting_trials(case, threads)
        return lambda: _campaign(case, threads, trials)

    def _fitting_trials(self, case: Case, threads: int) -> int:
        """Trials that take half the time or more. Step by step, since the golden run counts less the more there are."""
        trials = case.workload.trials
        while (spent := _campaign(case, threads, trials).seconds) < self.campaign_seconds / 2:
            if trials >= self.most_trials:
                break
            trials = min(int(trials * self.campaign_seconds / spent), self.most_trials)
        return trials


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
