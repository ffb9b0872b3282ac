//! Each condition in figures.

use proptest::prelude::*;
use temper_core::analysis::{
    AccuracyFloor, AnalysisError, ConditionSummary, SummaryOptions, Unit, samples, summarise, yield_of,
};
use temper_core::campaign::Outcomes;
use temper_core::statistics::{Proportion, t_interval};

use crate::directory::{Directory, close, close_interval, lost, swept};

fn summary(directory: &Directory) -> ConditionSummary {
    let found = summarise(&directory.info, &directory.records, &SummaryOptions::default());
    found.expect("it can be summed up").remove(0)
}

#[test]
fn four_chips_by_hand() {
    let found = summary(&Directory::of_ten("trials.count = 4", &[9, 8, 8, 5]));
    assert_eq!((found.unit, found.mean_faults, found.golden_accuracy), (Unit::Chip, 1.0, 1.0));
    let accuracy = found.accuracy.expect("four draws");
    assert_eq!(accuracy, t_interval(&[0.9, 0.8, 0.8, 0.5], 0.95).expect("four draws"));
    let (low, high) = accuracy.interval.expect("four draws");
    let drop = found.accuracy_drop.expect("four draws");
    close(drop.estimate, 0.25);
    close_interval(drop.interval, (1.0 - high, 1.0 - low));
    let quantiles = found.accuracy_quantiles.expect("four draws");
    // Positions 0.15, 0.75, 1.5, 2.25 and 2.85 of 0.5, 0.8, 0.8, 0.9.
    for (quantile, expected) in [
        (quantiles.p05, 0.545),
        (quantiles.p25, 0.725),
        (quantiles.p50, 0.8),
        (quantiles.p75, 0.825),
        (quantiles.p95, 0.885),
    ] {
        close(quantile, expected);
    }
    let worst = found.worst.expect("four draws");
    assert_eq!((worst.trial, worst.draw, worst.accuracy), (3, 3, 0.5));
    let shares = found.shares.expect("four draws");
    close(shares.sdc.mean, 0.25);
    close_interval(shares.sdc.interval.expect("four draws"), (1.0 - high, 1.0 - low));
    assert_eq!(
        (shares.due.mean, shares.due.interval, shares.due.bca),
        (0.0, Some((0.0, 0.0)), Some((0.0, 0.0)))
    );
    assert_eq!((found.outcomes.images, found.outcomes.sdc), (40, 10));
    assert_eq!(found.faults, None);
}

/// Within the draws' range about the mean, and the same whenever it is computed; another condition has other resamples.
#[test]
fn the_bootstrap_is_reproducible() {
    let sweep = "sweep.bit_error_rate = [1e-3, 1e-2]\ntrials.count = 6\nfault = [{ model = \"bit-flip\" }]";
    let conditions = [1e-3, 1e-2].map(|rate| (vec![swept("bit_error_rate", rate)], 1000));
    let mut directory = Directory::new(sweep, &conditions, 6, (10, 10));
    for sdc in [0, 1, 1, 2, 7, 1] {
        directory.add(0, lost(10, sdc));
        directory.add(1, lost(10, sdc));
    }
    let both = || summarise(&directory.info, &directory.records, &SummaryOptions::default()).expect("valid");
    assert_eq!(both(), both());
    let intervals: Vec<_> = both().iter().map(|found| found.accuracy_bca.expect("six draws")).collect();
    for (low, high) in &intervals {
        assert!(0.3 < *low && *low < 0.8 && 0.8 < *high && *high < 1.0, "{intervals:?}");
    }
    assert_ne!(intervals[0], intervals[1]);
    // Without it all else is the same.
    let options = SummaryOptions { bootstrap: false, ..SummaryOptions::default() };
    let without = summarise(&directory.info, &directory.records, &options).expect("valid");
    assert_eq!((without[0].accuracy_bca, without[0].accuracy), (None, both()[0].accuracy));
    assert_eq!(without[0].shares.expect("six draws").sdc.bca, None);
}

const SINGLE: &str = "fault = [{ model = \"bit-flip\" }]\n";

/// Three of five faults change an answer, one of them by being detected, and one costs more than a tenth of the images.
fn single_faults(trials: &str, sites: u64) -> Directory {
    let mut directory = Directory::new(&format!("{SINGLE}{trials}"), &[(Vec::new(), sites)], 5, (10, 10));
    for sdc in [0, 1, 0, 5] {
        directory.add(0, lost(10, sdc));
    }
    directory.add(0, Outcomes { correct: 9, masked: 9, due: 1, critical: 1, ..lost(10, 0) });
    directory
}

#[test]
fn single_faults_are_a_sample_of_all() {
    let trials = "trials.statistical = { margin = 0.1, confidence = 0.95 }";
    let options = SummaryOptions { critical_accuracy_drop: 0.1, ..SummaryOptions::default() };
    let directory = single_faults(trials, 50);
    let found = summarise(&directory.info, &directory.records, &options).expect("valid").remove(0);
    assert_eq!(found.unit, Unit::DistinctFault);
    let faults = found.faults.expect("single faults");
    assert_eq!(Ok(faults.critical), Proportion::new(3, 5, 0.95, Some(50)));
    // A drop of 0.1 is not more than 0.1, however it is rounded.
    assert_eq!(Ok(faults.accuracy_critical), Proportion::new(1, 5, 0.95, Some(50)));
    assert_eq!(found.accuracy_bca, None);
    // The t interval, narrower by √(45/50).
    let accuracies = [1.0, 0.9, 1.0, 0.5, 0.9];
    let plain = t_interval(&accuracies, 0.95).and_then(|found| found.interval).expect("five draws");
    let (low, high) = found.accuracy.and_then(|found| found.interval).expect("five draws");
    close(0.86 - low, (0.86 - plain.0) * 0.9f64.sqrt());
    assert_eq!(high, 1.0);
}

#[test]
fn independent_single_faults_have_no_population() {
    let toml = "trials.count = 5\nsweep.count = [1, 2]\nfault = [{ model = \"bit-flip\" }]";
    let conditions = [1, 2].map(|count| (vec![swept("count", count)], 50));
    let mut directory = Directory::new(toml, &conditions, 5, (10, 10));
    for sdc in [0, 1] {
        directory.add(0, lost(10, sdc));
        directory.add(1, lost(10, sdc));
    }
    let found = summarise(&directory.info, &directory.records, &SummaryOptions::default()).expect("valid");
    assert_eq!((found[0].unit, found[1].unit), (Unit::Fault, Unit::Chip));
    let faults = found[0].faults.expect("single faults");
    assert_eq!(Ok(faults.critical), Proportion::new(1, 2, 0.95, None));
    assert_eq!(found[1].faults, None);
}

#[test]
fn all_faults_are_known_and_some_of_all_are_no_sample() {
    let found = summary(&single_faults("trials.exhaustive = true", 5));
    assert_eq!(found.unit, Unit::EveryFault);
    assert_eq!(found.faults.expect("all faults").critical.clopper_pearson, (0.6, 0.6));
    let (low, high) = found.accuracy.and_then(|found| found.interval).expect("all faults");
    assert!(low == high && (low - 0.86).abs() < 1e-15);
    let found = summary(&single_faults("trials.exhaustive = true", 6));
    assert_eq!((found.faults, found.accuracy.and_then(|found| found.interval)), (None, None));
    assert_eq!(found.shares.and_then(|shares| shares.sdc.interval), None);
}

#[test]
fn transient_faults_are_runs() {
    let toml = "trials.count = 5\nfault = [{ model = \"bit-flip\", count = 1, lifetime = \"transient\" }]";
    let directory = Directory::new(toml, &[(Vec::new(), 50)], 5, (10, 10));
    assert_eq!(samples(&directory.info, &directory.records).expect("valid")[0].unit, Unit::Chip);
}

/// One fault on a chip is a chip: what it does depends on both.
#[test]
fn chips_are_no_single_faults() {
    let toml = "trials.count = 5\nfault = [{ model = \"bit-flip\", count = 1 }]\nhardware = [{ model.kind = \"crossbar\" }]";
    let directory = Directory::new(toml, &[(Vec::new(), 50)], 5, (10, 10));
    assert_eq!(samples(&directory.info, &directory.records).expect("valid")[0].unit, Unit::Chip);
}

/// Ten equal draws cannot be known to within 0.05; the rule stops at its last look, and what is beyond it is not in the sample.
#[test]
fn stopping_by_precision_has_the_rules_interval() {
    let trials = "trials.precision = { half_width = 0.05, min = 5, max = 10 }";
    let mut directory = Directory::of_ten(trials, &[9; 10]);
    let found = summary(&directory).accuracy.expect("ten draws");
    let condition = &directory.info.plan.conditions[0];
    let rule =
        directory.info.stopping_rule(condition, &directory.records).expect("valid").expect("by precision");
    let level = rule.looks().level(10, 0.95);
    // Five equal draws say that ten will be needed.
    assert_eq!((rule.looks().draws(), found.confidence), ([5, 10].as_slice(), 0.95));
    let unseen = 1.0 - ((1.0 - level) / 2.0).powf(0.1);
    close_interval(found.interval.expect("widened"), (0.9 - 0.9 * unseen, 0.9 + 0.1 * unseen));
    // Before it stops: at the level of a look.
    let last = *directory.records.keys().last().expect("ten");
    directory.records.remove(&last);
    directory.records.values_mut().next().expect("nine").outcomes = lost(10, 5);
    let accuracies: Vec<f64> = std::iter::once(0.5).chain([0.9; 8]).collect();
    let interval = summary(&directory).accuracy.and_then(|found| found.interval);
    assert_eq!(interval, t_interval(&accuracies, level).and_then(|found| found.interval));
}

#[test]
fn without_draws_there_are_no_figures() {
    let directory = Directory::new(
        "trials.count = 5\nfault = [{ model = \"zeroing\", count = 2 }]",
        &[(Vec::new(), 9)],
        5,
        (10, 9),
    );
    let found = summary(&directory);
    assert_eq!((found.accuracy, found.shares, found.worst, found.mean_faults), (None, None, None, 0.0));
    for confidence in [0.0, 1.0, f64::NAN] {
        let options = SummaryOptions { confidence, ..SummaryOptions::default() };
        assert!(summarise(&directory.info, &directory.records, &options).is_err());
    }
}

#[test]
fn yield_counts_chips_at_the_floor() {
    let directory = Directory::of_ten("trials.count = 4", &[9, 8, 8, 5]);
    let found = samples(&directory.info, &directory.records).expect("valid");
    // 1 − 0.2 is a little less than 0.8, and 1 − 0.1·… a little more: neither may matter.
    for floor in
        [AccuracyFloor::AtLeast(0.8), AccuracyFloor::BelowGolden(0.2), AccuracyFloor::BelowGolden(0.1 + 0.1)]
    {
        assert_eq!(yield_of(&found[0], floor, 0.95), Ok(Proportion::new(3, 4, 0.95, None).expect("valid")));
    }
    assert!(matches!(
        yield_of(&found[0], AccuracyFloor::AtLeast(80.0), 0.95),
        Err(AnalysisError::Statistics(_))
    ));
    let empty = Directory::of_ten("trials.count = 4", &[]);
    let found = samples(&empty.info, &empty.records).expect("valid");
    let error = yield_of(&found[0], AccuracyFloor::AtLeast(0.8), 0.95).expect_err("no draw").to_string();
    assert_eq!(error, "the only condition: found 0 draws, expected at least 1; run the campaign on");
}

proptest! {
    /// Every interval is about its point, and every outcome's share is that of all inferences.
    #[test]
    fn intervals_hold_their_points(correct in prop::collection::vec(0u64..=10, 1..40)) {
        let found = summary(&Directory::of_ten("trials.count = 50", &correct));
        let shares = found.shares.expect("a draw");
        prop_assert!((shares.sdc.mean - found.outcomes.sdc as f64 / found.outcomes.images as f64).abs() < 1e-12);
        for share in [shares.masked, shares.sdc, shares.due, shares.critical] {
            for (low, high) in share.interval.into_iter().chain(share.bca) {
                prop_assert!(low <= share.mean + 1e-12 && share.mean <= high + 1e-12, "{share:?}");
            }
        }
        prop_assert_eq!(shares.masked.interval.is_some(), correct.len() > 1);
    }
}
