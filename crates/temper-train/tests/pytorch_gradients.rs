//! One training step of small networks against PyTorch: logits, loss, every gradient, running statistics.

use std::collections::BTreeMap;
use std::path::PathBuf;

use safetensors::SafeTensors;
use temper_core::Tensor;
use temper_core::network::zoo::{Architecture, Family, Shortcut};
use temper_train::device;
use temper_train::differentiable::{Differentiable, Parameters, Pass, Statistics};

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

fn check(name: &str, architecture: &Architecture, by_burn: bool) {
    let reference = Reference::read(name);
    let network = architecture.build().expect("a sound architecture");
    let given = reference.under("parameter.");
    let given = given.map(|(path, (shape, values))| {
        (path.to_owned(), Tensor::new(shape.clone(), values.clone()).expect("a whole tensor"))
    });
    let network = network.with_parameters(given.collect()).expect("the same parameters");
    let function = Differentiable::new(&network, &device::cpu());
    let function = if by_burn { function.by_burn() } else { function };
    let mut parameters = Parameters::of(&network);
    let labels: Vec<u8> = reference.values("label").iter().map(|&label| label as u8).collect();

    let wanted = vec![true; parameters.infos().len()];
    let input = function.upload(reference.values("input").to_vec(), labels.len());
    let forward = function.forward(&parameters.values, &wanted, &input, &Pass::plain(Statistics::Batch));
    let loss = function.cross_entropy(&forward, &labels, 0.1);
    assert_close("logits", &forward.logits_on_host(), reference.values("logits"), 1e-5);
    assert_close("loss", &[loss.clone().into_scalar::<f32>()], reference.values("loss"), 1e-5);

    let gradients = forward.gradients(&loss);
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

    parameters.follow(&forward.moments);
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
fn a_step_is_pytorchs() {
    for by_burn in [false, true] {
        check("mlp", &architecture("mlp", &[20, 12], [1, 6, 6]), by_burn);
        check("lenet5", &architecture("lenet5", &[3, 5, 14, 12], [1, 28, 28]), by_burn);
        let residual = architecture("resnet8", &[4, 6, 8], [3, 12, 12]);
        check("resnet8-a", &residual, by_burn);
        check("resnet8-b", &Architecture { shortcut: Shortcut::B, ..residual }, by_burn);
    }
}
