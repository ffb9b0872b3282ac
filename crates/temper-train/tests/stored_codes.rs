//! What training computes with and what the core stores are the same code words, bit for bit.

#[path = "support/run.rs"]
pub mod run;
#[path = "support/stored.rs"]
pub mod stored;

use std::fs;
use std::path::Path;

use run::{SMALL, StopAfter, prepare, train};
use stored::{START, STORAGE, bits, network, phase};
use temper_core::campaign::{Campaign, CampaignSpec, Observer};
use temper_core::data::{Dataset, Split, digits};
use temper_core::memory::Memory;
use temper_core::network::Model;
use temper_core::network::zoo::Family;
use temper_core::number::NumberFormat;
use temper_train::differentiable::Parameters;
use temper_train::stored::Stored;

/// Checks every stored parameter of a network whose weights and biases have this format.
fn parameters_are_stored(format: &str, choices: &str) {
    let entry = |target: &str| format!("{{ target = \"{target}\", format = \"{format}\"{choices} }}");
    let phase = phase(&format!("{}, {}", entry("weight"), entry("bias")));
    let network = network(Family::CifarResnet(8), &[3, 4, 5], [1, 8, 8]);
    let stored = Stored::new(1, &network, &phase).expect("sound");
    let parameters = Parameters::of(&network);
    let held = stored.hold(&network, &parameters, START, &[]);
    let memory = Memory::new(&network, &phase.storage).expect("sound");
    assert!(held.hooked.is_empty());
    let mut in_format = 0;
    for tensor in memory.tensors() {
        let place = tensor.parameter().expect("no activation is stored").0;
        let (values, original) = (&held.values[place], &parameters.values[place]);
        let path = &parameters.infos()[place].path;
        assert_eq!(
            bits(values),
            bits(Parameters::of(memory.network()).values[place].as_slice()),
            "{format} {path}"
        );
        if tensor.format == NumberFormat::F32 {
            assert_eq!(values, original, "{path}");
            continue;
        }
        in_format += 1;
        let codec = tensor.codec();
        for (index, (&value, &original)) in values.iter().zip(original).enumerate() {
            let word = codec.encode(index, original);
            assert!(word.checked_shr(tensor.format.bit_width()).unwrap_or(0) == 0, "{format} {path}");
            assert_eq!(value.to_bits(), codec.decode(index, word).to_bits(), "{format} {path}[{index}]");
        }
    }
    // Seven convolutions and two shortcuts without, the last layer with a bias.
    assert!(in_format >= 9, "{in_format}");
}

#[test]
fn parameters_have_the_values_of_their_code_words() {
    for format in ["int8", "int4", "int2", "sint8", "sint3"] {
        for choices in ["", ", granularity = \"channel\"", ", range = { percentile = 95.0 }"] {
            parameters_are_stored(format, choices);
        }
    }
    parameters_are_stored("int8", ", scheme = \"affine\"");
    parameters_are_stored("uint8", ", granularity = \"channel\"");
    parameters_are_stored("binary", "");
    parameters_are_stored("binary", ", granularity = \"channel\", range = \"mean-abs\"");
    for format in ["q2.5", "q0.3", "f16", "bf16", "f8e4m3", "f8e5m2", "f64"] {
        parameters_are_stored(format, "");
    }
}

#[test]
fn eight_bits_are_the_largest_magnitude_in_127_steps() {
    // By hand: a channel's scale is its largest magnitude over 127, values are rounded to whole steps.
    let phase = phase("{ target = \"weight\", format = \"int8\", granularity = \"channel\" }");
    let network = network(Family::Mlp, &[16], [1, 8, 8]);
    let stored = Stored::new(1, &network, &phase).expect("sound");
    let parameters = Parameters::of(&network);
    let held = stored.hold(&network, &parameters, START, &[]);
    for (info, (values, original)) in
        parameters.infos().iter().zip(held.values.iter().zip(&parameters.values))
    {
        let [_, columns] = info.shape[..] else { continue };
        for (values, original) in values.chunks_exact(columns).zip(original.chunks_exact(columns)) {
            let scale = original.iter().fold(0.0f32, |most, value| most.max(value.abs())) / 127.0;
            let expected: Vec<f32> =
                original.iter().map(|value| (value / scale).round_ties_even() * scale).collect();
            assert_eq!(values, expected, "{}", info.path);
        }
    }
}

struct Silent;

impl Observer for Silent {
    fn inferences(&self, _: usize) {}

    fn is_cancelled(&self) -> bool {
        false
    }
}

/// The accuracy on the test images by a campaign with these entries of storage.
fn accuracy_by_campaign(model: &Model, storage: &str, data: &Dataset) -> f64 {
    let head = "seed = 1\nmodel.file = \"last.safetensors\"\ndata.set = \"digits\"\n";
    let tail = "[[fault]]\nmodel = \"zeroing\"\ncount = 0\n[trials]\ncount = 1\n";
    let spec = CampaignSpec::parse(&format!("{head}{storage}\n{tail}"))
        .unwrap_or_else(|error| panic!("{storage}\n{error}"));
    let calibration = digits(Split::Train).take(10).expect("enough");
    let campaign = Campaign::new(&spec, &model.network, &model.preprocessing, data, Some(&calibration));
    let campaign = campaign.unwrap_or_else(|error| panic!("{storage}\n{error}"));
    let golden = campaign.golden(&Silent);
    campaign.golden_correct(&golden, 0) as f64 / data.len() as f64
}

/// The accuracies on test images that a history names: the best one, and the last.
fn accuracies(run: &Path) -> [f64; 2] {
    let history = fs::read_to_string(run.join("history.jsonl")).expect("written");
    let accuracy = |line: &str| {
        let record: serde_json::Value = serde_json::from_str(line).expect("JSON");
        record["test_accuracy"].as_f64().expect("a number")
    };
    let all: Vec<f64> = history.lines().map(accuracy).collect();
    [all.iter().copied().fold(0.0, f64::max), *all.last().expect("an epoch")]
}

#[test]
fn a_campaign_stores_the_trained_network_as_training_did() {
    for storage in [
        STORAGE,
        r#"{ target = "weight", format = "binary", granularity = "channel", range = "mean-abs" },
           { target = "activation", place = "activated", format = "uint4" }"#,
        r#"{ target = "weight", format = "q1.6" }, { target = "activation", place = "activated", format = "f8e4m3" }"#,
        r#"{ target = "weight", format = "sint4" }, { target = "activation", layers = "fc1", place = "activated", format = "uint8", range = { interval = { low = 0.0, high = 3.0 } } }"#,
        r#"{ target = "activation", place = "activated", format = "int8", scheme = "affine" },
           { target = "activation", layers = "fc2", format = "int8" }"#,
    ] {
        let text = SMALL
            .replace("kind = \"sgd\", lr = 0.1", "kind = \"adam\", lr = 0.01")
            .replace("epochs = 2", "epochs = 6");
        let prepared = prepare(&format!("{text}storage = [{storage}]\n"))
            .unwrap_or_else(|error| panic!("{storage}\n{}", run::chain(&error)));
        let dir = tempfile::tempdir().expect("a folder");
        train(&prepared, dir.path(), &StopAfter::never()).expect("trains");
        for (name, expected) in ["model", "last"].into_iter().zip(accuracies(dir.path())) {
            let model = Model::load(&dir.path().join(format!("{name}.safetensors"))).expect("written");
            let entries = dir.path().join(format!("{name}.storage.toml"));
            let entries = fs::read_to_string(entries).expect("written");
            assert!(expected > 0.3, "{storage}: {expected}");
            let found = accuracy_by_campaign(&model, &entries, &prepared.test);
            assert_eq!(found, expected, "{name}: {storage}\n{entries}");
        }
    }
}
