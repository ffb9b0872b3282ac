//! What training stores at a network's taps is what the native executor stores there.

#[path = "support/stored.rs"]
pub mod stored;

use std::collections::HashSet;
use std::sync::Mutex;

use stored::{START, STORAGE, bits, network, phase};
use temper_core::data::{Dataset, Preprocessing, Split, digits};
use temper_core::execution::{Program, TapId, logits_with};
use temper_core::memory::Memory;
use temper_core::network::Network;
use temper_core::network::zoo::Family;
use temper_train::device;
use temper_train::differentiable::{Differentiable, Parameters, Pass, Statistics};
use temper_train::recipe::PhaseSpec;
use temper_train::stored::Stored;

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
    let mut values = vec![0.0; data.len() * network.input_shape().iter().product::<usize>()];
    inputs.fill(0..data.len(), &mut values);
    values
}

/// Every pixel four times in either direction: images that are large enough for five poolings.
fn enlarged(data: &Dataset) -> Dataset {
    let enlarge = |image: usize| {
        let pixels = data.image(image);
        (0..32 * 32).map(move |at| pixels[at / 32 / 4 * 8 + at % 32 / 4])
    };
    let pixels = (0..data.len()).flat_map(enlarge).collect();
    Dataset::new("large digits", data.split(), [1, 32, 32], 10, u8::MAX, pixels, data.labels().to_vec())
        .expect("a data set")
}

/// Outputs of the native executor, and what it stored at every tap.
fn deploy(memory: &Memory, data: &Dataset) -> (Vec<f32>, Vec<Vec<f32>>) {
    let (program, weights) = Program::compile(memory.network(), &[], memory.taps());
    let shape = memory.network().input_shape();
    let inputs = Preprocessing::default().bind(data, shape).expect("the same shape");
    let lens: Vec<usize> = (0..memory.taps().len()).map(|tap| program.tap_len(TapId(tap))).collect();
    let seen: Vec<Mutex<Vec<f32>>> =
        lens.iter().map(|len| Mutex::new(vec![f32::NAN; len * data.len()])).collect();
    let touch = |images: std::ops::Range<usize>, tap: TapId, values: &mut [f32]| {
        for image in values.chunks_exact_mut(lens[tap.0]) {
            memory.tensor(memory.at_tap(tap)).codec().store(image);
        }
        seen[tap.0].lock().expect("sound")[images.start * lens[tap.0]..][..values.len()]
            .copy_from_slice(values);
    };
    let logits = logits_with(&program, &weights, &inputs, &touch, &|_| {});
    (logits, seen.into_iter().map(|values| values.into_inner().expect("sound")).collect())
}

/// Checks that images have the same code words at every tap, and the same outputs, simulated and deployed.
///
/// Sums are rounded differently, so now and then a value falls on the other side of the boundary between two codes. Where it first does, it may
/// be off by one code; from there on the two go different ways. Few images may.
fn stores_the_same(family: Family, widths: &[usize], large: bool) {
    let data = |split, count| {
        let small = digits(split).take(count).expect("enough");
        if large { enlarged(&small) } else { small }
    };
    let (first, rest) = (data(Split::Train, 100), data(Split::Test, 100));
    let network = network(family, widths, rest.shape());
    let phase = with_ranges_of_the_first_batch(STORAGE);
    let mut stored = Stored::new(1, &network, &phase).expect("sound");
    simulate(&mut stored, &network, &pixels(&network, &first), first.len());
    let (logits, simulated) = simulate(&mut stored, &network, &pixels(&network, &rest), rest.len());

    // The storage with the ranges found, as a campaign reads it.
    let mut memory = Memory::new(&network, &stored.storage(&phase)).expect("sound");
    memory.calibrate(Vec::new());
    let (natively, native) = deploy(&memory, &rest);
    assert_eq!(stored.taps(), memory.taps());
    for (tap, values) in native.iter().enumerate() {
        let different: HashSet<u32> = values.iter().map(|value| value.to_bits()).collect();
        assert!(different.len() >= 16, "{family}, tap {tap}: {} codes say little", different.len());
    }
    let departed = |image: usize| {
        simulated.iter().zip(&native).enumerate().any(|(tap, (simulated, native))| {
            let scale = memory.tensor(memory.at_tap(TapId(tap))).codec().scale(0);
            let len = native.len() / rest.len();
            let codes = |values: &[f32]| -> Vec<i64> {
                values[image * len..][..len].iter().map(|value| (value / scale).round() as i64).collect()
            };
            let (simulated, native) = (codes(simulated), codes(native));
            let most = simulated.iter().zip(&native).map(|(a, b)| (a - b).abs()).max().unwrap_or(0);
            assert!(most <= 1, "{family}, tap {tap}, image {image}: off by {most} codes");
            most > 0
        })
    };
    let mut same = 0;
    let outputs = logits.chunks_exact(10).zip(natively.chunks_exact(10));
    for (image, (simulated, native)) in outputs.enumerate() {
        if departed(image) {
            continue;
        }
        same += 1;
        for (simulated, native) in simulated.iter().zip(native) {
            assert!((simulated - native).abs() <= 1e-4, "{family}, image {image}: {simulated}, {native}");
        }
    }
    assert!(
        same * 20 >= rest.len() * 19,
        "{family}: {same} of {} images have the same code words",
        rest.len()
    );
    // The phase's own evaluation is the native executor's with the same memory.
    let inputs = Preprocessing::default().bind(&rest, network.input_shape()).expect("the same shape");
    assert_eq!(bits(&stored.deployed(network, START).logits(&inputs)), bits(&natively), "{family}");
}

#[test]
fn activations_have_the_code_words_of_the_native_executor() {
    stores_the_same(Family::Mlp, &[20, 15], false);
    stores_the_same(Family::Lenet5, &[3, 4, 20, 12], false);
    stores_the_same(Family::Vgg(13), &[4, 5, 6, 7, 8], true);
    stores_the_same(Family::Vgg(16), &[3, 4, 5, 6, 7], true);
    stores_the_same(Family::Resnet(18), &[4, 5, 6, 7], false);
    stores_the_same(Family::Resnet(34), &[3, 4, 5, 6], false);
    stores_the_same(Family::CifarResnet(8), &[4, 5, 6], false);
    stores_the_same(Family::CifarResnet(20), &[4, 5, 6], false);
}

#[test]
fn the_same_values_become_the_same_code_words() {
    let network = network(Family::Mlp, &[20], [1, 8, 8]);
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
