//! Two campaigns compared, against SciPy (`fixtures/analysis`) and at the edges.

use serde::Deserialize;
use temper_core::analysis::{AnalysisError, Comparison, Difference, Pairing, Side, compare};
use temper_core::campaign::{Outcomes, Statistical};

use crate::directory::{Directory, close, lost, swept};

#[derive(Deserialize)]
struct Reference {
    images: u64,
    golden: (u64, u64),
    confidence: f64,
    conditions: Vec<GoldenCondition>,
}

#[derive(Deserialize)]
struct GoldenCondition {
    first: Vec<u64>,
    second: Vec<u64>,
    paired: GoldenDifferences,
    unpaired: GoldenDifferences,
}

#[derive(Deserialize)]
struct GoldenDifferences {
    accuracy: GoldenDifference,
    accuracy_drop: GoldenDifference,
}

#[derive(Deserialize)]
struct GoldenDifference {
    #[serde(rename = "difference")]
    mean: f64,
    interval: (f64, f64),
    degrees_of_freedom: f64,
    p_value: f64,
    adjusted_p_value: f64,
    wilcoxon_p_value: Option<f64>,
    adjusted_wilcoxon_p_value: Option<f64>,
}

fn reference() -> Reference {
    let json = include_str!("../../../../fixtures/analysis/compare.json");
    serde_json::from_str(json).expect("the fixture is JSON")
}

const TOML: &str =
    "trials.count = 60\nsweep.bit_error_rate = [1e-4, 1e-3, 1e-2, 1e-1]\nfault = [{ model = \"bit-flip\" }]";

/// A campaign whose conditions have draws with so many correct images.
fn directory<'a>(images: u64, golden: u64, correct: impl Iterator<Item = &'a Vec<u64>>) -> Directory {
    let conditions = [1e-4, 1e-3, 1e-2, 1e-1].map(|rate| (vec![swept("bit_error_rate", rate)], 1000));
    let mut directory = Directory::new(TOML, &conditions, 60, (images, golden));
    for (condition, correct) in correct.enumerate() {
        for &correct in correct {
            directory.add(condition, Outcomes { correct, golden_correct: golden, ..lost(images, 0) });
        }
    }
    directory
}

fn compared(first: &Directory, second: &Directory, confidence: f64) -> Result<Comparison, AnalysisError> {
    let [first, second] = [first, second].map(|Directory { info, records }| Side { info, records });
    compare(first, second, confidence)
}

fn assert_close(found: f64, expected: f64, what: &str) {
    let off = (found - expected).abs() / expected.abs().max(1e-6);
    assert!(off < 1e-9, "{what}: {found:e}, expected {expected:e}");
}

fn assert_scipys(found: &Difference, expected: &GoldenDifference, what: &str) {
    let mean = &found.mean;
    assert_close(mean.difference, expected.mean, what);
    assert_close(mean.interval.0, expected.interval.0, what);
    assert_close(mean.interval.1, expected.interval.1, what);
    assert_close(mean.degrees_of_freedom.expect("they vary"), expected.degrees_of_freedom, what);
    assert_close(mean.p_value.expect("they vary"), expected.p_value, what);
    assert_close(found.adjusted_p_value.expect("they vary"), expected.adjusted_p_value, what);
    assert_eq!(found.signed_rank.is_some(), expected.wilcoxon_p_value.is_some(), "{what}");
    if let Some((test, p_value)) = found.signed_rank.zip(expected.wilcoxon_p_value) {
        assert_close(test.p_value, p_value, what);
        let adjusted = found.adjusted_signed_rank_p_value.zip(expected.adjusted_wilcoxon_p_value);
        let (adjusted, expected) = adjusted.expect("both");
        assert_close(adjusted, expected, what);
    }
}

#[test]
fn paired_and_unpaired_are_scipys() {
    let Reference { images, golden, confidence, conditions } = reference();
    let first = directory(images, golden.0, conditions.iter().map(|condition| &condition.first));
    let mut second = directory(images, golden.1, conditions.iter().map(|condition| &condition.second));
    for seed in [11, 12] {
        second.info.spec.seed = seed;
        let found = compared(&first, &second, confidence).expect("they match");
        assert_eq!(found.conditions.len(), 4);
        for (found, expected) in found.conditions.iter().zip(&conditions) {
            let (pairing, expected) = if seed == 11 {
                (Pairing::Paired, &expected.paired)
            } else {
                (Pairing::Unpaired { reasons: vec!["the seeds differ".to_owned()] }, &expected.unpaired)
            };
            assert_eq!(found.pairing, pairing);
            assert_scipys(&found.accuracy, &expected.accuracy, "accuracy");
            assert_scipys(&found.accuracy_drop, &expected.accuracy_drop, "drop");
        }
    }
}

/// Two networks on the same chips are paired; the same chips under other parameters are other devices.
#[test]
fn chips_of_one_hardware_are_pairs() {
    let make = |rows: u32| {
        let toml =
            format!("trials.count = 3\nhardware = [{{ model = {{ kind = \"crossbar\", rows = {rows} }} }}]");
        let mut directory = Directory::new(&toml, &[(Vec::new(), 0)], 3, (10, 10));
        for sdc in [1, 2, 4] {
            directory.add(0, lost(10, sdc));
        }
        directory
    };
    let pairing =
        |rows| compared(&make(64), &make(rows), 0.95).expect("one condition").conditions.remove(0).pairing;
    assert_eq!(pairing(64), Pairing::Paired);
    assert_eq!(pairing(128), Pairing::Unpaired { reasons: vec!["the hardware differs".to_owned()] });
}

/// Conditions are matched by their values in any order of axes, and what has no match is named.
#[test]
fn conditions_match_by_their_values() {
    let make = |order: [usize; 2], bits: [i64; 2]| {
        let toml = "trials.count = 3\nfault = [{ model = \"bit-flip\", count = 2 }]\n[sweep]\nbit = [1]\nformat = [\"int8\"]";
        let condition = |bit: i64| {
            let both = [swept("bit", bit), swept("format", "int8")];
            (order.map(|i| both[i].clone()).to_vec(), 100)
        };
        let mut directory = Directory::new(toml, &bits.map(condition), 3, (10, 10));
        for sdc in [1, 2, 4] {
            directory.add(0, lost(10, sdc));
            directory.add(1, lost(10, sdc));
        }
        directory
    };
    let found = compared(&make([0, 1], [1, 2]), &make([1, 0], [2, 3]), 0.95).expect("bit 2 is in both");
    assert_eq!(found.conditions.len(), 1);
    assert_eq!(found.conditions[0].swept, [swept("bit", 2), swept("format", "int8")]);
    assert_eq!(
        (found.only_first, found.only_second),
        (vec!["bit = 1, format = int8".to_owned()], vec!["format = int8, bit = 3".to_owned()])
    );
    // The same number would be another condition's draw.
    let Pairing::Unpaired { reasons } = &found.conditions[0].pairing else { panic!("paired") };
    assert_eq!(reasons, &["the condition stands elsewhere in the sweep"]);
    let error = compared(&make([0, 1], [1, 2]), &make([0, 1], [3, 4]), 0.95).expect_err("nothing in common");
    assert!(
        error.to_string().contains("the first has bit = 1, format = int8; bit = 2, format = int8"),
        "{error}"
    );
}

#[test]
fn what_differs_is_named() {
    let first = Directory::of_ten("trials.count = 3", &[9, 8, 7]);
    let reasons = |change: &dyn Fn(&mut Directory)| {
        let mut second = Directory::of_ten("trials.count = 3", &[9, 8, 6]);
        change(&mut second);
        let found = compared(&first, &second, 0.95).expect("they match");
        match &found.conditions[0].pairing {
            Pairing::Paired => Vec::new(),
            Pairing::Unpaired { reasons } => reasons.clone(),
        }
    };
    assert!(reasons(&|_| {}).is_empty());
    assert_eq!(reasons(&|other| other.info.identity.data.push('0')), ["the images differ"]);
    assert_eq!(reasons(&|other| other.info.plan.conditions[0].sites = 7), ["the sites differ: 1000 and 7"]);
    assert_eq!(reasons(&|other| other.info.spec.faults[0].bit_error_rate = Some(0.5)), ["the faults differ"]);
    // Of samples without replacement, their size decides which sites are drawn.
    let sampled = |margin: f64, draws: u64| {
        let mut directory = Directory::of_ten("trials.count = 3", &[9, 8, 7]);
        let trials = &mut directory.info.spec.trials;
        trials.count = None;
        trials.statistical = Some(Statistical { margin, confidence: 0.9, proportion: 0.5 });
        directory.info.plan.conditions[0].draws = draws;
        directory
    };
    let found = compared(&sampled(0.2, 3), &sampled(0.25, 4), 0.95).expect("they match");
    let Pairing::Unpaired { reasons: sizes } = &found.conditions[0].pairing else { panic!("paired") };
    assert_eq!(sizes, &["sites are sampled differently"]);
    // Another network or another number of draws does not unpair.
    assert!(reasons(&|other| other.info.identity.network.push('0')).is_empty());
    assert!(reasons(&|other| other.info.spec.trials.count = Some(9)).is_empty());
}

/// Only draws that both have are compared, by their number.
#[test]
fn pairs_are_of_the_same_draw() {
    let first = Directory::of_ten("trials.count = 5", &[9, 8, 7, 6, 5]);
    let mut second = Directory::of_ten("trials.count = 5", &[8, 7, 6, 5, 4]);
    second.records.remove(&1);
    let found = compared(&first, &second, 0.95).expect("they match").conditions.remove(0);
    assert_eq!(found.draws, (4, 4));
    // Each is 0.1 less: nothing varies but what rounding leaves.
    assert!((found.accuracy.mean.difference + 0.1).abs() < 1e-15);
    assert!(found.accuracy.mean.interval.1 < -0.1 + 1e-15);
    for draw in [0, 2, 3] {
        second.records.remove(&draw);
    }
    let error = compared(&first, &second, 0.95).expect_err("one pair").to_string();
    assert_eq!(error, "the only condition: found 1 draws, expected at least 2; run the campaign on");
    assert!(compared(&first, &first, 1.0).is_err());
}

/// A campaign and itself: no difference, and no p-value to speak of.
#[test]
fn the_same_is_no_different() {
    let first = Directory::of_ten("trials.count = 5", &[9, 8, 7, 6, 5]);
    let found = compared(&first, &first, 0.95).expect("they match").conditions.remove(0);
    assert_eq!((found.accuracy.mean.difference, found.accuracy.mean.interval), (0.0, (0.0, 0.0)));
    assert_eq!((found.accuracy.mean.p_value, found.accuracy.adjusted_p_value), (None, None));
    assert_eq!(found.accuracy.adjusted_signed_rank_p_value, Some(1.0));
}

#[test]
fn two_exhaustive_campaigns_differ_by_what_they_differ() {
    let exhaustive = |sites: u64, lost_of: &[u64]| {
        let toml = "trials.exhaustive = true\nfault = [{ model = \"bit-flip\" }]";
        let mut made = Directory::new(toml, &[(Vec::new(), sites)], sites, (10, 10));
        for &sdc in lost_of {
            made.add(0, lost(10, sdc));
        }
        made
    };
    let (first, second) = (exhaustive(4, &[1, 2, 3, 6]), exhaustive(3, &[1, 0, 2]));
    // (9 + 8 + 7 + 4) / 40 = 0.7 and (9 + 10 + 8) / 30 = 0.9.
    let found = compared(&first, &second, 0.95).expect("complete").conditions.remove(0);
    let difference = found.accuracy;
    close(difference.mean.difference, 0.2);
    assert_eq!(difference.mean.interval, (difference.mean.difference, difference.mean.difference));
    assert_eq!((difference.mean.standard_error, difference.mean.p_value), (0.0, None));
    assert_eq!((difference.signed_rank, difference.adjusted_p_value), (None, None));
    close(found.accuracy_drop.mean.difference, -0.2);
    assert!(matches!(compared(&first, &second, 1.5), Err(AnalysisError::Statistics(_))));
    // One fault less, and nothing can be said.
    let part = exhaustive(4, &[1, 0, 2]);
    assert!(matches!(compared(&first, &part, 0.95), Err(AnalysisError::PartOfAll { .. })));
}
