//! Faults: what they make of a value, which specifications are refused, and that a strike is taken back bit for bit.

pub mod support;

use serde::Deserialize;
use support::{all_bits, noise, resolve, with_values};
use temper_core::execution::{Program, Workspace};
use temper_core::fault::{Damage, FaultError, FaultSite, Reading, changes, strike, trial_stream, undo};
use temper_core::memory::{Class, Memory, MemoryError};
use temper_core::network::zoo::{Architecture, Family};
use temper_core::network::{GraphDescription, Network, ParameterKind};
use temper_core::number::{Codec, NumberFormat, Quantisation};

/// A residual network with a batch norm after every convolution, small enough to strike every bit of it.
fn resnet() -> Network {
    let architecture = Architecture {
        input: vec![3, 8, 8],
        widths: vec![2, 3, 4],
        ..Architecture::new(Family::CifarResnet(8))
    };
    let mut noise = noise(5);
    with_values(architecture.build().expect("a sound architecture"), |path| match path.rsplit('.').next() {
        Some("running_var") => 1.0 + 0.5 * noise(),
        _ => noise(),
    })
}

fn draw(network: &Network, toml: &str, trial: u64) -> Vec<FaultSite> {
    let fault = resolve(network, toml).unwrap_or_else(|error| panic!("{toml}\n{error}"));
    fault.draw(&mut trial_stream(1, trial))
}

fn in_memory(network: &Network) -> Memory {
    Memory::new(network, &[]).expect("nothing is stored in another format")
}

#[derive(Deserialize)]
struct Golden {
    fields: Vec<String>,
    rows: Vec<[String; 6]>,
}

fn hex(digits: &str) -> u32 {
    u32::from_str_radix(digits, 16).expect("hexadecimal digits")
}

#[test]
fn every_fault_makes_the_golden_pattern_of_every_pattern() {
    let json = std::fs::read(support::fixture("f32/golden.json")).expect("the fixture exists");
    let golden: Golden = serde_json::from_slice(&json).expect("the fixture is JSON");
    let fields = [
        "pattern",
        "changed_by_stuck_at_0",
        "changed_by_stuck_at_1",
        "sign_reversal",
        "zeroing",
        "bit_flips",
    ];
    assert_eq!(golden.fields, fields);
    assert_eq!(golden.rows.len(), 200);
    let codec = Codec::fit(NumberFormat::F32, &Quantisation::default(), &[], 1).expect("no scale to fit");
    for [pattern, by_0, by_1, reversed, zeroed, flips] in &golden.rows {
        let (bits, by_0, by_1) = (hex(pattern), hex(by_0), hex(by_1));
        let struck = |damage: Damage| {
            let mut reading = Reading::of(f32::from_bits(bits));
            damage.apply(&mut reading, |value| codec.encode(0, value), |word| codec.decode(0, word));
            reading.value.to_bits()
        };
        assert_eq!(struck(Damage::Negate), hex(reversed), "sign of {pattern}");
        assert_eq!(struck(Damage::Set(0.0)), hex(zeroed), "zero for {pattern}");
        assert_eq!(flips.len(), 32 * 8);
        for bit in 0..32 {
            let flipped = hex(&flips[bit as usize * 8..][..8]);
            let expected = |changed: u32| if changed >> bit & 1 == 1 { flipped } else { bits };
            assert_eq!(struck(Damage::Flip(1 << bit)), flipped, "bit {bit} of {pattern} flipped");
            assert_eq!(struck(Damage::StuckAt0(1 << bit)), expected(by_0), "bit {bit} of {pattern} at 0");
            assert_eq!(struck(Damage::StuckAt1(1 << bit)), expected(by_1), "bit {bit} of {pattern} at 1");
        }
    }
}

/// Refused specifications, each with the variant's name and what its message must name: field, found, expected.
const BITS: &str = "Field { field: \"bits\"";
const REFUSED: [(&str, &str, &[&str]); 17] = [
    ("model = 'bit-flip'\ncount = 1\nlayers = 'conv[1'", "Memory(Layers(Malformed", &["layers", "conv[1"]),
    (
        "model = 'bit-flip'\ncount = 1\nlayers = ['conv1', 'conv9']",
        "Memory(Layers(NoMatch",
        &["layers", "conv9", "weight", "conv1"],
    ),
    (
        "model = 'zeroing'\ncount = 1\ntarget = 'bias'\nlayers = 'conv1'",
        "Memory(Layers(NoMatch",
        &["layers", "conv1", "bias", "fc"],
    ),
    (
        "model = 'zeroing'\ncount = 1\nlayers = []",
        "Memory(Layers(Empty",
        &["layers", "at least one selector", "empty list"],
    ),
    ("model = 'bit-flip'\ncount = 1\nbits = [3, 32]", BITS, &["bits", "32", "0 to 31"]),
    ("model = 'bit-flip'\ncount = 1\nbits = [3, 4, 3]", BITS, &["bits", "[3, 4, 3]", "twice"]),
    ("model = 'bit-flip'\ncount = 1\nbits = []", BITS, &["bits", "empty"]),
    ("model = 'zeroing'\ncount = 1\nbits = 'sign'", BITS, &["bits", "zeroing", "leave bits out"]),
    ("model = 'bit-flip'", "Amount", &["exactly one", "count", "bit_error_rate", "found none"]),
    (
        "model = 'bit-flip'\ncount = 1\nvalue_fault_rate = 0.1",
        "Amount",
        &["exactly one", "found count and value_fault_rate"],
    ),
    (
        "model = 'sign-reversal'\nbit_error_rate = 0.1",
        "Field { field: \"bit_error_rate\"",
        &["bit_error_rate", "sign-reversal", "value_fault_rate"],
    ),
    ("model = 'bit-flip'\nbit_error_rate = 1.5", "Rate", &["bit_error_rate", "1.5", "0 to 1"]),
    ("model = 'bit-flip'\nbit_error_rate = -1e-9", "Rate", &["bit_error_rate", "-0.000000001", "0 to 1"]),
    ("model = 'bit-flip'\nbit_error_rate = nan", "Rate", &["bit_error_rate", "NaN", "0 to 1"]),
    ("model = 'bit-flip'\nvalue_fault_rate = inf", "Rate", &["value_fault_rate", "inf", "0 to 1"]),
    (
        "model = 'sign-reversal'\ncount = 41\nlayers = 'fc'",
        "Count",
        &["count", "41 faults", "40 different sites"],
    ),
    (
        "model = 'bit-flip'\ncount = 1152921504606846976\nlayers = 'fc'\nbits = [0, 1]",
        "Count",
        &["1152921504606846976 faults", "80 different"],
    ),
];

#[test]
fn what_does_not_fit_the_network_is_refused_by_name() {
    let network = resnet();
    for (toml, variant, parts) in REFUSED {
        let error = resolve(&network, toml).expect_err(toml);
        assert!(format!("{error:?}").starts_with(variant), "{toml}: {error:?}");
        let message = error.to_string();
        assert!(parts.iter().all(|part| message.contains(part)), "{toml}: {message}");
        assert!(!message.starts_with(char::is_uppercase), "{message}");
    }
}

#[test]
fn a_network_without_the_target_is_refused() {
    let graph = r#"{"input": [4], "node": [
        {"name": "fc", "op": {"kind": "linear", "in_features": 4, "out_features": 2, "bias": false}}]}"#;
    let graph: GraphDescription = serde_json::from_str(graph).expect("valid JSON");
    let network = graph.build().expect("a sound network");
    let error = resolve(&network, "model = 'zeroing'\ntarget = 'bias'\ncount = 0");
    let target = Class::Bias.into();
    assert_eq!(error, Err(FaultError::Memory(MemoryError::NoTarget { target })));
}

#[test]
fn sites_are_counted_by_value_and_by_bit() {
    let network = resnet();
    let sites = |toml: &str| {
        let fault = resolve(&network, toml).expect("a sound fault");
        (fault.units(), fault.sites())
    };
    assert_eq!(sites("model = 'bit-flip'\ncount = 1\nlayers = 'fc'"), (40, 40 * 32));
    assert_eq!(sites("model = 'bit-flip'\ncount = 1\nlayers = 'fc'\nbits = 'all'"), (40, 40 * 32));
    assert_eq!(sites("model = 'bit-flip'\ncount = 1\nlayers = 'fc'\nbits = 'exponent'"), (40, 40 * 8));
    assert_eq!(sites("model = 'bit-flip'\ncount = 1\nlayers = 'fc'\nbits = 'mantissa'"), (40, 40 * 23));
    assert_eq!(sites("model = 'bit-flip'\ncount = 1\nlayers = 'fc'\nbits = 'sign'"), (40, 40));
    assert_eq!(sites("model = 'zeroing'\ncount = 1\nlayers = 'fc'"), (40, 40));
    assert_eq!(sites("model = 'zeroing'\ncount = 1\nlayers = 'fc'\ntarget = 'bias'"), (10, 10));
    // Two globs that overlap do not count a layer twice: 2·3·9 and 2·2·9 in two convolutions.
    let globs = "model = 'zeroing'\ncount = 1\nlayers = ['conv1', '*conv1', 'layer1.*']";
    assert_eq!(sites(globs).0, 2 * 27 + 2 * 36 + 3 * 2 * 9 + 4 * 3 * 9);
}

/// Strikes `draw`, hands the bits before and after to `check`, takes the strike back, and checks that nothing is left of it.
fn strike_and_undo(network: &Network, draw: &[FaultSite], check: impl Fn(&[Vec<u32>], &[Vec<u32>])) {
    let (program, mut weights) = Program::compile(network, &[], &[]);
    let mut workspace = Workspace::new(&program);
    let mut input = noise(3);
    let input: Vec<f32> = (0..program.input_len()).map(|_| input()).collect();
    let mut output = |weights: &_| -> Vec<u32> {
        workspace.input_mut(&program, 1).copy_from_slice(&input);
        program.run(weights, &mut workspace);
        workspace.output(&program).iter().map(|value| value.to_bits()).collect()
    };
    let (golden, before) = (output(&weights), all_bits(network, &weights));
    let pristine = weights.clone();
    let noted = changes(&in_memory(network), draw);
    strike(&noted, &mut weights);
    let after = all_bits(network, &weights);
    check(&before, &after);
    let changed: Vec<usize> = (0..before.len()).filter(|&id| before[id] != after[id]).collect();
    let of_parameters: std::collections::BTreeSet<usize> =
        noted.iter().map(|change| change.parameter.0).collect();
    assert!(changed.iter().eq(&of_parameters), "{changed:?} changed, {of_parameters:?} noted");
    undo(&noted, &pristine, &mut weights);
    assert_eq!(all_bits(network, &weights), before);
    assert_eq!(output(&weights), golden);
}

/// The kind of each parameter of the network.
fn kinds(network: &Network) -> Vec<ParameterKind> {
    network.parameters().map(|(_, parameter)| parameter.kind).collect()
}

#[test]
fn a_strike_changes_its_target_alone_and_is_undone() {
    let network = resnet();
    let kinds = kinds(&network);
    assert!(kinds.contains(&ParameterKind::BatchNorm));
    for (target, kind) in [("weight", ParameterKind::Weight), ("bias", ParameterKind::Bias)] {
        for model in ["bit-flip", "sign-reversal"] {
            let everywhere = format!("model = '{model}'\ntarget = '{target}'\nvalue_fault_rate = 1");
            strike_and_undo(&network, &draw(&network, &everywhere, 0), |before, after| {
                for ((before, after), found) in before.iter().zip(after).zip(&kinds) {
                    let differ = before.iter().zip(after).filter(|(before, after)| before != after).count();
                    assert_eq!(differ, if *found == kind { before.len() } else { 0 }, "{target}: {found:?}");
                }
            });
        }
    }
}

#[test]
fn a_strike_is_what_its_sites_say() {
    let network = resnet();
    let memory = in_memory(&network);
    for trial in 0..20 {
        let draw = draw(&network, "model = 'bit-flip'\ncount = 50", trial);
        strike_and_undo(&network, &draw, |before, after| {
            let mut expected = before.to_vec();
            for site in &draw {
                let Damage::Flip(mask) = site.damage else { panic!("{site:?}") };
                assert_eq!((mask.count_ones(), site.count), (1, 1));
                let parameter = memory.tensor(site.tensor).parameter().expect("a weight");
                expected[parameter.0][site.start] ^= mask as u32;
            }
            assert_eq!(after, expected);
        });
    }
}

#[test]
fn not_a_numbers_are_struck_and_restored_bit_for_bit() {
    // Signalling and quiet, of both signs, with payloads.
    let patterns = [0x7f80_0001, 0x7fc0_0000, 0xffc1_2345, 0xff80_0001, 0x7fff_ffff];
    let mut at = 0;
    let network = with_values(resnet(), |_| {
        at += 1;
        f32::from_bits(patterns[at % patterns.len()])
    });
    for toml in [
        "model = 'sign-reversal'\nvalue_fault_rate = 1",
        "model = 'bit-flip'\nbit_error_rate = 1",
        "model = 'zeroing'\nvalue_fault_rate = 0.5",
        "model = 'stuck-at-0'\nbits = 'exponent'\nbit_error_rate = 0.5",
    ] {
        let draw = draw(&network, toml, 4);
        assert!(draw.len() > 100);
        strike_and_undo(&network, &draw, |before, after| assert_ne!(before, after, "{toml}"));
    }
}

/// One draw after the other, as several `[[fault]]` entries act.
fn in_turn(network: &Network, entries: &[&str]) -> Vec<FaultSite> {
    entries.iter().flat_map(|toml| draw(network, toml, 9)).collect()
}

#[test]
fn entries_that_strike_one_bit_act_in_order_and_are_undone_together() {
    let network = resnet();
    let kinds = kinds(&network);
    let [flip, at_1, at_0] = ["bit-flip", "stuck-at-1", "stuck-at-0"]
        .map(|model| format!("model = '{model}'\nbits = [30]\nbit_error_rate = 1"));
    strike_and_undo(&network, &in_turn(&network, &[&flip, &flip]), |before, after| {
        assert_eq!(before, after, "a flip twice");
    });
    for (entries, last) in [([&flip, &at_1, &at_0], 0), ([&at_0, &flip, &at_1], 1)] {
        let entries = entries.map(String::as_str);
        strike_and_undo(&network, &in_turn(&network, &entries), |before, after| {
            for ((before, after), kind) in before.iter().zip(after).zip(&kinds) {
                let stuck = |bits: &u32| (bits & !(1 << 30)) | last << 30;
                let expected: Vec<u32> = match kind {
                    ParameterKind::Weight => before.iter().map(stuck).collect(),
                    _ => before.clone(),
                };
                assert_eq!(*after, expected, "{kind:?}");
            }
        });
    }
    let zero = "model = 'zeroing'\nvalue_fault_rate = 0.7";
    let mixed = in_turn(&network, &[&flip, zero, "model = 'sign-reversal'\ncount = 200"]);
    strike_and_undo(&network, &mixed, |before, after| assert_ne!(before, after));
}

#[test]
fn a_fault_that_changes_nothing_is_not_noted() {
    let network = with_values(resnet(), |_| 1.0);
    let memory = in_memory(&network);
    // 1.0 is 0x3f80_0000: its sign reads 0 already.
    let idle = draw(&network, "model = 'stuck-at-0'\nbits = 'sign'\nbit_error_rate = 1", 0);
    assert!(!idle.is_empty());
    assert_eq!(changes(&memory, &idle), []);
    let one = draw(&network, "model = 'stuck-at-1'\nbits = 'sign'\ncount = 1", 0);
    let noted = changes(&memory, &one);
    let [change] = noted.as_slice() else { panic!("{noted:?}") };
    assert_eq!(Some(change.parameter), memory.tensor(one[0].tensor).parameter());
    assert_eq!((change.index, change.value), (one[0].start, -1.0));
}
