//! What several tests share.

pub mod brute;
pub mod networks;

pub mod directory;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;

use temper_core::Tensor;
use temper_core::campaign::{
    Campaign, CampaignError, CampaignSpec, Golden, Observer, RunOptions, Trial, TrialRecord,
};
use temper_core::data::{Dataset, Split, digits};
use temper_core::execution::{ParameterId, Weights};
use temper_core::fault::{Fault, FaultError, FaultSpec, Number};
use temper_core::memory::Memory;
use temper_core::network::{Model, Network};

/// A file of the repository's `fixtures` folder.
pub fn fixture(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "..", "fixtures", name].iter().collect()
}

/// A trained network for the digits.
pub fn digits_model() -> Model {
    let path = [env!("CARGO_MANIFEST_DIR"), "..", "..", "fixtures", "digits", "digits-cnn.safetensors"];
    Model::load(&path.iter().collect::<PathBuf>()).expect("the model is part of the repository")
}

/// The first images of the digits' test split.
pub fn digits_images(count: usize) -> Dataset {
    digits(Split::Test).take(count).expect("at least one image")
}

/// Reproducible values in −1..1.
pub fn noise(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
}

/// The same network with parameters that `value` makes of each one's path, one value after another.
pub fn with_values(network: Network, mut value: impl FnMut(&str) -> f32) -> Network {
    let parameters: BTreeMap<String, Tensor> = network
        .tensors()
        .iter()
        .map(|(path, tensor)| {
            let data = tensor.data().iter().map(|_| value(path)).collect();
            (path.clone(), Tensor::new(tensor.shape().to_vec(), data).expect("the same shape"))
        })
        .collect();
    network.with_parameters(parameters).expect("the same paths and shapes")
}

/// One `[[fault]]`, without its header.
pub fn fault(toml: &str) -> FaultSpec {
    toml::from_str(toml).unwrap_or_else(|error| panic!("{toml}\n{error}"))
}

/// The network in `f32`, with taps where the fault strikes activations.
pub fn memory(network: &Network, fault: &FaultSpec) -> Memory {
    let mut memory = Memory::new(network, &[]).expect("nothing is stored in another format");
    memory.add_taps(fault.target, &fault.layers, fault.place).expect("the selectors choose something");
    memory.calibrate(Vec::new());
    memory
}

/// One `[[fault]]` in a network stored in `f32`.
///
/// # Errors
/// When it does not fit the network.
pub fn resolve(network: &Network, toml: &str) -> Result<Fault, FaultError> {
    fault(toml)
        .resolve(&Memory::new(network, &[]).expect("nothing is stored in another format"), Number::Specified)
}

/// A specification against a network and its images.
///
/// # Errors
/// When they do not fit each other.
pub fn bind<'a>(
    spec: &CampaignSpec,
    model: &Model,
    data: &'a Dataset,
) -> Result<Campaign<'a>, CampaignError> {
    Campaign::new(spec, &model.network, &model.preprocessing, data, None)
}

/// A campaign on the digits, from all but its seed, model and data.
pub fn campaign(toml: &str) -> CampaignSpec {
    let head = "seed = 11\nmodel.file = \"digits-cnn.safetensors\"\ndata.set = \"digits\"\n";
    let mut spec =
        CampaignSpec::parse(&format!("{head}{toml}")).unwrap_or_else(|error| panic!("{toml}\n{error}"));
    // Every count is compared.
    spec.record.confidence = true;
    spec
}

/// Every parameter's bits in `weights`, in the order of the network's parameters.
pub fn all_bits(network: &Network, weights: &Weights) -> Vec<Vec<u32>> {
    let bits = |(id, (_, parameter)): (usize, (String, temper_core::network::Parameter<'_>))| {
        (0..parameter.tensor.data().len())
            .map(|index| weights.get(ParameterId(id), index).to_bits())
            .collect()
    };
    network.parameters().enumerate().map(bits).collect()
}

/// Watches nothing and never stops.
pub struct Silent;

impl Observer for Silent {
    fn inferences(&self, _count: usize) {}

    fn is_cancelled(&self) -> bool {
        false
    }
}

/// The records of `trials`, without the time they took.
pub fn run(campaign: &Campaign<'_>, golden: &Golden, trials: &[Trial]) -> Vec<TrialRecord> {
    let mut records = Vec::new();
    // Every image's top class is compared with brute force too.
    let options = RunOptions { verify: 1.0, ..RunOptions::default() };
    let stopped = campaign.run(golden, trials.iter().copied(), &options, &Silent, |block| {
        records.extend(block.into_iter().map(|record| TrialRecord { cpu_seconds: 0.0, ..record }));
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(stopped, Ok(None));
    records
}

/// An error and all its causes in one line, as the program prints them.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
