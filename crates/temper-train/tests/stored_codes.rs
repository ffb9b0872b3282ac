//! What training computes with and what the core stores are the same code words, bit for bit.

#[path = "support/run.rs"]
pub mod run;

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use run::{SMALL, StopAfter, prepare, train};
use temper_core::campaign::{Campaign, CampaignSpec, Observer};
use temper_core::data::{Dataset, Preprocessing, Split, digits};
use temper_core::execution::{Program, TapId, logits_with};
use temper_core::memory::Memory;
use temper_core::network::zoo::{Architecture, Family};
use temper_core::network::{Model, Network};
use temper_core::number::NumberFormat;
use temper_train::device;
use temper_train::differentiable::{Differentiable, Parameters, Pass, Statistics};
use temper_train::recipe::PhaseSpec;
use temper_train::stored::{Moment, Stored};
use temper_train::{Initialisation, initialise};

const START: Moment = Moment { phase: 0, epoch: 0, batch: 0 };

fn phase(storage: &str) -> PhaseSpec {
    let text =
        format!("epochs = 1\nbatch_size = 50\noptimizer = {{ kind = \"sgd\" }}\nstorage = [{storage}]");
    toml::from_str(&text).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

/// A network for the digits, as before training.
fn network(family: Family, widths: &[usize]) -> Network {
    let padding = if family == Family::Lenet5 { 12 } else { 0 };
    let input = vec![1, 8, 8];
    let architecture = Architecture { input, widths: widths.to_vec(), padding, ..Architecture::new(family) };
    initialise(architecture.build().expect("sound"), Initialisation::default(), 3)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Checks every stored parameter of a network whose weights and biases have this format.
fn parameters_are_stored(format: &str, choices: &str) {
    let entry = |target: &str| format!("{{ target = \"{target}\", format = \"{format}\"{choices} }}");
    let phase = phase(&format!("{}, {}", entry("weight"), entry("bias")));
    let network = network(Family::CifarResnet(8), &[3, 4, 5]);
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
    let network = network(Family::Mlp, &[16]);
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

/// Storage of weights and activations that needs ranges.
const STORAGE: &str = r#"{ target = "weight", format = "int8", granularity = "channel" },
    { target = "bias", format = "int16" },
    { target = "input", format = "int8" },
    { target = "activation", place = "activated", format = "uint8" }"#;

/// A phase that keeps the ranges of the first batch.
fn with_ranges_of_the_first_batch(storage: &str) -> PhaseSpec {
    let mut phase = phase(storage);
    phase.activation_ranges = toml::from_str("kind = \"moving-average\"\nmomentum = 1e-30").expect("sound");
    phase
}

/// Outputs of the training forward pass for images, and what it stored at every tap; ranges follow.
fn simulate(
    stored: &mut Stored,
    network: &Network,
    inputs: &[f32],
    images: usize,
) -> (Vec<f32>, Vec<Vec<f32>>) {
    let parameters = Parameters::of(network);
    let held = stored.hold(network, &parameters, START, &vec![0; images]);
    let function = Differentiable::new(network, &device::cpu());
    let seen = Mutex::new(vec![Vec::new(); stored.taps().len()]);
    let touch = |tap: usize, values: &mut [f32], tracked: bool| {
        let touched = stored.touch(&held, tap, values, tracked);
        seen.lock().expect("one thread")[tap] = values.to_vec();
        touched
    };
    let pass =
        Pass { hooked: &held.hooked, taps: stored.taps(), touch: &touch, ..Pass::plain(Statistics::Running) };
    let none = vec![false; parameters.values.len()];
    let input = function.upload(inputs.to_vec(), images);
    let logits = function.forward(&held.values, &none, &input, &pass).logits_on_host();
    stored.keep_ranges(held);
    (logits, seen.into_inner().expect("one thread"))
}

fn pixels(network: &Network, data: &Dataset) -> Vec<f32> {
    let inputs = Preprocessing::default().bind(data, network.input_shape()).expect("the same shape");
    let mut values = vec![0.0; data.len() * 64];
    inputs.fill(0..data.len(), &mut values);
    values
}

#[test]
fn activations_have_the_code_words_of_the_native_executor() {
    let (first, rest) =
        (digits(Split::Train).take(100).expect("enough"), digits(Split::Test).take(200).expect("enough"));
    for (family, widths) in [
        (Family::Mlp, &[20, 15][..]),
        (Family::Lenet5, &[3, 4, 20, 12]),
        (Family::CifarResnet(8), &[4, 5, 6]),
    ] {
        let network = network(family, widths);
        let phase = with_ranges_of_the_first_batch(STORAGE);
        let mut stored = Stored::new(1, &network, &phase).expect("sound");
        simulate(&mut stored, &network, &pixels(&network, &first), first.len());
        let (logits, simulated) = simulate(&mut stored, &network, &pixels(&network, &rest), rest.len());

        // The storage with the ranges found, as a campaign reads it.
        let mut memory = Memory::new(&network, &stored.storage(&phase)).expect("sound");
        memory.calibrate(Vec::new());
        let (program, weights) = Program::compile(memory.network(), &[], memory.taps());
        let inputs = Preprocessing::default().bind(&rest, network.input_shape()).expect("the same shape");
        let lens: Vec<usize> = (0..memory.taps().len()).map(|tap| program.tap_len(TapId(tap))).collect();
        let native: Vec<Mutex<Vec<f32>>> =
            lens.iter().map(|len| Mutex::new(vec![f32::NAN; len * rest.len()])).collect();
        let touch = |images: std::ops::Range<usize>, tap: TapId, values: &mut [f32]| {
            for image in values.chunks_exact_mut(lens[tap.0]) {
                memory.tensor(memory.at_tap(tap)).codec().store(image);
            }
            native[tap.0].lock().expect("sound")[images.start * lens[tap.0]..][..values.len()]
                .copy_from_slice(values);
        };
        let natively = logits_with(&program, &weights, &inputs, &touch, &|_| {});

        assert_eq!(stored.taps(), memory.taps());
        for (tap, (simulated, native)) in simulated.iter().zip(native).enumerate() {
            let native = native.into_inner().expect("sound");
            let scale = memory.tensor(memory.at_tap(TapId(tap))).codec().scale(0);
            let codes = |values: &[f32]| -> Vec<i64> {
                values.iter().map(|value| (value / scale).round() as i64).collect()
            };
            let (simulated, native) = (codes(simulated), codes(&native));
            // Sums are rounded differently: now and then one falls on the other side of a boundary between two codes.
            let differ = simulated.iter().zip(&native).filter(|(a, b)| a != b).count();
            let most = simulated.iter().zip(&native).map(|(a, b)| (a - b).abs()).max().unwrap_or(0);
            assert!(
                differ as f64 <= 1e-4 * native.len() as f64 && most <= 1,
                "{family}, tap {tap}: {differ} of {}, by {most}",
                native.len()
            );
        }
        let close = logits.iter().zip(&natively).filter(|(a, b)| (*a - *b).abs() <= 1e-4).count();
        assert!(close as f64 >= 0.99 * logits.len() as f64, "{family}: {close} of {}", logits.len());
        // The phase's own evaluation is the native executor's with the same memory.
        assert_eq!(bits(&stored.deployed(network, START).logits(&inputs)), bits(&natively), "{family}");
    }
}

#[test]
fn the_same_values_become_the_same_code_words() {
    let network = network(Family::Mlp, &[20]);
    let phase = with_ranges_of_the_first_batch(STORAGE);
    let mut stored = Stored::new(1, &network, &phase).expect("sound");
    let images = digits(Split::Train).take(100).expect("enough");
    simulate(&mut stored, &network, &pixels(&network, &images), images.len());
    let mut memory = Memory::new(&network, &stored.storage(&phase)).expect("sound");
    memory.calibrate(Vec::new());
    let held = stored.hold(&network, &Parameters::of(&network), START, &[0]);
    for tap in 0..stored.taps().len() {
        let tensor = memory.tensor(memory.at_tap(TapId(tap)));
        let (low, high) = stored.ranges()[tap].expect("found");
        let mut values: Vec<f32> = (0..tensor.values())
            .map(|i| low + (high - low) * (i as f32 / tensor.values() as f32 * 1.5 - 0.25))
            .collect();
        values[0] = f32::NAN;
        values[1] = f32::INFINITY;
        // What lies in the range leaves it as it is; NaN and infinity do not move it.
        for value in &mut values[2..] {
            *value = value.clamp(low, high);
        }
        let mut expected = values.clone();
        tensor.codec().store(&mut expected);
        stored.touch(&held, tap, &mut values, true);
        assert_eq!(bits(&values), bits(&expected), "tap {tap}");
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
