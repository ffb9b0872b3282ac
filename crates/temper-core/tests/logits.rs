//! Real trained networks, imported as a user would: logits fault-free and with faulty weights against those of PyTorch and
//! onnxruntime (`fixtures/logits`), and accuracy over real test images.

pub mod support;

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde::Deserialize;
use support::fixture;
use temper_core::data::{Inputs, Preprocessing, Split, load};
use temper_core::execution::{ParameterId, Program, Weights, Workspace, logits, top_class};
use temper_core::network::import::{fit, onnx, read_weights};
use temper_core::network::zoo::ArchitectureOptions;
use temper_core::network::{GraphDescription, Network, NodeId, Op, ParameterKind};

/// One weight of a fault case: its layer's place among convolutions and linear layers, its place in it, its bits.
#[derive(Deserialize)]
struct Site {
    layer: usize,
    index: usize,
    before: u32,
    after: u32,
}

/// A fault case, with how well other right implementations agree with the reference.
#[derive(Deserialize)]
struct Case {
    #[serde(rename = "case")]
    number: usize,
    name: String,
    sites: Vec<Site>,
    max_error: f32,
    portable: bool,
}

/// The reference answers for one model.
struct Reference {
    bytes: Vec<u8>,
    metadata: HashMap<String, String>,
}

impl Reference {
    fn open(model: &str) -> Self {
        let bytes =
            std::fs::read(fixture(&format!("logits/{model}.safetensors"))).expect("the fixture exists");
        let (_, header) = SafeTensors::read_metadata(&bytes).expect("the fixture is a safetensors file");
        let metadata = header.metadata().clone().expect("the fixture has metadata");
        Self { bytes, metadata }
    }

    fn json<T: serde::de::DeserializeOwned>(&self, key: &str) -> T {
        serde_json::from_str(&self.metadata[key]).unwrap_or_else(|error| panic!("{key}: {error}"))
    }

    fn tensor(&self, name: &str) -> Option<Vec<f32>> {
        let file = SafeTensors::deserialize(&self.bytes).expect("the fixture is a safetensors file");
        let view = file.tensor(name).ok()?;
        assert_eq!(view.shape(), [IMAGES, 10], "{name}");
        Some(view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }
}

/// Test images whose logits are stored.
const IMAGES: usize = 24;

/// What a difference from the reference may be, given how much other right implementations differ: a few times that, and never
/// less than rounding of another order of additions explains.
fn tolerance(max_error: f32) -> f32 {
    4.0 * max_error + 1e-5
}

/// Cases in which the order of additions decides what overflows, beyond those that the fixture knows of: summed one after another,
/// as here, some of the 11 616 products of `fc1` pass the largest float on the way; summed in blocks, as everywhere in the fixture,
/// they do not.
const DECIDED_BY_ORDER: [(&str, usize); 2] = [("burn-mnist-pt", 0), ("burn-mnist-safetensors", 0)];

/// Holds logits against the reference's and returns the largest difference: relative to its size where that is above one, and to a
/// thousandth of the image's largest logit where most of it has cancelled. Values that are not finite must be of the same kind,
/// unless rounding decides that (`portable` is false).
fn compare(found: &[f32], expected: &[f32], max_error: f32, portable: bool, what: &str) -> f32 {
    assert_eq!(found.len(), expected.len(), "{what}");
    let mut worst = 0f32;
    for (image, (found, expected)) in found.chunks_exact(10).zip(expected.chunks_exact(10)).enumerate() {
        let finite = expected.iter().filter(|value| value.is_finite());
        let unit = finite.fold(1f32, |unit, value| unit.max(value.abs() * 1e-3));
        for (class, (found, expected)) in found.iter().zip(expected).enumerate() {
            if found.is_finite() && expected.is_finite() {
                worst = worst.max((found - expected).abs() / expected.abs().max(unit));
            } else if portable {
                let same = found == expected || found.is_nan() && expected.is_nan();
                assert!(same, "{what}: image {image}, class {class}: {found}, expected {expected}");
            }
        }
    }
    assert!(worst <= tolerance(max_error), "{what}: off by {worst:e}, others by {max_error:e}");
    worst
}

/// A compiled network and the node whose values are logits: the output, or what goes into its softmax.
struct Subject {
    program: Program,
    weights: Weights,
    /// The weights of convolutions and linear layers, in order.
    layers: Vec<ParameterId>,
    logits: NodeId,
    ends_in_softmax: bool,
}

impl Subject {
    fn new(network: &Network) -> Self {
        let output = network.node(network.output());
        let ends_in_softmax = matches!(output.op, Op::Softmax { .. });
        let logits = if ends_in_softmax { output.inputs[0] } else { network.output() };
        let (program, weights) = Program::compile(network, &[logits], &[]);
        let is_weight =
            |parameter: &temper_core::network::Parameter<'_>| parameter.kind == ParameterKind::Weight;
        let layers = network.parameters().enumerate();
        let layers = layers.filter(|(_, (_, parameter))| is_weight(parameter)).map(|(id, _)| ParameterId(id));
        Self { layers: layers.collect(), program, weights, logits, ends_in_softmax }
    }

    /// Outputs and logits of the first images.
    fn run(&self, inputs: &Inputs<'_>) -> [Vec<f32>; 2] {
        let mut workspace = Workspace::recording(&self.program);
        inputs.fill(0..IMAGES, workspace.input_mut(&self.program, IMAGES));
        self.program.run(&self.weights, &mut workspace);
        let logits = workspace.activation(&self.program, self.logits).expect("the node is observed");
        [workspace.output(&self.program).to_vec(), logits.to_vec()]
    }

    /// Compares fault-free or faulty results; `suffix` is the name they are stored under. Returns the largest difference.
    fn compare(
        &self,
        inputs: &Inputs<'_>,
        reference: &Reference,
        suffix: &str,
        max_error: f32,
        portable: bool,
    ) -> f32 {
        let [outputs, logits] = self.run(inputs);
        let expected = reference.tensor(suffix).expect("the fixture holds the tensor");
        let worst = compare(&outputs, &expected, max_error, portable, suffix);
        let stored = reference.tensor(&format!("logits.{suffix}"));
        assert_eq!(stored.is_some(), self.ends_in_softmax);
        stored.map_or(worst, |stored| worst.max(compare(&logits, &stored, max_error, portable, suffix)))
    }

    fn check_case(&mut self, inputs: &Inputs<'_>, reference: &Reference, case: &Case, portable: bool) {
        for site in &case.sites {
            let before = self.weights.get(self.layers[site.layer], site.index).to_bits();
            assert_eq!(
                before, site.before,
                "case {}: layer {}, weight {}",
                case.number, site.layer, site.index
            );
            self.weights.set(self.layers[site.layer], site.index, f32::from_bits(site.after));
        }
        let suffix = format!("faulty.{}", case.number);
        let worst = self.compare(inputs, reference, &suffix, case.max_error, portable);
        println!("  {}: off by {worst:.1e}, others by {:.1e}", case.name, case.max_error);
        for site in &case.sites {
            self.weights.set(self.layers[site.layer], site.index, f32::from_bits(site.before));
        }
    }
}

/// Checks one model: golden and faulty logits of the first images, and how many of the first `count` images are right; that is
/// known for the whole test set from the fixture, otherwise it is `correct`, as PyTorch counts.
fn check(model: &str, data: &str, read: impl Fn(&Path) -> Network, count: usize, correct: Option<usize>) {
    let Some(folder) = std::env::var_os("TEMPER_DATA").map(PathBuf::from) else {
        // Straight to standard error, past the test runner, which hides what tests print.
        let _ = writeln!(std::io::stderr(), "skipped: TEMPER_DATA is not set");
        return;
    };
    let reference = Reference::open(model);
    let network = read(&folder.join("models"));
    let images = load(data, Split::Test, None, &folder).unwrap_or_else(|error| panic!("{error}"));
    let images = images.take(count).expect("at least one image");
    let preprocessing: Preprocessing = reference.json("preprocessing");
    let inputs = preprocessing.bind(&images, network.input_shape()).expect("the images fit the network");
    let mut subject = Subject::new(&network);
    assert_eq!(subject.layers.len(), reference.json::<Vec<String>>("layers").len());

    let golden = subject.run(&inputs);
    let worst = subject.compare(&inputs, &reference, "golden", reference.json("golden_max_error"), true);
    println!("{model}: golden off by {worst:.1e}");
    let cases: Vec<Case> = reference.json("faults");
    assert_eq!(cases.len(), 13);
    for case in &cases {
        let portable = case.portable && !DECIDED_BY_ORDER.contains(&(model, case.number));
        subject.check_case(&inputs, &reference, case, portable);
    }
    assert_eq!(subject.run(&inputs), golden, "faults that were taken back leave nothing");

    let outputs = logits(&subject.program, &subject.weights, &inputs, &|_| {});
    let right = outputs.chunks_exact(10).zip(images.labels());
    let right = right.filter(|(logits, label)| top_class(logits) == Some(usize::from(**label))).count();
    println!("{model}: {right} of {count} are right");
    // Where two classes are nearer to each other than right implementations are, an image may be counted either way.
    let undecided = usize::from(reference.json::<f32>("min_top_1_margin") < 1e-4);
    let expected = correct.unwrap_or_else(|| reference.json("correct"));
    assert!(right.abs_diff(expected) <= undecided, "{model}: {right} are right, expected {expected}");
}

/// A network of the zoo with the weights of a checkpoint; `edit` changes its graph before.
fn import(path: &Path, family: &str, edit: impl Fn(&mut GraphDescription)) -> Network {
    let dict = read_weights(path, None).unwrap_or_else(|error| panic!("{error}"));
    let shapes: Vec<&[usize]> = dict.entries().iter().map(|(_, tensor)| tensor.shape()).collect();
    let family = family.parse().expect("a known family");
    let network =
        ArchitectureOptions::default().infer(family, &shapes).build().expect("a sound architecture");
    let mut graph = GraphDescription::from(&network);
    edit(&mut graph);
    let network = graph.build().expect("a sound graph");
    fit(dict, network).unwrap_or_else(|error| panic!("{error}")).network
}

/// CrossSim's networks were trained with another epsilon in the first batch norm.
fn stem_eps(graph: &mut GraphDescription) {
    let node = graph.nodes.iter_mut().find(|node| node.name == "bn1").expect("the stem's batch norm");
    let Op::BatchNorm { eps, .. } = &mut node.op else { panic!("{node:?}") };
    *eps = 1e-3;
}

/// The network described in the repository's examples with the weights of a checkpoint.
fn burn(path: &Path) -> Network {
    let description = fixture("../examples/architectures/burn-mnist.toml");
    let description = std::fs::read_to_string(description).expect("the example exists");
    let graph: GraphDescription = toml::from_str(&description).unwrap_or_else(|error| panic!("{error}"));
    let dict = read_weights(path, None).unwrap_or_else(|error| panic!("{error}"));
    fit(dict, graph.build().expect("a sound graph")).unwrap_or_else(|error| panic!("{error}")).network
}

#[test]
fn resnet20() {
    let read = |models: &Path| import(&models.join("resnet20-12fca82f.th"), "resnet20", |_| {});
    check("resnet20-12fca82f", "cifar-10", read, 10_000, None);
}

#[test]
fn resnet32() {
    let read = |models: &Path| import(&models.join("resnet32-d509ac18.th"), "resnet32", |_| {});
    check("resnet32-d509ac18", "cifar-10", read, 1_000, Some(928));
}

#[test]
fn crosssim_resnet14() {
    let read = |models: &Path| import(&models.join("crosssim-resnet14_cifar10.pth"), "resnet14", stem_eps);
    check("crosssim-resnet14", "cifar-10", read, 1_000, Some(890));
}

#[test]
fn crosssim_resnet20() {
    let read = |models: &Path| import(&models.join("crosssim-resnet20_cifar10.pth"), "resnet20", stem_eps);
    check("crosssim-resnet20", "cifar-10", read, 1_000, Some(911));
}

#[test]
fn mrfi_lenet() {
    let read = |models: &Path| import(&models.join("mrfi-lenet_cifar10.pth"), "lenet5", |_| {});
    check("mrfi-lenet", "cifar-10", read, 10_000, None);
}

#[test]
fn burn_mnist_pytorch() {
    check("burn-mnist-pt", "mnist", |models| burn(&models.join("burn-mnist.pt")), 10_000, None);
}

#[test]
fn burn_mnist_safetensors() {
    let read = |models: &Path| burn(&models.join("burn-mnist.safetensors"));
    check("burn-mnist-safetensors", "mnist", read, 1_000, Some(990));
}

#[test]
fn lltfi_mnist() {
    let read = |models: &Path| {
        let bytes = std::fs::read(models.join("lltfi-mnist-cnn.onnx")).expect("the model exists");
        onnx::read(&bytes).unwrap_or_else(|error| panic!("{error}")).network
    };
    check("lltfi-mnist-cnn", "mnist", read, 10_000, None);
}
