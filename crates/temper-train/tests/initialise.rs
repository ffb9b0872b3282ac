//! What networks start from: bounds, distributions and streams.

use proptest::prelude::*;
use temper_core::Tensor;
use temper_core::network::{Network, Node, NodeId, Op, Padding2d, Pair};
use temper_train::{Fan, Initialisation, initialise};

const KAIMING: Initialisation = Initialisation::KaimingNormal { mode: Fan::FanIn };
const KAIMING_OUT: Initialisation = Initialisation::KaimingNormal { mode: Fan::FanOut };

/// A grouped convolution of 6 to 160 channels with 5×5 taps (fans 75 and 4000), batch norm, a constant added, and a linear layer.
fn network() -> Network {
    let conv = Op::Conv2d {
        in_channels: 6,
        out_channels: 160,
        kernel: Pair::square(5),
        stride: Pair::square(1),
        padding: Padding2d::uniform(0),
        dilation: Pair::square(1),
        groups: 2,
        bias: true,
    };
    let nodes = [
        ("input", Op::Input { shape: vec![6, 7, 7] }, vec![]),
        ("conv", conv, vec![0]),
        ("bn", Op::BatchNorm { num_features: 160, eps: 1e-5 }, vec![1]),
        ("offset", Op::Constant { shape: vec![1] }, vec![]),
        ("add", Op::Add, vec![2, 3]),
        ("flatten", Op::Flatten, vec![4]),
        ("fc", Op::Linear { in_features: 1440, out_features: 100, bias: true }, vec![5]),
    ];
    let nodes = nodes.map(|(name, op, inputs)| Node {
        name: name.to_owned(),
        op,
        inputs: inputs.into_iter().map(NodeId).collect(),
    });
    let blank = Network::with_blank_parameters(nodes.to_vec(), NodeId(6)).expect("shapes fit");
    let mut parameters = blank.tensors().clone();
    for tensor in parameters.values_mut() {
        tensor.data_mut().fill(7.0);
    }
    blank.with_parameters(parameters).expect("the same shapes")
}

fn tensor(network: &Network, path: &str) -> Tensor {
    network.tensors()[path].clone()
}

/// Mean and variance.
fn moments(values: &[f32]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
    let variance = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, variance)
}

/// Checks mean 0 and the variance, each within five standard errors; `kurtosis` is the distribution's fourth moment in variances
/// squared.
fn check_moments(values: &[f32], variance: f64, kurtosis: f64) {
    let (mean, found) = moments(values);
    let count = values.len() as f64;
    assert!(mean.abs() < 5.0 * (variance / count).sqrt(), "mean {mean} of variance {variance}");
    let error = variance * ((kurtosis - 1.0) / count).sqrt();
    assert!((found - variance).abs() < 5.0 * error, "variance {found}, expected {variance} ± {error}");
}

#[test]
fn pytorchs_layers_start_uniform_within_their_fan() {
    for seed in [0, 1] {
        let network = initialise(network(), Initialisation::default(), seed);
        for (path, fan_in) in
            [("conv.weight", 75.0), ("conv.bias", 75.0), ("fc.weight", 1440.0), ("fc.bias", 1440.0)]
        {
            let tensor = tensor(&network, path);
            let bound = 1.0 / f64::sqrt(fan_in);
            let largest = tensor.data().iter().fold(0.0, |largest, &v| f64::max(largest, f64::from(v.abs())));
            // The chance that the largest of n stays below 1 − 8/n of the bound is e⁻⁸.
            let expected = bound * (1.0 - 8.0 / tensor.data().len() as f64);
            assert!((expected..=bound * (1.0 + 1e-6)).contains(&largest), "{path}: {largest} of {bound}");
            check_moments(tensor.data(), bound * bound / 3.0, 1.8);
        }
    }
}

#[test]
fn kaiming_normal_has_the_variance_of_its_fan() {
    for (rule, conv_fan, fc_fan) in [(KAIMING, 75.0, 1440.0), (KAIMING_OUT, 4000.0, 100.0)] {
        let network = initialise(network(), rule, 5);
        for (path, fan) in [("conv.weight", conv_fan), ("fc.weight", fc_fan)] {
            let weight = tensor(&network, path);
            check_moments(weight.data(), 2.0 / fan, 3.0);
            // Of a normal distribution 4.55 % lie beyond two standard deviations.
            let beyond =
                weight.data().iter().filter(|v| f64::from(v.abs()) > 2.0 * f64::sqrt(2.0 / fan)).count();
            let (count, share) = (weight.data().len() as f64, 0.0455);
            let error = (count * share * (1.0 - share)).sqrt();
            assert!((beyond as f64 - count * share).abs() < 5.0 * error, "{path}: {beyond} of {count}");
        }
        for path in ["conv.bias", "fc.bias"] {
            assert!(tensor(&network, path).data().iter().all(|&v| v == 0.0));
        }
    }
}

#[test]
fn batch_norm_starts_as_identity_and_constants_stay() {
    for rule in [Initialisation::default(), KAIMING] {
        let network = initialise(network(), rule, 5);
        for (path, value) in [
            ("bn.weight", 1.0),
            ("bn.bias", 0.0),
            ("bn.running_mean", 0.0),
            ("bn.running_var", 1.0),
            ("offset.value", 7.0),
        ] {
            assert!(tensor(&network, path).data().iter().all(|&v| v == value), "{path}");
        }
    }
}

/// Linear layers of these names, each of 3 to 3 features.
fn chain(names: &[&str]) -> Network {
    let input = Node { name: "input".to_owned(), op: Op::Input { shape: vec![3] }, inputs: vec![] };
    let layer = |(i, name): (usize, &&str)| Node {
        name: (*name).to_owned(),
        op: Op::Linear { in_features: 3, out_features: 3, bias: true },
        inputs: vec![NodeId(i)],
    };
    let nodes = std::iter::once(input).chain(names.iter().enumerate().map(layer)).collect();
    Network::with_blank_parameters(nodes, NodeId(names.len())).expect("shapes fit")
}

#[test]
fn a_parameter_depends_on_seed_and_path_alone() {
    let rule = Initialisation::default();
    let of = |names: &[&str], seed| initialise(chain(names), rule, seed);
    let (one, more) = (of(&["a"], 3), of(&["c", "b", "a"], 3));
    assert_eq!(tensor(&one, "a.weight"), tensor(&more, "a.weight"));
    assert_eq!(tensor(&one, "a.bias"), tensor(&more, "a.bias"));
    assert_ne!(tensor(&more, "a.weight"), tensor(&more, "b.weight"));
    assert_ne!(tensor(&one, "a.weight"), tensor(&of(&["a"], 4), "a.weight"));
    assert_ne!(tensor(&one, "a.weight").data()[..3], *tensor(&one, "a.bias").data());
}

#[test]
fn draws_never_change() {
    // Whoever repeats a training relies on these: other values here mean that a library draws otherwise than before.
    let start = |rule, path| tensor(&initialise(chain(&["fc"]), rule, 1), path).data()[..3].to_vec();
    assert_eq!(start(Initialisation::default(), "fc.bias"), [-0.292_702_94, 0.553_962_95, 0.406_939_4]);
    assert_eq!(start(KAIMING, "fc.weight"), [0.216_331_9, -0.068_705_09, 0.108_627_08]);
}

proptest! {
    #[test]
    fn seeds_repeat_and_differ(a: u64, b: u64) {
        let of = |seed| initialise(chain(&["fc"]), KAIMING, seed);
        prop_assert_eq!(of(a), of(a));
        prop_assert_eq!(of(a) == of(b), a == b);
    }
}

#[test]
fn rules_are_written_as_in_pytorch() {
    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Recipe {
        initialisation: Initialisation,
    }
    let read = |text: &str| toml::from_str::<Recipe>(text).map(|recipe| recipe.initialisation);
    assert_eq!(read("initialisation.kind = 'pytorch'"), Ok(Initialisation::default()));
    assert_eq!(read("initialisation.kind = 'kaiming-normal'"), Ok(KAIMING));
    assert_eq!(read("initialisation = { kind = 'kaiming-normal', mode = 'fan_out' }"), Ok(KAIMING_OUT));
    for bad in [
        "{ kind = 'pytorch', mode = 'fan_in' }",
        "{ kind = 'xavier' }",
        "{ kind = 'kaiming-normal', gain = 1 }",
    ] {
        read(&format!("initialisation = {bad}")).expect_err(bad);
    }
}
