//! Draws: how many sites, which ones, how they are distributed, and what drawing costs.

pub mod support;

use std::collections::{BTreeSet, HashSet};
use std::convert::Infallible;

use rand::rand_core::TryRng;
use rand::{Rng, RngExt};
use temper_core::fault::{Damage, Fault, FaultSite, trial_stream};
use temper_core::network::zoo::{Architecture, Family};
use temper_core::network::{Network, ParameterKind};

/// A perceptron with 784·300, 300·100 and 100·10 weights: 266 200.
fn perceptron() -> Network {
    let architecture = Architecture { widths: vec![300, 100], ..Architecture::new(Family::Mlp) };
    architecture.build().expect("a sound architecture")
}

/// 48·20, 20·12 and 12·10 weights: 1 320.
fn small() -> Network {
    let architecture =
        Architecture { input: vec![3, 4, 4], widths: vec![20, 12], ..Architecture::new(Family::Mlp) };
    architecture.build().expect("a sound architecture")
}

fn resolve(network: &Network, toml: &str) -> Fault {
    support::resolve(network, toml).unwrap_or_else(|error| panic!("{toml}: {error}"))
}

fn sites(fault: &Fault, trial: u64) -> Vec<FaultSite> {
    fault.draw(&mut trial_stream(42, trial))
}

/// A site as parameter, index and flipped bit. Every parameter of a perceptron is a tensor of its memory.
fn flips(sites: &[FaultSite]) -> Vec<(usize, usize, u32)> {
    let flip = |site: &FaultSite| match site.damage {
        Damage::Flip(mask) if mask.is_power_of_two() && site.count == 1 => {
            (site.tensor.0, site.start, mask.trailing_zeros())
        }
        other => panic!("{other:?} is not a flip"),
    };
    sites.iter().map(flip).collect()
}

#[test]
fn a_count_is_exact_and_its_sites_are_distinct_and_sorted() {
    let network = small();
    for count in [0, 1, 2, 11, 12, 40, 163, 1000, 42_239, 42_240] {
        let fault = resolve(&network, &format!("model = 'bit-flip'\ncount = {count}"));
        for trial in 0..3 {
            let flips = flips(&sites(&fault, trial));
            assert_eq!(flips.len(), count);
            assert_eq!(flips.iter().collect::<BTreeSet<_>>().len(), count, "distinct");
            assert!(flips.is_sorted(), "in the order of the parameters");
        }
    }
}

#[test]
fn every_site_is_struck_once_by_the_largest_count_and_by_rate_one() {
    let network = small();
    // Weights are the parameters 0, 2 and 4.
    let values = [(0, 960), (2, 240), (4, 120)];
    let all: Vec<_> = values
        .iter()
        .flat_map(|&(parameter, len)| {
            (0..len).flat_map(move |index| (0..32).map(move |bit| (parameter, index, bit)))
        })
        .collect();
    for amount in ["count = 42240", "bit_error_rate = 1", "bit_error_rate = 1.0"] {
        let fault = resolve(&network, &format!("model = 'bit-flip'\n{amount}"));
        assert_eq!(fault.sites(), 42_240);
        assert_eq!(flips(&sites(&fault, 3)), all, "{amount}");
    }
    let every_value = resolve(&network, "model = 'bit-flip'\nvalue_fault_rate = 1");
    let struck: Vec<_> = flips(&sites(&every_value, 3)).iter().map(|&(p, index, _)| (p, index)).collect();
    let places: Vec<_> = values.iter().flat_map(|&(p, len)| (0..len).map(move |index| (p, index))).collect();
    assert_eq!(struck, places);
}

#[test]
fn rate_zero_strikes_nothing() {
    let network = small();
    for amount in ["count = 0", "bit_error_rate = 0", "bit_error_rate = -0.0", "value_fault_rate = 0.0"] {
        let fault = resolve(&network, &format!("model = 'bit-flip'\n{amount}"));
        assert!((0..100).all(|trial| sites(&fault, trial).is_empty()), "{amount}");
    }
    // The smallest rates there are must neither divide by zero nor loop.
    for rate in ["5e-324", "1e-300", "1e-30"] {
        let fault = resolve(&network, &format!("model = 'bit-flip'\nbit_error_rate = {rate}"));
        assert!((0..100).all(|trial| sites(&fault, trial).is_empty()), "{rate}");
    }
    // And the largest below one: 42 240 sites, each spared with probability 1.1e-16.
    let fault = resolve(&network, "model = 'bit-flip'\nbit_error_rate = 0.9999999999999999");
    assert!((0..10).all(|trial| sites(&fault, trial).len() == 42_240));
}

#[test]
fn only_selected_layers_targets_and_bits_are_struck() {
    let network = small();
    let amounts = ["count = 60", "bit_error_rate = 0.2", "value_fault_rate = 0.5"];
    let selections = [
        ("layers = 'fc2'\nbits = [0, 31, 7]", vec![2], vec![0, 7, 31]),
        ("layers = ['fc1', 'fc3']\nbits = 'exponent'", vec![0, 4], (23..31).collect()),
        ("layers = 'fc[12]'\ntarget = 'bias'\nbits = 'mantissa'", vec![1, 3], (0..23).collect()),
    ];
    for amount in amounts {
        for (selection, parameters, bits) in &selections {
            let fault = resolve(&network, &format!("model = 'bit-flip'\n{amount}\n{selection}"));
            let (mut struck, mut struck_bits) = (BTreeSet::new(), BTreeSet::new());
            for (parameter, index, bit) in (0..40).flat_map(|trial| flips(&sites(&fault, trial))) {
                struck.insert(parameter);
                struck_bits.insert(bit);
                let (_, parameter) = network.parameters().nth(parameter).expect("a parameter");
                assert!(index < parameter.tensor.data().len());
            }
            assert_eq!(struck.into_iter().collect::<Vec<_>>(), *parameters, "{amount}, {selection}");
            assert_eq!(struck_bits.into_iter().collect::<Vec<u32>>(), *bits, "{amount}, {selection}");
        }
    }
}

#[test]
fn a_draw_depends_on_seed_and_trial_alone() {
    let network = perceptron();
    for amount in ["count = 20", "bit_error_rate = 1e-5", "value_fault_rate = 1e-4"] {
        let fault = resolve(&network, &format!("model = 'bit-flip'\n{amount}"));
        let mut seen = HashSet::new();
        for trial in [0, 1, 2, 1000, 1 << 32, u64::MAX] {
            assert_eq!(sites(&fault, trial), sites(&fault, trial));
            for seed in [0, 1, 1 << 32, u64::MAX] {
                let draw = fault.draw(&mut trial_stream(seed, trial));
                assert!(!draw.is_empty());
                assert!(seen.insert(flips(&draw)), "seed {seed}, trial {trial}: drawn before");
            }
        }
    }
}

/// The stream's words as the definition of ChaCha (Bernstein, 2008) gives them with 12 rounds, the seed and zeros as key, counter
/// 0 and the trial as nonce; computed independently. Nine of them: more than one block of 64 bytes.
#[test]
fn the_stream_is_the_known_one() {
    let mut rng = trial_stream(0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210);
    let words: [u64; 9] = std::array::from_fn(|_| rng.next_u64());
    assert_eq!(words, STREAM);
}

const STREAM: [u64; 9] = [
    0xf760_6fe7_1cf5_47a9,
    0xbb6a_bbef_28ae_0769,
    0x47a2_3384_f4b2_3911,
    0x7f08_5af1_fe07_2270,
    0xd7e3_c35c_bf1d_01c1,
    0x37bb_b249_63a7_4fca,
    0x1f23_a7ae_53e6_32ba,
    0xac16_a87e_4442_d355,
    0xdcb5_6dd9_e3ab_d8c1,
];

/// Draws written down: a change of any random stream, also by another version of a dependency, must be noticed, since results
/// published with a seed would no longer be found again.
#[test]
fn draws_are_the_known_ones() {
    let network = perceptron();
    let drawn = |toml: &str| flips(&sites(&resolve(&network, &format!("model = 'bit-flip'\n{toml}")), 7));
    // Both rates computed independently from the stream: gaps of ⌊ln U / ln(1 − p)⌋.
    let by_bit = [
        (0, 12316, 22),
        (0, 51558, 8),
        (0, 54522, 6),
        (0, 70474, 6),
        (0, 101_487, 12),
        (0, 124_166, 14),
        (0, 124_430, 16),
        (0, 159_340, 17),
        (0, 173_116, 23),
        (0, 196_351, 28),
    ];
    assert_eq!(drawn("bit_error_rate = 1e-6"), by_bit);
    let by_value = [
        (0, 19706),
        (0, 82492),
        (0, 87235),
        (0, 112_758),
        (0, 162_379),
        (0, 198_666),
        (0, 199_089),
        (2, 19745),
    ];
    assert_eq!(drawn("value_fault_rate = 2e-5\nbits = [3]"), by_value.map(|(p, index)| (p, index, 3)));
    assert_eq!(
        drawn("value_fault_rate = 1e-5"),
        [(0, 39413, 15), (0, 164_986, 31), (0, 174_471, 10), (0, 225_518, 20)]
    );
    // Sampling without replacement takes another way each for few sites, many of few, and many of many.
    assert_eq!(drawn("count = 3"), [(0, 24378, 24), (0, 157_752, 20), (0, 179_488, 26)]);
    assert_eq!(drawn("count = 30\nlayers = 'fc3'\nbits = [0]")[..3], [(4, 42, 0), (4, 91, 0), (4, 104, 0)]);
    assert_eq!(drawn("count = 200")[..3], [(0, 682, 26), (0, 763, 31), (0, 4791, 12)]);
}

/// Mean and variance of the number of faults over `draws` draws, held against the binomial distribution within four standard
/// errors; the variance of a sample variance is σ⁴ (2 + excess kurtosis) / draws.
fn check_binomial(fault: &Fault, trials: u64, rate: f64, draws: u64) {
    let counts: Vec<f64> = (0..draws).map(|trial| sites(fault, trial).len() as f64).collect();
    let (n, draws) = (trials as f64, draws as f64);
    let mean = counts.iter().sum::<f64>() / draws;
    let variance = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / (draws - 1.0);
    let expected = n * rate * (1.0 - rate);
    let kurtosis = (1.0 - 6.0 * rate * (1.0 - rate)) / expected;
    let mean_error = (mean - n * rate) / (expected / draws).sqrt();
    let variance_error = (variance - expected) / (expected * ((2.0 + kurtosis) / draws).sqrt());
    println!("n = {n}, p = {rate}: off by {mean_error:.2} and {variance_error:.2} standard errors");
    assert!(mean_error.abs() < 4.0, "n = {n}, p = {rate}: mean {mean}, expected {}", n * rate);
    assert!(variance_error.abs() < 4.0, "n = {n}, p = {rate}: variance {variance}, expected {expected}");
}

#[test]
fn numbers_of_faults_have_the_binomials_mean_and_variance() {
    let (large, small) = (perceptron(), small());
    for (network, rate, draws) in [
        (&large, 1e-6, 20_000),
        (&large, 1e-4, 1_000),
        (&small, 1e-3, 10_000),
        (&small, 0.01, 4_000),
        (&small, 0.3, 500),
        (&small, 0.5, 500),
        (&small, 0.97, 500),
    ] {
        let bits = resolve(network, &format!("model = 'bit-flip'\nbit_error_rate = {rate}"));
        check_binomial(&bits, bits.sites(), rate, draws);
        let values = resolve(network, &format!("model = 'bit-flip'\nvalue_fault_rate = {rate}"));
        check_binomial(&values, values.units(), rate, draws);
    }
}

/// Pearson's statistic of counts against expected shares.
fn chi_square(counts: &[f64], shares: &[f64]) -> f64 {
    let (count, share) = (counts.iter().sum::<f64>(), shares.iter().sum::<f64>());
    let term = |(found, share_of): (&f64, &f64)| {
        let expected = count * share_of / share;
        (found - expected).powi(2) / expected
    };
    counts.iter().zip(shares).map(term).sum()
}

#[test]
fn sites_are_uniform_over_layers_places_and_bits() {
    let network = perceptron();
    let sizes = [235_200.0, 30_000.0, 1_000.0];
    for amount in ["count = 200", "count = 9", "bit_error_rate = 2e-5", "value_fault_rate = 1e-3"] {
        let fault = resolve(&network, &format!("model = 'bit-flip'\n{amount}"));
        let (mut layers, mut tenths, mut bits) = ([0.0; 3], [0.0; 10], [0.0; 32]);
        for (parameter, index, bit) in (0..400).flat_map(|trial| flips(&sites(&fault, trial))) {
            layers[parameter / 2] += 1.0;
            bits[bit as usize] += 1.0;
            if parameter == 0 {
                tenths[index * 10 / 235_200] += 1.0;
            }
        }
        let found =
            [chi_square(&layers, &sizes), chi_square(&tenths, &[1.0; 10]), chi_square(&bits, &[1.0; 32])];
        println!("{amount}: {found:.1?} over {} sites", layers.iter().sum::<f64>());
        // The 99.9 % quantiles of chi square with 2, 9 and 31 degrees of freedom.
        for (found, limit) in found.iter().zip([13.82, 27.88, 61.10]) {
            assert!(found < &limit, "{amount}: {found} > {limit}");
        }
    }
}

/// Counts the words taken from a stream.
struct Counting<R> {
    rng: R,
    words: usize,
}

impl<R: Rng> TryRng for Counting<R> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.words += 1;
        Ok(self.rng.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.words += 1;
        Ok(self.rng.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.words += bytes.len().div_ceil(8);
        self.rng.fill(bytes);
        Ok(())
    }
}

#[test]
fn drawing_costs_what_the_faults_cost() {
    let architecture = Architecture { widths: vec![3_000, 2_500], ..Architecture::new(Family::Mlp) };
    let network = architecture.build().expect("a sound architecture");
    let weights = |(_, parameter): (_, temper_core::network::Parameter<'_>)| {
        if parameter.kind == ParameterKind::Weight { parameter.tensor.data().len() } else { 0 }
    };
    assert_eq!(network.parameters().map(weights).sum::<usize>(), 9_877_000);
    // A rate needs a word for every fault and one to end; a bit chosen within a value one more; sampling without replacement may
    // reject what it has drawn before.
    for (amount, words_per_fault) in [
        ("count = 10", 2),
        ("count = 1000", 2),
        ("bit_error_rate = 3e-8", 1),
        ("bit_error_rate = 3e-6", 1),
        ("value_fault_rate = 1e-6", 2),
    ] {
        let fault = resolve(&network, &format!("model = 'bit-flip'\n{amount}"));
        for trial in 0..50 {
            let mut rng = Counting { rng: trial_stream(42, trial), words: 0 };
            let faults = fault.draw(&mut rng).len();
            assert!(rng.words <= words_per_fault * faults + 1, "{amount}: {} for {faults}", rng.words);
        }
    }
}
