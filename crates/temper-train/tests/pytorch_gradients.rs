//! One training step of small networks against PyTorch: logits, loss, every gradient, running statistics.

use std::collections::BTreeMap;
use std::path::PathBuf;

use safetensors::SafeTensors;
use temper_core::Tensor;
use temper_core::network::Network;
use temper_core::network::zoo::{Architecture, Family, Shortcut};
use temper_train::device;
use temper_train::differentiable::{BATCH_NORM_MOMENTUM, Differentiable, Parameters, Pass, Statistics};
use temper_train::recipe::RecipeSpec;
use temper_train::stored::{Moment, Stored};

/// What `fixtures/training/gradients.py` wrote.
struct Reference {
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Reference {
    fn read(name: &str) -> Self {
        let folder =
            [env!("CARGO_MANIFEST_DIR"), "..", "..", "fixtures", "training"].iter().collect::<PathBuf>();
        let bytes =
            std::fs::read(folder.join(format!("step-{name}.safetensors"))).expect("the fixture is there");
        let tensors = SafeTensors::deserialize(&bytes).expect("the fixture is whole");
        let read = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
            let values = view.data().as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
            (name, (view.shape().to_vec(), values.collect()))
        };
        Self { tensors: tensors.tensors().into_iter().map(read).collect() }
    }

    fn values(&self, name: &str) -> &[f32] {
        &self.tensors[name].1
    }

    fn labels(&self) -> Vec<u8> {
        self.values("label").iter().map(|&label| label as u8).collect()
    }

    /// The network with the reference's parameters.
    fn network(&self, architecture: &Architecture) -> Network {
        let given = self.under("parameter.").map(|(path, (shape, values))| {
            (path.to_owned(), Tensor::new(shape.clone(), values.clone()).expect("a whole tensor"))
        });
        let network = architecture.build().expect("a sound architecture");
        network.with_parameters(given.collect()).expect("the same parameters")
    }

    fn under(&self, prefix: &str) -> impl Iterator<Item = (&str, &(Vec<usize>, Vec<f32>))> {
        self.tensors.iter().filter_map(move |(name, tensor)| Some((name.strip_prefix(prefix)?, tensor)))
    }
}

fn assert_close(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1e-3f32, |most, x| most.max(x.abs()));
    for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= tolerance * scale, "{what}[{i}]: {found}, PyTorch {expected}");
    }
}

/// Compares a step of the network that `differentiable` makes a function of.
fn check(name: &str, architecture: &Architecture, differentiable: &dyn Fn(&Network) -> Differentiable) {
    let reference = Reference::read(name);
    let network = reference.network(architecture);
    let function = differentiable(&network);
    let mut parameters = Parameters::of(&network);
    let labels = reference.labels();

    let wanted = vec![true; parameters.infos().len()];
    let input = function.upload(reference.values("input").to_vec(), labels.len());
    let forward = function.forward(&parameters.values, &wanted, &input, &Pass::plain(Statistics::Batch));
    let loss = function.cross_entropy(&forward, &labels, 0.1);
    assert_close("logits", &forward.logits_on_host(), reference.values("logits"), 1e-5);
    assert_close("loss", &[loss.clone().into_scalar::<f32>()], reference.values("loss"), 1e-5);

    let gradients = forward.gradients(&loss).parameters;
    let mut compared = 0;
    for (info, gradient) in parameters.infos().iter().zip(&gradients) {
        let Some((_, expected)) = reference.tensors.get(&format!("gradient.{}", info.path)) else {
            assert!(info.is_statistic(), "{} has a gradient in PyTorch", info.path);
            continue;
        };
        assert_close(&info.path, gradient.as_ref().expect("a gradient"), expected, 1e-4);
        compared += 1;
    }
    assert_eq!(compared, reference.under("gradient.").count());

    parameters.follow(&forward.moments, BATCH_NORM_MOMENTUM);
    for (path, (_, expected)) in reference.under("after.") {
        let place =
            parameters.infos().iter().position(|info| info.path == path).expect("the same statistics");
        assert_close(path, &parameters.values[place], expected, 1e-5);
    }
}

fn architecture(name: &str, widths: &[usize], input: [usize; 3]) -> Architecture {
    let family: Family = name.parse().expect("a family");
    Architecture { widths: widths.to_vec(), input: input.to_vec(), ..Architecture::new(family) }
}

#[test]
fn learned_steps_are_those_of_the_paper() {
    let reference = Reference::read("learned-steps");
    let network = reference.network(&architecture("mlp", &[20, 12], [1, 6, 6]));
    let recipe = RecipeSpec::parse(
        r#"
        seed = 1
        [data]
        set = "mnist"
        [network]
        architecture = "mlp"
        [[phase]]
        epochs = 1
        batch_size = 9
        optimizer = { kind = "sgd", lr = 0.1 }
        activation_ranges = { kind = "learned-step" }
        storage = [
            { target = "activation", place = "input", layers = "fc1", format = "int4" },
            { target = "activation", place = "input", layers = ["fc2", "fc3"], format = "uint4" },
        ]
        "#,
    );
    let mut stored = Stored::new(1, &network, &recipe.expect("a sound recipe").phases[0])
        .expect("a network that has these");
    let sizes = [0, 1, 2].map(|tap| reference.values(&format!("step.{tap}"))[0]);
    let is_set = stored.set_ranges(&[
        Some((-7.0 * sizes[0], 7.0 * sizes[0])),
        Some((0.0, 15.0 * sizes[1])),
        Some((0.0, 15.0 * sizes[2])),
    ]);
    assert!(is_set);
    let function = Differentiable::new(&network, &device::cpu());
    let parameters = Parameters::of(&network);
    let labels = reference.labels();
    let held = stored.hold(
        &network,
        &parameters,
        Moment { phase: 0, epoch: 0, batch: 0 },
        &[0, 1, 2, 3, 4, 5, 6, 7, 8],
    );
    let input = function.upload(reference.values("input").to_vec(), labels.len());
    let touch = |tap: usize, values: &mut [f32], tracked: bool| stored.touch(&held, tap, values, tracked);
    let pass = Pass { taps: stored.taps(), touch: &touch, ..Pass::plain(Statistics::Batch) };
    let forward = function.forward(&held.values, &vec![true; parameters.infos().len()], &input, &pass);
    assert_close("logits", &forward.logits_on_host(), reference.values("logits"), 1e-5);

    let gradients = forward.gradients(&function.cross_entropy(&forward, &labels, 0.1));
    for (tap, gradient) in gradients.steps.iter().enumerate() {
        let expected = reference.values(&format!("step_gradient.{tap}"));
        assert_close("step", &[gradient.expect("a gradient")], expected, 1e-4);
        assert!((stored.step_size(tap) / sizes[tap] - 1.0).abs() < 1e-6);
    }
    for (info, gradient) in parameters.infos().iter().zip(&gradients.parameters) {
        let expected = reference.values(&format!("gradient.{}", info.path));
        assert_close(&info.path, gradient.as_ref().expect("a gradient"), expected, 1e-4);
    }
}

/// Compares a step of every network.
fn check_all(differentiable: &dyn Fn(&Network) -> Differentiable) {
    check("mlp", &architecture("mlp", &[20, 12], [1, 6, 6]), differentiable);
    check("lenet5", &architecture("lenet5", &[3, 5, 14, 12], [1, 28, 28]), differentiable);
    let residual = architecture("resnet8", &[4, 6, 8], [3, 12, 12]);
    check("resnet8-a", &residual, differentiable);
    check("resnet8-b", &Architecture { shortcut: Shortcut::B, ..residual }, differentiable);
}

#[test]
fn a_step_is_pytorchs() {
    check_all(&|network| Differentiable::new(network, &device::cpu()));
    check_all(&|network| Differentiable::new(network, &device::cpu()).by_burn());
}

#[cfg(feature = "gpu")]
#[test]
fn a_step_on_a_graphics_processor_is_pytorchs() {
    match device::gpu() {
        Ok(device) => check_all(&|network| Differentiable::new(network, &device)),
        Err(error) => eprintln!("skipped: {error}"),
    }
}
