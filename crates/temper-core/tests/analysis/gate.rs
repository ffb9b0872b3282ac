//! Verdicts, at their edges.

use temper_core::analysis::{
    AccuracyFloor, AnalysisError, Check, ConditionFilter, GateOptions, Limits, Quantity, Verdict, judge,
    samples,
};
use temper_core::campaign::Outcomes;
use temper_core::statistics::{Guard, Proportion, t_interval};

use crate::directory::{Directory, close, lost, swept};

const OPTIONS: GateOptions = GateOptions { confidence: 0.95, guard: Guard::EqualDraws };
const DROP: Limits =
    Limits { max_accuracy_drop: Some(0.01), max_sdc_rate: None, max_due_rate: None, min_yield: None };

fn verdict(directory: &Directory, limits: Limits, options: GateOptions) -> Result<Verdict, AnalysisError> {
    judge(&samples(&directory.info, &directory.records)?, &limits, &options)
}

fn check(directory: &Directory, limits: Limits, options: GateOptions) -> Check {
    let found = verdict(directory, limits, options).expect("it can be judged");
    assert_eq!((found.checks.len(), found.is_met), (1, found.checks[0].is_met));
    found.checks[0].clone()
}

/// Without any loss, n draws bound it by 1 − 0.05^(1/n): 298 are not enough for one percent, 299 are.
#[test]
fn equal_draws_pass_by_the_rule_of_three() {
    for (draws, is_met) in [(1, false), (2, false), (100, false), (298, false), (299, true)] {
        let found = check(&Directory::of_ten("trials.count = 300", &vec![10; draws]), DROP, OPTIONS);
        close(found.bound, 1.0 - 0.05f64.powf(1.0 / draws as f64));
        assert_eq!((found.draws, found.estimate, found.is_met), (draws, 0.0, is_met));
    }
    let sdc = Limits { max_sdc_rate: Some(0.01), ..Limits::default() };
    let due = Limits { max_due_rate: Some(0.01), ..Limits::default() };
    for limits in [sdc, due] {
        assert!(!check(&Directory::of_ten("trials.count = 300", &[10; 298]), limits, OPTIONS).is_met);
        assert!(check(&Directory::of_ten("trials.count = 300", &[10; 299]), limits, OPTIONS).is_met);
    }
}

#[test]
fn draws_that_vary_have_students_bound() {
    let directory = Directory::of_ten("trials.count = 4", &[9, 8, 8, 5]);
    let interval =
        t_interval(&[0.9, 0.8, 0.8, 0.5], 0.9).and_then(|found| found.interval).expect("four draws");
    for limit in [0.45, 0.46] {
        let found = check(&directory, Limits { max_accuracy_drop: Some(limit), ..DROP }, OPTIONS);
        close(found.estimate, 0.25);
        close(found.bound, 1.0 - interval.0);
        assert_eq!((found.quantity, found.is_met), (Quantity::AccuracyDrop, found.bound <= limit));
    }
    // The strict guard: Student's bound at half the error, and the other half for what was not drawn.
    let strict = GateOptions { guard: Guard::UnseenOutcomes, ..OPTIONS };
    let draws: Vec<u64> = (0..200).map(|draw| 10 - u64::from(draw % 2 == 0)).collect();
    let directory = Directory::of_ten("trials.count = 200", &draws);
    let accuracies: Vec<f64> = draws.iter().map(|&correct| correct as f64 / 10.0).collect();
    let interval = t_interval(&accuracies, 0.95).and_then(|found| found.interval).expect("many draws");
    let unseen = 1.0 - 0.025f64.powf(1.0 / 200.0);
    close(check(&directory, DROP, strict).bound, 1.0 - (interval.0 - unseen * 0.95));
    assert!(check(&directory, DROP, OPTIONS).bound < check(&directory, DROP, strict).bound);
}

#[test]
fn yield_has_an_exact_lower_bound() {
    let directory = Directory::of_ten("trials.count = 20", &[10; 20]);
    let limits = |share, accuracy| Limits {
        min_yield: Some((share, AccuracyFloor::AtLeast(accuracy))),
        ..Limits::default()
    };
    // All of twenty: 0.05^(1/20) = 0.861.
    let found = check(&directory, limits(0.86, 0.9), OPTIONS);
    close(found.bound, 0.05f64.powf(0.05));
    assert!(found.is_met && !check(&directory, limits(0.87, 0.9), OPTIONS).is_met);
    let few = Directory::of_ten("trials.count = 4", &[9, 8, 8, 5]);
    let expected = Proportion::new(3, 4, 0.9, None).expect("valid").clopper_pearson.0;
    close(check(&few, limits(0.5, 0.8), OPTIONS).bound, expected);
}

/// All faults have been tried: the bound is the estimate, at its limit however it was rounded.
#[test]
fn what_is_known_needs_no_margin() {
    let toml = "trials.exhaustive = true\nfault = [{ model = \"bit-flip\" }]";
    let mut directory = Directory::new(toml, &[(Vec::new(), 3)], 3, (10, 9));
    for correct in [9, 8, 7] {
        directory.add(0, Outcomes { correct, golden_correct: 9, ..lost(10, 0) });
    }
    let at = Limits { max_accuracy_drop: Some(0.1), ..DROP };
    let found = check(&directory, at, OPTIONS);
    close(found.bound, found.estimate);
    assert!(found.is_met && !check(&directory, DROP, OPTIONS).is_met);
    directory.records.remove(&2);
    let error = verdict(&directory, at, OPTIONS).expect_err("two of three in order").to_string();
    assert!(error.contains("2 of 3 faults are recorded, in order"), "{error}");
}

/// Looks at up to ten draws share the error; the second has 7/16 of it, and equal draws are enough there.
#[test]
fn stopping_by_precision_costs_confidence() {
    let trials = "trials.precision = { half_width = 0.5, min = 5, max = 10 }";
    let directory = Directory::of_ten(trials, &[10; 10]);
    let found = check(&directory, DROP, OPTIONS);
    // Unseen chips have less than half with the rule's error of 5 % · 7/16 / 2 at seven draws, not at six.
    assert_eq!(found.draws, 7);
    close(found.bound, 1.0 - (0.05f64 * 7.0 / 16.0).powf(1.0 / 7.0));
}

#[test]
fn every_chosen_condition_counts() {
    let toml = "trials.count = 300\nsweep.bit_error_rate = [1e-6, 1e-3]\nfault = [{ model = \"bit-flip\" }]";
    let conditions = [1e-6, 1e-3].map(|rate| (vec![swept("bit_error_rate", rate)], 1000));
    let mut directory = Directory::new(toml, &conditions, 300, (10, 10));
    for _ in 0..300 {
        directory.add(0, lost(10, 0));
        directory.add(1, lost(10, 1));
    }
    let found = verdict(&directory, DROP, OPTIONS).expect("valid");
    let checks: Vec<_> = found.checks.iter().map(|check| (check.condition.as_str(), check.is_met)).collect();
    assert_eq!(checks, [("bit_error_rate = 1e-6", true), ("bit_error_rate = 1e-3", false)]);
    assert!(!found.is_met);
    let choose = |text: &str| {
        let filter: ConditionFilter = text.parse()?;
        judge(&filter.choose(samples(&directory.info, &directory.records)?)?, &DROP, &OPTIONS)
    };
    assert!(choose("bit_error_rate = 0.000001").expect("there is one").is_met);
    let error = choose("bit_error_rate = 1").expect_err("there is none").to_string();
    assert!(error.contains("bit_error_rate = 1e-6; bit_error_rate = 1e-3"), "{error}");
}

#[test]
fn nothing_is_judged_by_nonsense() {
    let directory = Directory::of_ten("trials.count = 3", &[9, 8, 7]);
    assert_eq!(verdict(&directory, Limits::default(), OPTIONS), Err(AnalysisError::NoLimit));
    for confidence in [0.0, 0.5, 1.0, f64::NAN] {
        assert!(verdict(&directory, DROP, GateOptions { confidence, ..OPTIONS }).is_err(), "{confidence}");
    }
    for limit in [-0.1, 1.5, f64::NAN] {
        assert!(
            verdict(&directory, Limits { max_due_rate: Some(limit), ..DROP }, OPTIONS).is_err(),
            "{limit}"
        );
    }
    let empty = Directory::of_ten("trials.count = 3", &[]);
    assert!(matches!(verdict(&empty, DROP, OPTIONS), Err(AnalysisError::TooFewDraws { found: 0, .. })));
}
