//! What every error model makes of every word of every number format, against plain arithmetic on words.

pub mod support;

use support::brute::read;
use support::{fault, noise, with_values};
use temper_core::fault::{Damage, FaultSite, Lifetime, Number, Reading, changes, trial_stream};
use temper_core::memory::{Class, Layers, Memory, Part, StorageSpec, TensorId};
use temper_core::network::{GraphDescription, Network};
use temper_core::number::{Codec, Granularity, NumberFormat, Quantisation, Scheme};

/// Formats of every kind, with affine quantisation where there is a choice.
const FORMATS: [(&str, Option<Scheme>); 18] = [
    ("f64", None),
    ("f32", None),
    ("f16", None),
    ("bf16", None),
    ("f8e4m3", None),
    ("f8e5m2", None),
    ("int8", None),
    ("int8", Some(Scheme::Affine)),
    ("int2", None),
    ("int13", Some(Scheme::Affine)),
    ("sint8", None),
    ("sint3", None),
    ("uint8", None),
    ("uint5", None),
    ("q3.4", None),
    ("q7.8", None),
    ("q0.31", None),
    ("binary", None),
];

const MODELS: [&str; 12] = [
    "bit-flip",
    "stuck-at-0",
    "stuck-at-1",
    "stuck-at",
    "random-word",
    "zeroing",
    "set-value",
    "sign-reversal",
    "random-value",
    "gaussian",
    "lognormal",
    "uniform",
];

/// The numbers that a model needs.
fn numbers(model: &str) -> &'static str {
    match model {
        "set-value" => "value = -3.25",
        "random-value" | "uniform" => "low = -0.5\nhigh = 1.5",
        "gaussian" | "lognormal" => "sigma = 0.4\nmean = 0.1",
        _ => "",
    }
}

fn format(name: &str) -> NumberFormat {
    name.parse().expect("a format")
}

fn codec(name: &str, scheme: Option<Scheme>) -> Codec {
    let values = [-1.0, -0.31, 0.0, 0.4, 0.93];
    let quantisation = Quantisation { scheme, ..Quantisation::default() };
    Codec::fit(format(name), &quantisation, &values, 1).expect("a sound quantisation")
}

/// All words of narrow formats, and of wide ones words with every exponent and some of all.
fn words(width: u32) -> Vec<u64> {
    let mask = u64::MAX >> (64 - width);
    if width <= 16 {
        return (0..=mask).collect();
    }
    let mut state = 1u64;
    let scattered = (0..20_000).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state ^ state >> 29) & mask
    });
    scattered.chain((0..width).map(|bit| 1 << bit)).chain([0, mask]).collect()
}

/// What is read of a word under a damage.
fn struck(codec: &Codec, reading: Reading, damage: Damage) -> Reading {
    let mut reading = reading;
    damage.apply(&mut reading, |value| codec.encode(0, value), |word| codec.decode(0, word));
    reading
}

#[test]
fn damage_to_bits_is_that_of_the_word_for_every_word() {
    for (name, scheme) in FORMATS {
        let codec = codec(name, scheme);
        let width = codec.format().bit_width();
        let all = u64::MAX >> (64 - width);
        // Single bits, a burst, all bits; of 16-bit words not every bit, to be done in seconds.
        let masks: Vec<u64> = (0..width)
            .step_by(if width == 16 { 3 } else { 1 })
            .map(|bit| 1 << bit)
            .chain([all, all & 0b110])
            .collect();
        for word in words(width) {
            let before = Reading { value: codec.decode(0, word), word: Some(word) };
            for &mask in &masks {
                for (damage, after) in [
                    (Damage::Flip(mask), word ^ mask),
                    (Damage::StuckAt0(mask), word & !mask),
                    (Damage::StuckAt1(mask), word | mask),
                ] {
                    let found = struck(&codec, before, damage);
                    let expected = if after == word { before.value } else { codec.decode(0, after) };
                    assert_eq!(
                        (found.word, found.value.to_bits()),
                        (Some(after), expected.to_bits()),
                        "{name}: {damage:?} of {word:#x}"
                    );
                    let again = struck(&codec, found, damage);
                    // A flip twice is nothing; a stuck bit stays stuck.
                    let expected = if matches!(damage, Damage::Flip(_)) { word } else { after };
                    assert_eq!(again.word, Some(expected), "{name}: {damage:?} of {word:#x} twice");
                    assert_eq!(again.value.to_bits(), codec.decode(0, expected).to_bits());
                }
            }
        }
    }
}

#[test]
fn damage_to_values_is_plain_arithmetic_whatever_the_format() {
    let special = [f32::NAN, f32::INFINITY, -f32::INFINITY, -0.0, 0.0, 1e-45, f32::MAX];
    let mut noise = noise(8);
    let values: Vec<f32> = special.into_iter().chain((0..500).map(|_| 3.0 * noise())).collect();
    for (name, scheme) in FORMATS {
        let codec = codec(name, scheme);
        for &value in &values {
            let read = |damage| struck(&codec, Reading::of(value), damage);
            let sign = f32::from_bits(value.to_bits() ^ 0x8000_0000);
            for (damage, expected) in [
                (Damage::Set(0.0), 0.0),
                (Damage::Set(f32::INFINITY), f32::INFINITY),
                (Damage::Negate, sign),
                (Damage::Add(0.3), value + 0.3),
                (Damage::Scale(-1.7), value * -1.7),
            ] {
                let found = read(damage);
                assert_eq!(
                    (found.value.to_bits(), found.word),
                    (expected.to_bits(), None),
                    "{name}: {damage:?} of {value}"
                );
            }
            // Twice the other sign is the value, bit for bit.
            assert_eq!(struck(&codec, read(Damage::Negate), Damage::Negate).value.to_bits(), value.to_bits());
        }
    }
}

/// One linear layer of 7 inputs and 6 outputs.
fn layer() -> Network {
    let graph = r#"{"input": [7], "node": [{"name": "fc", "op": {"kind": "linear", "in_features": 7, "out_features": 6}}]}"#;
    let graph: GraphDescription = serde_json::from_str(graph).expect("valid JSON");
    let mut noise = noise(17);
    with_values(graph.build().expect("a sound network"), |_| noise())
}

fn stored(network: &Network, name: &str, scheme: Option<Scheme>, granularity: Granularity) -> Memory {
    let spec = StorageSpec {
        scheme,
        granularity: (granularity == Granularity::Channel && format(name).needs_range())
            .then_some(granularity),
        ..StorageSpec::new(Class::Weight.into(), Layers::default(), None, format(name))
    };
    Memory::new(network, &[spec]).expect("a sound entry")
}

const WEIGHT: TensorId = TensorId(0);

/// The weights under some sites, as the changes say.
fn changed(memory: &Memory, sites: &[FaultSite]) -> Vec<f32> {
    let mut values = memory.stored_values(WEIGHT).expect("a parameter").to_vec();
    for change in changes(memory, sites) {
        assert_ne!(
            values[change.index].to_bits(),
            change.value.to_bits(),
            "what reads as before is no change"
        );
        values[change.index] = change.value;
    }
    values
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn stored_values_are_those_of_the_codec() {
    let network = layer();
    let raw = network.tensors()["fc.weight"].data();
    for granularity in [Granularity::Tensor, Granularity::Channel] {
        for (name, scheme) in FORMATS {
            let memory = stored(&network, name, scheme, granularity);
            let granularity = if format(name).needs_range() { granularity } else { Granularity::Tensor };
            let quantisation = Quantisation { scheme, granularity, range: None };
            let codec = Codec::fit(format(name), &quantisation, raw, 6).expect("a sound quantisation");
            let expected: Vec<f32> =
                raw.iter().enumerate().map(|(i, &value)| codec.decode(i, codec.encode(i, value))).collect();
            assert_eq!(memory.tensor(WEIGHT).codec(), &codec);
            assert_eq!(bits(memory.stored_values(WEIGHT).expect("a parameter")), bits(&expected), "{name}");
            assert_eq!(memory.network().tensors()["fc.weight"].data(), expected);
            // The bias has no entry.
            assert_eq!(memory.network().tensors()["fc.bias"], network.tensors()["fc.bias"]);
        }
    }
}

#[test]
fn every_model_in_every_format_reads_what_brute_force_reads() {
    let network = layer();
    for granularity in [Granularity::Tensor, Granularity::Channel] {
        for (name, scheme) in FORMATS {
            let memory = stored(&network, name, scheme, granularity);
            let pristine = memory.stored_values(WEIGHT).expect("a parameter");
            for model in MODELS {
                for amount in
                    ["count = 5", "value_fault_rate = 0.6", "value_fault_rate = 1", "value_fault_rate = 0"]
                {
                    let toml = format!("model = '{model}'\n{}\n{amount}", numbers(model));
                    let spec = fault(&toml);
                    let fault = spec
                        .resolve(&memory, Number::Specified)
                        .unwrap_or_else(|error| panic!("{name}, {toml}: {error}"));
                    assert_eq!((fault.lifetime(), fault.units()), (Lifetime::Permanent, 42));
                    for trial in 0..4 {
                        let sites = fault.draw(&mut trial_stream(5, trial));
                        let found = changed(&memory, &sites);
                        let expected =
                            read(memory.tensor(WEIGHT), pristine, &sites.iter().collect::<Vec<_>>());
                        assert_eq!(bits(&found), bits(&expected), "{name}, {toml}");
                        if amount == "value_fault_rate = 0" {
                            assert!(sites.is_empty());
                        }
                        if amount == "value_fault_rate = 1" {
                            assert!(sites.iter().map(|site| site.start).eq(0..42), "every site is touched");
                        }
                    }
                }
            }
        }
    }
}

fn site(index: usize, damage: Damage) -> FaultSite {
    FaultSite { tensor: WEIGHT, part: Part::Values, start: index, step: 1, count: 1, damage }
}

#[test]
fn several_faults_on_one_value_act_in_order_on_its_word() {
    let memory = stored(&layer(), "int8", None, Granularity::Tensor);
    let codec = memory.tensor(WEIGHT).codec();
    let at = |wanted: u64| {
        let values = memory.stored_values(WEIGHT).expect("a parameter");
        values.iter().position(|&value| codec.encode(0, value) == wanted)
    };
    // The largest magnitude is stored as ±127. By a flip of the sign, 0 becomes −128, which no value is stored as.
    let (index, largest) =
        [127u64, 0x81].iter().find_map(|&word| Some((at(word)?, word))).expect("the largest value");
    let to_lowest = largest ^ 0x80;
    let steps = [Damage::Flip(to_lowest), Damage::Flip(0b100)];
    let sites = steps.map(|damage| site(index, damage));
    let scale = codec.grids()[0].scale;
    assert_eq!(changed(&memory, &sites[..1])[index], -128.0 * scale);
    assert_eq!(changed(&memory, &sites)[index], -124.0 * scale);
    let back = site(index, Damage::Flip(to_lowest ^ 0b100));
    let all = [sites[0], sites[1], back];
    assert_eq!(changes(&memory, &all), [], "together they are nothing");

    // Order counts, and values forget their words.
    let mixed = |damage: [Damage; 3]| changed(&memory, &damage.map(|damage| site(index, damage)))[index];
    let lost = mixed([Damage::Flip(to_lowest), Damage::Set(1e9), Damage::StuckAt0(0x7f)]);
    assert_eq!(lost, 0.0, "what is too large has the word 127");
    assert_eq!(mixed([Damage::StuckAt1(1), Damage::StuckAt0(0xff), Damage::StuckAt1(3)]), 3.0 * scale);
    let value = memory.stored_values(WEIGHT).expect("a parameter")[index];
    let small = 0.2 * scale;
    assert_eq!(mixed([Damage::Add(small), Damage::StuckAt1(0), Damage::StuckAt0(0)]), value + small);
}

#[test]
fn a_stuck_bit_that_was_stored_so_changes_nothing() {
    for (name, scheme) in FORMATS {
        let memory = stored(&layer(), name, scheme, Granularity::Tensor);
        let codec = memory.tensor(WEIGHT).codec();
        let width = codec.format().bit_width();
        for (index, &value) in memory.stored_values(WEIGHT).expect("a parameter").iter().enumerate() {
            let word = codec.encode(index, value);
            let as_stored = [
                site(index, Damage::StuckAt1(word)),
                site(index, Damage::StuckAt0(!word & (u64::MAX >> (64 - width)))),
            ];
            assert_eq!(changes(&memory, &as_stored), [], "{name}");
        }
    }
}
