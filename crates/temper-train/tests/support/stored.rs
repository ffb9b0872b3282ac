//! Networks and phases whose parameters and activations are stored.

use temper_core::network::Network;
use temper_core::network::zoo::{Architecture, Family};
use temper_train::recipe::PhaseSpec;
use temper_train::stored::Moment;
use temper_train::{Fan, Initialisation, initialise};

/// The first batch of a training.
pub const START: Moment = Moment { phase: 0, epoch: 0, batch: 0 };

/// A phase with these entries of storage.
pub fn phase(storage: &str) -> PhaseSpec {
    let text =
        format!("epochs = 1\nbatch_size = 50\noptimizer = {{ kind = \"sgd\" }}\nstorage = [{storage}]");
    toml::from_str(&text).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

/// A network for images of this shape, as before training. LeNet-5 takes digits with a wide border.
pub fn network(family: Family, widths: &[usize], input: [usize; 3]) -> Network {
    let padding = if family == Family::Lenet5 { 12 } else { 0 };
    let input = input.to_vec();
    let architecture = Architecture { input, widths: widths.to_vec(), padding, ..Architecture::new(family) };
    // Its signals do not fade in deep networks.
    let initialisation = Initialisation::KaimingNormal { mode: Fan::default() };
    initialise(architecture.build().expect("sound"), initialisation, 3)
}

/// The bits of values.
pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Storage of weights and activations that needs ranges.
pub const STORAGE: &str = r#"{ target = "weight", format = "int8", granularity = "channel" },
    { target = "bias", format = "int16" },
    { target = "input", format = "int8" },
    { target = "activation", place = "activated", format = "uint8" }"#;
