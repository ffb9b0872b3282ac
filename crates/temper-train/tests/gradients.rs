//! Gradients of every operator and of whole networks: by the kernels, by Burn's operators, and by finite differences.

use std::collections::BTreeMap;

use temper_core::Tensor;
use temper_core::network::zoo::{Architecture, Family, Shortcut};
use temper_core::network::{GraphDescription, Network};
use temper_train::device;
use temper_train::differentiable::{Differentiable, Parameters, Pass, Statistics};
use temper_train::{Initialisation, initialise};

/// Numbers that look random, the same every time, within ±1.
fn values(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        f64::from(state) / f64::from(u32::MAX) * 2.0 - 1.0
    };
    (0..count).map(|_| next() as f32).collect()
}

/// The network with parameters that are neither zero nor one.
fn filled(network: Network) -> Network {
    let tensors = network.tensors().iter().enumerate().map(|(i, (path, tensor))| {
        let mut data = values(tensor.data().len(), i as u32 + 7);
        if path.ends_with("running_var") {
            for x in &mut data {
                *x = 0.5 + x.abs();
            }
        }
        (path.clone(), Tensor::new(tensor.shape().to_vec(), data).expect("the same shape"))
    });
    let tensors: BTreeMap<String, Tensor> = tensors.collect();
    network.with_parameters(tensors).expect("the same parameters")
}

struct Case {
    network: Network,
    images: usize,
    labels: Vec<u8>,
    statistics: Statistics,
}

impl Case {
    fn new(network: Network, images: usize, classes: u8, statistics: Statistics) -> Self {
        let labels = (0..images).map(|i| (i * 3 % usize::from(classes)) as u8).collect();
        Self { network, images, labels, statistics }
    }

    fn loss_and_gradients(
        &self,
        function: &Differentiable,
        parameters: &Parameters,
    ) -> (f32, Vec<Option<Vec<f32>>>) {
        let wanted: Vec<bool> = parameters.infos().iter().map(|info| !info.is_statistic()).collect();
        let inputs: usize = self.network.input_shape().iter().product();
        let input = function.upload(values(self.images * inputs, 3), self.images);
        let forward = function.forward(&parameters.values, &wanted, &input, &Pass::plain(self.statistics));
        let loss = function.cross_entropy(&forward, &self.labels, 0.1);
        let value = loss.clone().into_scalar::<f32>();
        (value, forward.gradients(&loss).parameters)
    }

    /// Kernels against Burn.
    fn agrees_with_burn(&self) {
        let parameters = Parameters::of(&self.network);
        let ours = Differentiable::new(&self.network, &device::cpu());
        let burns = Differentiable::new(&self.network, &device::cpu()).by_burn();
        let (loss, gradients) = self.loss_and_gradients(&ours, &parameters);
        let (expected, reference) = self.loss_and_gradients(&burns, &parameters);
        assert!((loss - expected).abs() <= 2e-5 * expected.abs().max(1.0), "loss {loss}, by Burn {expected}");
        for ((info, found), expected) in parameters.infos().iter().zip(&gradients).zip(&reference) {
            assert_eq!(found.is_some(), expected.is_some(), "{}", info.path);
            let (Some(found), Some(expected)) = (found, expected) else { continue };
            // A bias before batch norm has the gradient zero: what is left of it is rounding.
            let scale = expected.iter().fold(1e-3f32, |most, x| most.max(x.abs()));
            for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
                let distance = (found - expected).abs();
                assert!(distance <= 1e-4 * scale, "{}[{i}]: {found}, by Burn {expected}", info.path);
            }
        }
    }

    /// Kernels against central differences of the loss, at a few places of every parameter.
    fn agrees_with_differences(&self) {
        let parameters = Parameters::of(&self.network);
        let function = Differentiable::new(&self.network, &device::cpu());
        let (_, gradients) = self.loss_and_gradients(&function, &parameters);
        for (place, gradient) in gradients.iter().enumerate() {
            let Some(gradient) = gradient else { continue };
            for index in (0..gradient.len()).step_by(gradient.len().div_ceil(5)) {
                let at = |by: f32| {
                    let mut moved = parameters.clone();
                    moved.values[place][index] += by;
                    f64::from(self.loss_and_gradients(&function, &moved).0)
                };
                let step = 2e-3;
                let difference = (at(step) - at(-step)) / (2.0 * f64::from(step));
                let found = f64::from(gradient[index]);
                assert!(
                    (found - difference).abs() <= 2e-3 + 0.02 * difference.abs(),
                    "{}[{index}]: {found}, by differences {difference}",
                    parameters.infos()[place].path
                );
            }
        }
    }
}

fn described(nodes: &str, input: &str) -> Network {
    let text = format!("input = {input}\n{nodes}");
    let description: GraphDescription = toml::from_str(&text).expect("a description");
    filled(description.build().expect("a network"))
}

/// Smooth everywhere, so that differences are exact enough: every operator that has no kinks.
const SMOOTH: &str = r#"
node = [
  { name = "conv1", op = { kind = "conv2d", in_channels = 2, out_channels = 4, kernel = 3, padding = 1, groups = 2 } },
  { name = "bn1", op = { kind = "batch-norm", num_features = 4 } },
  { name = "tanh", op = { kind = "tanh" } },
  { name = "conv2", op = { kind = "conv2d", in_channels = 4, out_channels = 6, kernel = [3, 2], stride = 2, padding = [1, 0, 0, 1], bias = false } },
  { name = "sigmoid", op = { kind = "sigmoid" } },
  { name = "pool", op = { kind = "avg-pool2d", kernel = 2, stride = 1, padding = 1, count_include_pad = false } },
  { name = "pad", op = { kind = "pad", before = [0, 1, 0], after = [0, 0, 1] } },
  { name = "bias", inputs = [], op = { kind = "constant", shape = [6, 1, 1] } },
  { name = "sum", inputs = ["pad", "bias"], op = { kind = "add" } },
  { name = "scale", inputs = [], op = { kind = "constant", shape = [5] } },
  { name = "product", inputs = ["sum", "scale"], op = { kind = "mul" } },
  { name = "turned", op = { kind = "transpose", perm = [1, 0, 2] } },
  { name = "both", inputs = ["turned", "turned"], op = { kind = "concat", axis = 1 } },
  { name = "soft", op = { kind = "softmax", axis = 1 } },
  { name = "flat", op = { kind = "flatten" } },
  { name = "fc", op = { kind = "linear", in_features = 300, out_features = 3 } },
]
"#;

#[test]
fn smooth_operators_agree_with_finite_differences() {
    for statistics in [Statistics::Batch, Statistics::Running] {
        let case = Case::new(described(SMOOTH, "[2, 7, 6]"), 5, 3, statistics);
        case.agrees_with_burn();
        case.agrees_with_differences();
    }
}

const KINKED: &str = r#"
node = [
  { name = "conv1", op = { kind = "conv2d", in_channels = 2, out_channels = 5, kernel = 3, dilation = 2, padding = 2 } },
  { name = "bn1", op = { kind = "batch-norm", num_features = 5 } },
  { name = "relu1", op = { kind = "relu" } },
  { name = "pool1", op = { kind = "max-pool2d", kernel = 3, stride = 2, padding = 1, ceil_mode = true } },
  { name = "leaky", op = { kind = "leaky-relu", negative_slope = 0.1 } },
  { name = "clip", op = { kind = "clip", min = -0.5, max = 0.9 } },
  { name = "pool2", op = { kind = "max-pool2d", kernel = 2, stride = 2 } },
  { name = "skip", inputs = ["pool1"], op = { kind = "global-max-pool" } },
  { name = "sum", inputs = ["pool2", "skip"], op = { kind = "add" } },
  { name = "mean", op = { kind = "global-avg-pool" } },
  { name = "flat", op = { kind = "reshape", shape = [5] } },
  { name = "fc", op = { kind = "linear", in_features = 5, out_features = 4 } },
]
"#;

#[test]
fn operators_with_kinks_agree_with_burns() {
    for images in [1, 9, 40] {
        Case::new(described(KINKED, "[2, 9, 8]"), images, 4, Statistics::Batch).agrees_with_burn();
    }
}

#[test]
fn networks_of_the_zoo_agree_with_burns() {
    let small = |name: &str, widths: &[usize], input: [usize; 3]| Architecture {
        widths: widths.to_vec(),
        input: input.to_vec(),
        ..Architecture::new(name.parse::<Family>().expect("a family"))
    };
    let residual = Architecture { shortcut: Shortcut::B, ..small("resnet8", &[4, 6, 8], [3, 16, 16]) };
    let cases = [
        (small("mlp", &[30, 20], [1, 28, 28]), 33),
        (small("lenet5", &[6, 16, 120, 84], [1, 28, 28]), 17),
        (small("resnet8", &[4, 6, 8], [3, 16, 16]), 6),
        (residual, 6),
        (small("resnet18", &[4, 6, 8, 10], [3, 32, 32]), 4),
    ];
    for (architecture, images) in cases {
        let network =
            initialise(architecture.build().expect("a sound architecture"), Initialisation::default(), 5);
        Case::new(network, images, 10, Statistics::Batch).agrees_with_burn();
    }
}

#[test]
fn gradients_do_not_depend_on_the_number_of_threads() {
    let network =
        initialise(Architecture::new(Family::Lenet5).build().expect("sound"), Initialisation::default(), 1);
    let case = Case::new(network, 50, 10, Statistics::Batch);
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        let function = Differentiable::new(&case.network, &device::cpu());
        pool.install(|| case.loss_and_gradients(&function, &Parameters::of(&case.network)))
    };
    let alone = on(1);
    assert_eq!(alone, on(3));
    assert_eq!(alone, on(8));
}
