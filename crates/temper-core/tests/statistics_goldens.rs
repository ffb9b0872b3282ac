//! Proportions, quantiles, bootstrap intervals and comparisons against SciPy and NumPy (`fixtures/statistics`).

pub mod support;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use temper_core::fault::trial_stream;
use temper_core::statistics::{
    MeanDifference, NullDistribution, Proportion, bca_interval, paired, quantiles, unpaired,
};

fn section<T: DeserializeOwned>(file: &str, name: &str) -> Vec<T> {
    let json = std::fs::read(support::fixture("statistics").join(file)).expect("the fixture exists");
    let mut sections: serde_json::Value = serde_json::from_slice(&json).expect("the fixture is JSON");
    serde_json::from_value(sections[name].take()).expect("the section has these fields")
}

/// Difference relative to the expected number, or absolute if that is 0.
fn difference(found: f64, expected: f64) -> f64 {
    let difference = (found - expected).abs();
    if expected == 0.0 { difference } else { difference / expected.abs() }
}

fn differences(found: (f64, f64), expected: (f64, f64)) -> f64 {
    difference(found.0, expected.0).max(difference(found.1, expected.1))
}

#[derive(Debug, Deserialize)]
struct Counts {
    k: u64,
    n: u64,
    confidence: f64,
    population: Option<u64>,
    limits: Option<(u64, u64)>,
    wilson: Option<(f64, f64)>,
    clopper_pearson: Option<(f64, f64)>,
}

impl Counts {
    fn found(&self) -> Proportion {
        Proportion::new(self.k, self.n, self.confidence, self.population).expect("valid")
    }
}

#[test]
fn proportions_are_scipys() {
    let small = section::<Counts>("t_interval.json", "proportions");
    let large = section::<Counts>("sampling.json", "large");
    for (name, entries, bound) in [("small", small, 1e-12), ("large", large, 1e-9)] {
        let (mut worst, checked) = ([0f64; 2], entries.len());
        for entry in entries {
            let found = entry.found();
            let exact = entry.clopper_pearson.expect("given");
            let off = [
                entry.wilson.map_or(0.0, |wilson| {
                    (found.wilson.0 - wilson.0).abs().max((found.wilson.1 - wilson.1).abs())
                }),
                differences(found.clopper_pearson, exact),
            ];
            assert!(off[0] < 2e-15 && off[1] < bound, "{entry:?}: {found:?}, off by {off:?}");
            worst = [worst[0].max(off[0]), worst[1].max(off[1])];
        }
        println!(
            "{checked} {name}: Wilson off by {:.1e} (absolute), Clopper-Pearson by {:.1e}",
            worst[0], worst[1]
        );
        assert!(checked >= 40);
    }
}

#[test]
fn finite_populations_are_scipys() {
    let entries = section::<Counts>("sampling.json", "finite");
    assert!(entries.len() > 200);
    let mut worst = 0f64;
    for entry in entries {
        let found = entry.found();
        let size = entry.population.expect("given") as f64;
        let (low, high) = entry.limits.expect("given");
        let (low, high) = (low as f64 / size, high as f64 / size);
        // In the largest populations SciPy's logarithms of factorials cost it a few units; there the limits are held to exact
        // products in the next test.
        if size < 1e9 {
            assert_eq!(found.clopper_pearson, (low, high), "{entry:?}");
        } else {
            worst = worst.max(differences(found.clopper_pearson, (low, high)));
        }
        let wilson = entry.wilson.expect("given");
        let off = (found.wilson.0 - wilson.0).abs().max((found.wilson.1 - wilson.1).abs());
        assert!(off < 1e-9, "{entry:?}: {found:?}");
    }
    println!("limits in the largest populations off by {worst:.1e}");
    assert!(worst < 1e-6, "{worst:e}");
}

/// Where no marked unit is drawn, its probability is a product of n fractions. The limit is the last number of marked units
/// whose product reaches the tail.
#[test]
fn limits_in_vast_populations_are_exact() {
    for (population, n) in [(1u64 << 31, 385u64), (1 << 31, 1_000_000), (1 << 40, 1_000_000)] {
        let none_drawn = |marked: u64| -> f64 {
            let left_out = |i| (-(marked as f64) / (population - i) as f64).ln_1p();
            (0..n).map(left_out).sum::<f64>().exp()
        };
        let found = Proportion::new(0, n, 0.95, Some(population)).expect("valid");
        let limit = (found.clopper_pearson.1 * population as f64).round() as u64;
        let (at, beyond) = (none_drawn(limit), none_drawn(limit + 1));
        assert!(at >= 0.025 && beyond < 0.025, "{limit} of {population}: {at}, {beyond}");
    }
}

/// 2⁴⁰ units, a million of them drawn: as close to the binomial as the share drawn is small, and in no time.
#[test]
fn a_vast_population_takes_no_time() {
    let start = std::time::Instant::now();
    for k in [0, 1, 37, 10_000, 500_000, 999_999, 1_000_000] {
        let finite = Proportion::new(k, 1_000_000, 0.99, Some(1 << 40)).expect("valid").clopper_pearson;
        let infinite = Proportion::new(k, 1_000_000, 0.99, None).expect("valid").clopper_pearson;
        let off = (finite.0 - infinite.0).abs().max((finite.1 - infinite.1).abs());
        assert!(off < 2e-9, "{k}: {finite:?}, {infinite:?}");
    }
    println!("{:?}", start.elapsed());
    assert!(start.elapsed().as_secs() < 5);
}

#[derive(Deserialize)]
struct Quantiles {
    values: Vec<f64>,
    probabilities: Vec<f64>,
    #[serde(rename = "quantiles")]
    expected: Vec<f64>,
}

#[test]
fn quantiles_are_numpys() {
    for entry in section::<Quantiles>("sampling.json", "quantiles") {
        let found = quantiles(&entry.values, &entry.probabilities).expect("valid");
        for (found, expected) in found.into_iter().zip(entry.expected) {
            assert!((found - expected).abs() < 1e-15, "{found}, expected {expected}");
        }
    }
}

#[derive(Deserialize)]
struct Bootstrap {
    name: String,
    values: Vec<f64>,
    confidence: f64,
    resamples: usize,
    bounds: (f64, f64),
    deviations: (f64, f64),
}

/// Ours with other random numbers: each bound within 4.5 standard deviations of what SciPy's bounds vary by, or within a
/// hundredth of the interval's width where they hardly vary (discrete means).
#[test]
fn bootstrap_intervals_are_scipys_but_for_chance() {
    for (stream, entry) in (0u64..).zip(section::<Bootstrap>("sampling.json", "bootstrap")) {
        let mut rng = trial_stream(77, stream);
        let found =
            bca_interval(&entry.values, entry.confidence, entry.resamples, &mut rng).expect("several");
        let floor = 0.01 * (entry.bounds.1 - entry.bounds.0);
        let bounds =
            [(found.0, entry.bounds.0, entry.deviations.0), (found.1, entry.bounds.1, entry.deviations.1)];
        for (found, expected, deviation) in bounds {
            let off = (found - expected).abs();
            println!("{} {}: {found:.6}, SciPy {expected:.6} ± {deviation:.6}", entry.name, entry.confidence);
            assert!(off < f64::max(4.5 * deviation, floor), "{}: {found}, expected {expected}", entry.name);
        }
    }
}

#[derive(Deserialize)]
struct TTest {
    degrees_of_freedom: f64,
    p_value: f64,
    confidence: f64,
    interval: (f64, f64),
}

#[derive(Deserialize)]
struct Wilcoxon {
    statistic: f64,
    p_value: f64,
    exact: bool,
}

#[derive(Deserialize)]
struct Samples {
    first: Vec<f64>,
    second: Vec<f64>,
    #[serde(default)]
    zeros: usize,
    t: Vec<TTest>,
    wilcoxon: Option<Wilcoxon>,
}

fn assert_is(found: MeanDifference, expected: &TTest) {
    let free = found.degrees_of_freedom.expect("the values differ");
    let p_value = found.p_value.expect("the values differ");
    let width = found.interval.1 - found.interval.0;
    let off = [
        difference(free, expected.degrees_of_freedom),
        difference(p_value, expected.p_value),
        difference(width, expected.interval.1 - expected.interval.0),
        (found.interval.0 - expected.interval.0).abs() / width,
    ];
    assert!(off.iter().all(|off| *off < 1e-10), "{found:?}: off by {off:?}");
}

#[test]
fn paired_comparisons_are_scipys() {
    let entries = section::<Samples>("comparisons.json", "paired");
    let mut exact = 0;
    for entry in &entries {
        for expected in &entry.t {
            let found = paired(&entry.first, &entry.second, expected.confidence).expect("valid");
            assert_is(found.mean, expected);
            let ranks = found.signed_rank;
            let wilcoxon = entry.wilcoxon.as_ref().expect("given");
            assert_eq!((ranks.zeros, ranks.differences + ranks.zeros), (entry.zeros, entry.first.len()));
            assert_eq!(f64::min(ranks.positive_ranks, ranks.negative_ranks), wilcoxon.statistic);
            assert_eq!(ranks.distribution == NullDistribution::Exact, wilcoxon.exact);
            assert!(difference(ranks.p_value, wilcoxon.p_value) < 1e-12, "{ranks:?}");
            exact += usize::from(wilcoxon.exact);
        }
    }
    assert!(exact > 10 && exact < entries.len() * 3 - 10);
}

#[test]
fn unpaired_comparisons_are_scipys() {
    for entry in section::<Samples>("comparisons.json", "unpaired") {
        for expected in &entry.t {
            let found = unpaired(&entry.first, &entry.second, expected.confidence).expect("valid");
            assert_is(found, expected);
        }
    }
}
