//! What one fault strikes together, by hand: channels, rows, columns, bursts of words and of bits.

pub mod support;

use std::collections::BTreeSet;

use support::brute::members;
use support::{fault, memory};
use temper_core::fault::{Damage, Fault, FaultError, FaultSite, Number, trial_stream};
use temper_core::network::{GraphDescription, Network};

/// A convolution `[2, 4, 6]` → `[3, 3, 4]` with weights `[3, 2, 2, 3]`, and a linear layer with weights `[5, 36]`.
fn network() -> Network {
    let graph = r#"{"input": [2, 4, 6], "node": [
        {"name": "conv", "op": {"kind": "conv2d", "in_channels": 2, "out_channels": 3, "kernel": [2, 3]}},
        {"name": "flatten", "op": {"kind": "flatten"}},
        {"name": "fc", "op": {"kind": "linear", "in_features": 36, "out_features": 5}}]}"#;
    let graph: GraphDescription = serde_json::from_str(graph).expect("valid JSON");
    graph.build().expect("a sound network")
}

fn resolved(toml: &str) -> Result<Fault, FaultError> {
    let fault = fault(toml);
    fault.resolve(&memory(&network(), &fault), Number::Specified)
}

/// All sites there are, in order.
fn sites(toml: &str) -> Vec<FaultSite> {
    let fault = resolved(&format!("count = 0\n{toml}")).unwrap_or_else(|error| panic!("{toml}: {error}"));
    let mut stream = trial_stream(0, 0);
    (0..fault.sites()).map(|site| fault.site(site, &mut stream)).collect()
}

fn sets(toml: &str) -> Vec<Vec<usize>> {
    sites(toml).iter().map(|site| members(site).collect()).collect()
}

#[test]
fn shapes_of_parameters_are_those_of_a_matrix_of_output_channels() {
    let conv = |shape: &str| sets(&format!("model = 'zeroing'\nlayers = 'conv'\nshape = '{shape}'"));
    let rows: Vec<Vec<usize>> = vec![(0..12).collect(), (12..24).collect(), (24..36).collect()];
    assert_eq!(conv("channel"), rows);
    assert_eq!(conv("row"), rows);
    let columns: Vec<Vec<usize>> = (0..12).map(|place| vec![place, place + 12, place + 24]).collect();
    assert_eq!(conv("column"), columns);
    assert_eq!(conv("value"), (0..36).map(|i| vec![i]).collect::<Vec<_>>());

    let linear = |shape: &str| sets(&format!("model = 'zeroing'\nlayers = 'fc'\nshape = '{shape}'"));
    let rows: Vec<Vec<usize>> = (0..5).map(|out| (36 * out..36 * out + 36).collect()).collect();
    assert_eq!(linear("channel"), rows);
    assert_eq!(linear("row"), rows);
    let columns: Vec<Vec<usize>> = (0..36).map(|i| vec![i, i + 36, i + 72, i + 108, i + 144]).collect();
    assert_eq!(linear("column"), columns);

    let bias = |shape: &str| {
        sets(&format!("model = 'zeroing'\ntarget = 'bias'\nlayers = 'conv'\nshape = '{shape}'"))
    };
    assert_eq!(bias("channel"), [[0], [1], [2]]);
    assert_eq!(bias("row"), [[0], [1], [2]]);
    assert_eq!(bias("column"), [[0, 1, 2]]);
}

#[test]
fn shapes_of_activations_are_those_of_images() {
    let of = |layer: &str, shape: &str| {
        sets(&format!("model = 'zeroing'\ntarget = 'activation'\nlayers = '{layer}'\nshape = '{shape}'"))
    };
    // [3, 3, 4]
    assert_eq!(of("conv", "channel"), [0, 12, 24].map(|first| (first..first + 12).collect::<Vec<_>>()));
    let rows: Vec<Vec<usize>> = (0..9).map(|row| (4 * row..4 * row + 4).collect()).collect();
    assert_eq!(of("conv", "row"), rows);
    let column =
        |channel: usize, x: usize| -> Vec<usize> { (0..3).map(|y| 12 * channel + 4 * y + x).collect() };
    let columns: Vec<Vec<usize>> = (0..3).flat_map(|c| (0..4).map(move |x| column(c, x))).collect();
    assert_eq!(of("conv", "column"), columns);
    assert_eq!(columns[5], [13, 17, 21]);
    // [5]: five channels of one value.
    for shape in ["channel", "row", "column", "value"] {
        assert_eq!(of("fc", shape), [[0], [1], [2], [3], [4]], "{shape}");
    }
    // What fc reads is [36].
    let read = "model = 'zeroing'\ntarget = 'activation'\nlayers = 'fc'\nplace = 'input'\nshape = 'channel'";
    assert_eq!(sets(read).len(), 36);
    // The input [2, 4, 6].
    let input = |shape: &str| sets(&format!("model = 'zeroing'\ntarget = 'input'\nshape = '{shape}'"));
    assert_eq!(input("channel"), [(0..24).collect::<Vec<_>>(), (24..48).collect()]);
    assert_eq!((input("row")[5].clone(), input("row").len()), ((30..36).collect(), 8));
    assert_eq!((input("column")[7].clone(), input("column").len()), (vec![25, 31, 37, 43], 12));
}

#[test]
fn bursts_of_words_stay_in_their_tensor() {
    let bursts = sites("model = 'zeroing'\nburst_words = 35");
    // Two begin in the convolution's 36 weights, 146 in the linear layer's 180.
    let begins: Vec<(usize, usize)> = bursts.iter().map(|site| (site.tensor.0, site.start)).collect();
    let expected: Vec<(usize, usize)> = (0..2).map(|i| (0, i)).chain((0..146).map(|i| (2, i))).collect();
    assert_eq!(begins, expected);
    assert!(bursts.iter().all(|site| (site.count, site.step) == (35, 1)));
    // Those too long for the first tensor lie in the second.
    let long = sites("model = 'zeroing'\nburst_words = 180");
    assert_eq!(long.iter().map(|site| (site.tensor.0, site.start)).collect::<Vec<_>>(), [(2, 0)]);
    for rate in ["shape_fault_rate = 1", "count = 1"] {
        let fault =
            resolved(&format!("model = 'bit-flip'\nburst_words = 100\n{rate}")).expect("it fits one tensor");
        let drawn = fault.draw(&mut trial_stream(1, 1));
        assert!(!drawn.is_empty() && drawn.iter().all(|site| site.start + site.count <= 180));
    }
    for amount in ["count = 0", "shape_fault_rate = 0.5"] {
        let error =
            resolved(&format!("model = 'zeroing'\nburst_words = 181\n{amount}")).expect_err("too long");
        assert_eq!(error.to_string(), "burst_words: no tensor chosen holds 181 values in a row");
    }
}

#[test]
fn bursts_of_bits_stay_in_their_word() {
    let masks = |toml: &str| -> BTreeSet<u64> {
        let sites = sites(&format!("model = 'bit-flip'\nlayers = 'conv'\n{toml}"));
        let mask = |site: &FaultSite| match site.damage {
            Damage::Flip(mask) => mask,
            other => panic!("{other:?}"),
        };
        assert_eq!(sites.len() % 36, 0);
        sites.iter().map(mask).collect()
    };
    assert_eq!(masks("burst_bits = 3"), (0..30).map(|bit| 0b111 << bit).collect());
    assert_eq!(masks("burst_bits = 32"), BTreeSet::from([0xffff_ffff]));
    // A burst begins at the chosen bits and may leave them, but not the word.
    assert_eq!(masks("burst_bits = 4\nbits = [0, 22, 28, 29]"), [0, 22, 28].map(|bit| 0b1111 << bit).into());
    assert_eq!(masks("bits = { from = 30, to = 31 }"), [1 << 30, 1 << 31].into());
    let refused = |toml: &str| resolved(&format!("model = 'bit-flip'\n{toml}")).expect_err(toml).to_string();
    assert_eq!(refused("count = 1\nburst_bits = 33"), "burst_bits: expected 1 to 32 for f32, found 33");
    assert_eq!(refused("count = 1\nburst_bits = 0"), "burst_bits: expected 1 to 32 for f32, found 0");
    assert_eq!(
        refused("count = 1\nburst_bits = 2\nbits = 'sign'"),
        "bits: no burst of 2 bits begins at any of them in f32"
    );
    assert_eq!(refused("count = 1\nbits = { from = 4, to = 3 }"), "bits: the range from 4 to 3 is empty");
    assert_eq!(
        refused("count = 1\nbits = { from = 4, to = 32 }"),
        "bits: bit 32 does not exist in f32 (0 to 31)"
    );
    assert_eq!(
        refused("bit_error_rate = 0.5\nburst_bits = 2"),
        "bit_error_rate: a burst or shape is not one bit; use count or shape_fault_rate"
    );
}

#[test]
fn shapes_and_amounts_that_do_not_go_together_are_refused() {
    for (toml, expected) in [
        (
            "shape = 'row'\nvalue_fault_rate = 0.1",
            "value_fault_rate: a burst or shape is not one value; use count or shape_fault_rate",
        ),
        (
            "shape = 'row'\nbit_error_rate = 0.1",
            "bit_error_rate: a burst or shape is not one bit; use count or shape_fault_rate",
        ),
        (
            "shape_fault_rate = 0.1",
            "shape_fault_rate: there is no shape or burst_words; use value_fault_rate or count",
        ),
        (
            "shape = 'row'\nshape_fault_rate = 1.1",
            "shape_fault_rate: 1.1 is not a probability; expected 0 to 1",
        ),
        (
            "shape = 'row'\nburst_words = 2\ncount = 1",
            "burst_words: a burst has no other shape; leave shape out",
        ),
        ("burst_words = 0\ncount = 1", "burst_words: expected at least 1, found 0"),
        (
            "shape = 'row'\ncount = 9\nbits = [3]",
            "count: 9 faults do not fit: there are only 8 different sites",
        ),
        (
            "count = 1\ntarget = 'weight-scale'",
            "target: conv stores its weight-scale in f32, which has none; choose a quantised format in [[storage]]",
        ),
        ("count = 1\nplace = 'output'", "place: only activations have a place; found \"output\" for weight"),
        ("count = 1\ntarget = 'batch-norm'", "target: no layer of the network has batch-norm"),
        ("count = 1\nsigma = 0.1", "sigma: bit-flip takes no such number"),
    ] {
        let error = resolved(&format!("model = 'bit-flip'\n{toml}")).expect_err(toml);
        assert_eq!(error.to_string(), expected);
    }
    for (toml, expected) in [
        ("model = 'zeroing'\nburst_bits = 2", "burst_bits: zeroing strikes whole values; leave it out"),
        ("model = 'gaussian'", "sigma: expected a number, here or in [sweep]; found none"),
        ("model = 'gaussian'\nsigma = -0.1", "sigma: -0.1 is negative; expected a standard deviation"),
        ("model = 'lognormal'\nsigma = inf", "sigma: inf is not finite"),
        ("model = 'lognormal'\nsigma = 1\nmode = 'additive'", "mode: lognormal takes mean, sigma"),
        ("model = 'uniform'\nlow = 1\nhigh = 0.5", "low: 1 is greater than high, 0.5"),
        ("model = 'random-value'\nlow = -1.7e308\nhigh = 1.7e308", "low: -170"),
        ("model = 'set-value'", "value: expected a number, here or in [sweep]; found none"),
        (
            "model = 'gaussian'\nsigma = 1\nmode = 'multiplicative'\nrelative_to = 'std'",
            "relative_to: gaussian takes mean, sigma, mode",
        ),
        (
            "model = 'gaussian'\nsigma = 1\ntarget = 'input'\nrelative_to = 'std'",
            "relative_to: only stored parameters have one; input has none",
        ),
        ("", "model: expected one of bit-flip, stuck-at-0"),
    ] {
        let error = resolved(&format!("{toml}\ncount = 1")).expect_err(toml).to_string();
        assert!(error.starts_with(expected), "{toml}: {error}");
    }
}
