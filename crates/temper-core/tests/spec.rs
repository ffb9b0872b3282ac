//! Campaign specifications: what is accepted, and what is refused with which words.

pub mod support;

use std::path::Path;

use proptest::prelude::*;
use support::{chain, digits_images, digits_model};
use temper_core::campaign::{Campaign, CampaignSpec, SpecError, SweptValue};
use temper_core::data::Split;
use temper_core::fault::{BitSelection, ErrorModel, Layers, Target};
use temper_core::number::{BitField, NumberFormat};

/// Every table, with every key but those that exclude each other.
const FULL: &str = r#"seed = 42

[model]
file = "models/digits-cnn.safetensors"

[data]
set = "digits"
split = "test"
limit = 200

[[fault]]
target = "weight"
layers = ["conv*", "fc2"]
format = "f32"
model = "bit-flip"
bits = "exponent"

[sweep]
count = [0, 1, 2, 5]

[trials]
count = 100
"#;

/// The least there can be.
const LEAST: &str = r#"seed = 1
model.file = "model.safetensors"
data.set = "digits"
trials.count = 1
[[fault]]
model = "zeroing"
count = 1
"#;

fn parse(toml: &str) -> CampaignSpec {
    CampaignSpec::parse(toml).unwrap_or_else(|error| panic!("{toml}\n{error}"))
}

#[test]
fn every_key_is_read() {
    let spec = parse(FULL);
    assert_eq!(spec.seed, 42);
    assert_eq!(spec.model.file, Path::new("models/digits-cnn.safetensors"));
    assert_eq!(
        (spec.data.set.as_str(), spec.data.split, spec.data.limit),
        ("digits", Split::Test, Some(200))
    );
    let [fault] = spec.faults.as_slice() else { panic!("{:?}", spec.faults) };
    assert_eq!(
        (fault.target, fault.format, fault.model),
        (Target::Weight, NumberFormat::F32, ErrorModel::BitFlip)
    );
    assert_eq!(fault.layers, Layers::Many(vec!["conv*".to_owned(), "fc2".to_owned()]));
    assert_eq!(fault.bits, Some(BitSelection::Field(BitField::Exponent)));
    assert_eq!((fault.count, fault.bit_error_rate, fault.value_fault_rate), (None, None, None));
    assert_eq!(spec.sweep.and_then(|sweep| sweep.count), Some(vec![0, 1, 2, 5]));
    assert_eq!(spec.trials.count, 100);
}

#[test]
fn what_is_left_out_has_its_default() {
    let spec = parse(LEAST);
    assert_eq!((spec.data.split, spec.data.limit, &spec.sweep), (Split::Test, None, &None));
    let fault = &spec.faults[0];
    assert_eq!((fault.target, fault.format, &fault.bits), (Target::Weight, NumberFormat::F32, &None));
    assert_eq!(fault.layers, Layers::One("*".to_owned()));
}

#[test]
fn other_forms_are_read() {
    for (from, to) in [
        ("bits = \"exponent\"", "bits = [30, 0, 31]"),
        ("bits = \"exponent\"", "bits = \"all\""),
        ("bits = \"exponent\"", "bits = \"sign\""),
        ("bits = \"exponent\"", ""),
        ("layers = [\"conv*\", \"fc2\"]", "layers = \"fc?\""),
        ("split = \"test\"", "split = \"train\""),
        ("target = \"weight\"", "target = \"bias\""),
        ("model = \"bit-flip\"", "model = \"stuck-at-0\""),
        ("model = \"bit-flip\"", "model = \"stuck-at-1\""),
        ("count = [0, 1, 2, 5]", "bit_error_rate = [0, 1e-6, 0.5, 1]"),
        ("count = [0, 1, 2, 5]", "value_fault_rate = [1e-300]"),
        ("count = [0, 1, 2, 5]", "bit = [31, 0]"),
        ("[sweep]\ncount = [0, 1, 2, 5]", ""),
        ("[trials]", "[[fault]]\nmodel = \"sign-reversal\"\n[trials]"),
        ("seed = 42", "seed = 9223372036854775807"),
    ] {
        let toml = FULL.replacen(from, to, 1);
        assert_ne!(toml, FULL, "{from}");
        let spec = parse(&toml);
        // As kept in `campaign.json`.
        let json = serde_json::to_string(&spec).expect("plain data");
        assert_eq!(serde_json::from_str::<CampaignSpec>(&json).expect("reads back"), spec);
    }
}

/// Changes of [`FULL`] that TOML itself or the form refuses, and what the message must hold besides the line.
const MALFORMED: [(&str, &str, usize, &[&str]); 38] = [
    ("seed = 42", "seed = 42\nthreads = 2", 2, &["unknown field `threads`", "`seed`"]),
    ("limit", "images", 9, &["unknown field `images`", "`limit`"]),
    ("file = \"", "hash = 1\nfile = \"", 4, &["unknown field `hash`", "`file`"]),
    ("target =", "goal =", 12, &["unknown field `goal`", "`target`"]),
    ("count = [0", "counts = [0", 19, &["unknown field `counts`", "`bit_error_rate`"]),
    ("[trials]\n", "[trials]\nmax = 3\n", 22, &["unknown field `max`", "`count`"]),
    ("[sweep]", "[sweeps]", 18, &["unknown field `sweeps`", "`sweep`"]),
    ("seed = 42", "", 1, &["missing field `seed`"]),
    ("[model]\nfile = \"models/digits-cnn.safetensors\"", "", 1, &["missing field `model`"]),
    ("file = \"models/digits-cnn.safetensors\"", "", 3, &["missing field `file`"]),
    ("set = \"digits\"", "", 6, &["missing field `set`"]),
    ("model = \"bit-flip\"", "", 11, &["missing field `model`"]),
    ("count = 100", "", 21, &["missing field `count`"]),
    ("[trials]\ncount = 100", "", 1, &["missing field `trials`"]),
    ("seed = 42", "seed = \"42\"", 1, &["string \"42\"", "u64"]),
    ("seed = 42", "seed = 4.2", 1, &["floating point `4.2`", "u64"]),
    ("seed = 42", "seed = -42", 1, &["integer `-42`", "u64"]),
    ("seed = 42", "seed = 18446744073709551616", 1, &["integer"]),
    ("seed = 42", "seed = ", 1, &[]),
    ("seed = 42", "seed = 42\nseed = 42", 2, &["duplicate key"]),
    ("\"test\"", "\"validation\"", 8, &["`validation`", "`train`", "`test`"]),
    ("limit = 200", "limit = -1", 9, &["integer `-1`", "usize"]),
    ("limit = 200", "limit = \"all\"", 9, &["string \"all\"", "usize"]),
    ("\"weight\"", "\"activations\"", 12, &["`activations`", "`weight`", "`bias`"]),
    ("\"f32\"", "\"f31\"", 14, &["\"f31\" is not a number format", "f32"]),
    ("\"bit-flip\"", "\"bitflip\"", 15, &["`bitflip`", "`bit-flip`", "`stuck-at-0`", "`zeroing`"]),
    ("\"exponent\"", "\"exponents\"", 16, &["\"all\"", "\"exponent\"", "list of bits"]),
    ("\"exponent\"", "[1, -2]", 16, &["\"all\"", "\"exponent\"", "list of bits"]),
    ("\"exponent\"", "7", 16, &["\"all\"", "\"exponent\"", "list of bits"]),
    ("[\"conv*\", \"fc2\"]", "[\"conv*\", 2]", 13, &["glob", "list of globs"]),
    ("[\"conv*\", \"fc2\"]", "true", 13, &["glob", "list of globs"]),
    ("[0, 1, 2, 5]", "3", 19, &["integer `3`", "a sequence"]),
    ("[0, 1, 2, 5]", "[0, -1]", 19, &["integer `-1`", "u64"]),
    ("[0, 1, 2, 5]", "[0, 1.5]", 19, &["floating point `1.5`", "u64"]),
    ("count = [0, 1, 2, 5]", "bit = [4294967296]", 19, &["integer `4294967296`", "u32"]),
    ("count = [0, 1, 2, 5]", "bit_error_rate = [\"1e-3\"]", 19, &["string \"1e-3\"", "f64"]),
    ("count = 100", "count = 1e2", 22, &["floating point `100.0`", "u64"]),
    ("count = 100", "count = -100", 22, &["integer `-100`", "u64"]),
];

#[test]
fn malformed_specifications_are_refused_with_line_and_reason() {
    for (from, to, line, parts) in MALFORMED {
        let toml = FULL.replacen(from, to, 1);
        assert_ne!(toml, FULL, "{from}");
        let error = CampaignSpec::parse(&toml).expect_err(&toml);
        assert!(matches!(error, SpecError::Toml(_)), "{error}");
        let message = error.to_string();
        assert!(message.contains(&format!("line {line}, column")), "{to}, expected line {line}: {message}");
        assert!(parts.iter().all(|part| message.contains(part)), "{to}: {message}");
    }
}

/// Changes of [`FULL`] that are well formed but make no sense, and the whole message.
const SENSELESS: [(&str, &str, &str); 13] = [
    ("count = 100", "count = 0", "[trials] count: expected at least one, found none"),
    ("limit = 200", "limit = 0", "[data] limit: expected at least one, found none"),
    ("[0, 1, 2, 5]", "[]", "count: expected at least one, found none"),
    (
        "count = [0, 1, 2, 5]",
        "",
        "[sweep]: expected exactly one of count, bit_error_rate, value_fault_rate and bit, found none",
    ),
    (
        "[sweep]",
        "[sweep]\nbit = [3]",
        "[sweep]: expected exactly one of count, bit_error_rate, value_fault_rate and bit, found count and bit",
    ),
    (
        "[sweep]",
        "[sweep]\nbit_error_rate = []\nvalue_fault_rate = [0.5]",
        "[sweep]: expected exactly one of count, bit_error_rate, value_fault_rate and bit, found count and \
         bit_error_rate and value_fault_rate",
    ),
    ("[0, 1, 2, 5]", "[0, 1, 2, 1]", "[sweep] count: 1 occurs twice"),
    ("count = [0, 1, 2, 5]", "bit = [31, 31]", "[sweep] bit: 31 occurs twice"),
    (
        "count = [0, 1, 2, 5]",
        "bit_error_rate = [1e-6, 0.000001]",
        "[sweep] bit_error_rate: 1e-6 occurs twice",
    ),
    ("count = [0, 1, 2, 5]", "value_fault_rate = [0.0, 0]", "[sweep] value_fault_rate: 0 occurs twice"),
    ("count = [0, 1, 2, 5]", "value_fault_rate = [0, -0.0]", "[sweep] value_fault_rate: -0 occurs twice"),
    (
        "count = 100",
        "count = 9223372036854775807",
        "[trials] count: 4 conditions of 9223372036854775807 draws are more trials than can be numbered",
    ),
    (
        "count = 100",
        "count = 4611686018427387904",
        "[trials] count: 4 conditions of 4611686018427387904 draws are more trials than can be numbered",
    ),
];

#[test]
fn senseless_specifications_are_refused_by_name() {
    for (from, to, expected) in SENSELESS {
        let toml = FULL.replacen(from, to, 1);
        assert_ne!(toml, FULL, "{from}");
        let error = CampaignSpec::parse(&toml).expect_err(&toml);
        assert_eq!(error.to_string(), expected);
    }
    // Written as a list, not as tables.
    let toml = "seed = 1\nfault = []\nmodel.file = 'm'\ndata.set = 'digits'\ntrials.count = 1";
    let error = CampaignSpec::parse(toml).expect_err("no fault");
    assert_eq!(error.to_string(), "[[fault]]: expected at least one, found none");
    assert!(CampaignSpec::parse("").is_err());
}

#[test]
fn enormous_campaigns_are_planned_without_being_listed() {
    let toml = FULL.replace("count = 100", "count = 4611686018427387903").replace("limit = 200", "");
    let (model, data) = (digits_model(), digits_images(3));
    let campaign =
        Campaign::new(&parse(&toml), &model.network, &model.preprocessing, &data).expect("it fits");
    assert_eq!(campaign.plan().len(), u64::MAX - 3);
    assert_eq!(campaign.plan().trials().nth(9).map(|trial| (trial.condition, trial.draw)), Some((1, 2)));
    // Faults without number are refused before anything is made of them.
    let toml = FULL.replace("[0, 1, 2, 5]", "[1, 1152921504606846976]");
    let error = Campaign::new(&parse(&toml), &model.network, &model.preprocessing, &data);
    let message = chain(&error.expect_err("more than there are sites"));
    assert!(message.starts_with("fault 1, count = 1152921504606846976: count: "), "{message}");
}

#[test]
fn swept_values_are_written_as_one_would() {
    for (value, text) in [
        (SweptValue::Integer(27), "27"),
        (SweptValue::Real(0.0), "0"),
        (SweptValue::Real(0.25), "0.25"),
        (SweptValue::Real(0.001), "1e-3"),
        (SweptValue::Real(0.0005), "5e-4"),
        (SweptValue::Real(1.0), "1"),
    ] {
        assert_eq!(value.to_string(), text);
    }
}

/// Pieces that change what a specification means, one a line.
const PIECES: &str = r#"[[fault]]
[sweep]
[trials]
count
bit
bits
layers
bit_error_rate
value_fault_rate
=
[
]
"
.
-1
nan
inf
-inf
1e400
0
0.5
1152921504606846976
9223372036854775807
"all"
"exponent"
"zeroing"
"**["
[0, 1]
[[]]
{}"#;

fn pieces() -> impl Strategy<Value = String> {
    let words: Vec<&str> = PIECES.lines().chain(["\n", "\0"]).collect();
    prop_oneof![prop::sample::select(words).prop_map(str::to_owned), "\\PC{0,6}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn no_change_of_a_specification_makes_it_panic(
        least: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..12usize, pieces()), 1..4),
    ) {
        let mut text: Vec<char> = if least { LEAST } else { FULL }.chars().collect();
        for (at, removed, piece) in changes {
            let at = at.index(text.len() + 1);
            let end = text.len().min(at + removed);
            text.splice(at..end, piece.chars());
        }
        let toml: String = text.into_iter().collect();
        if let Ok(spec) = CampaignSpec::parse(&toml) {
            let (model, data) = (digits_model(), digits_images(1));
            let campaign = Campaign::new(&spec, &model.network, &model.preprocessing, &data);
            if let Ok(campaign) = campaign {
                prop_assert!(!campaign.plan().is_empty());
                prop_assert!(campaign.plan().trials().next().is_some());
            }
        }
    }
}
