//! Campaign specifications: what is accepted, and what is refused with which words.

pub mod support;

use std::path::Path;

use proptest::prelude::*;
use support::{bind, chain, digits_images, digits_model};
use temper_core::campaign::{AxisValues, CampaignSpec, SpecError, SweptValue, place_of};
use temper_core::data::Split;
use temper_core::fault::{BitSelection, ErrorModel};
use temper_core::memory::{Class, Layers};
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
        (Class::Weight.into(), Some(NumberFormat::F32), Some(ErrorModel::BitFlip))
    );
    assert_eq!(fault.layers, Layers::Many(vec!["conv*".to_owned(), "fc2".to_owned()]));
    assert_eq!(fault.bits, Some(BitSelection::Field(BitField::Exponent)));
    assert_eq!((fault.count, fault.bit_error_rate, fault.value_fault_rate), (None, None, None));
    let counts = [0, 1, 2, 5].map(SweptValue::Integer).to_vec();
    assert_eq!(spec.sweep.axes, [("count".to_owned(), AxisValues::List(counts))]);
    assert_eq!(spec.trials.count, Some(100));
}

#[test]
fn what_is_left_out_has_its_default() {
    let spec = parse(LEAST);
    assert_eq!((spec.data.split, spec.data.limit, spec.sweep.is_empty()), (Split::Test, None, true));
    let fault = &spec.faults[0];
    assert_eq!((fault.target, fault.format, &fault.bits), (Class::Weight.into(), None, &None));
    assert!(spec.storage.is_empty() && !spec.record.predictions && !spec.needs_calibration());
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
        ("bits = \"exponent\"", "bits = { from = 3, to = 30 }\nburst_bits = 2\nlifetime = \"transient\""),
        ("model = \"bit-flip\"\nbits = \"exponent\"", "model = \"set-value\"\nvalue = inf"),
        (
            "model = \"bit-flip\"\nbits = \"exponent\"",
            "model = \"gaussian\"\nsigma = 0.1\nmode = \"multiplicative\"",
        ),
        ("count = [0, 1, 2, 5]", "value = [0.5, -inf]\nformat = [\"f16\", \"int8\"]\nlayer = \"each\""),
        ("[sweep]\ncount", "[sweep]\nfault.1.count"),
        ("count = 100", "precision = { half_width = 0.01, min = 10, max = 100 }"),
        ("count = 100", "statistical = { margin = 0.01, confidence = 0.99 }"),
        ("count = 100", "exhaustive = true"),
        (
            "[trials]",
            "[[storage]]\ntarget = \"weight\"\nformat = \"int8\"\ngranularity = \"channel\"\n\
             range = { percentile = 99.9 }\n[record]\npredictions = true\n[calibration]\nlimit = 3\n[trials]",
        ),
    ] {
        let toml = FULL.replacen(from, to, 1);
        assert_ne!(toml, FULL, "{from}");
        let spec = parse(&toml);
        // As kept in `campaign.json`.
        let json = serde_json::to_string(&spec).expect("plain data");
        assert_eq!(serde_json::from_str::<CampaignSpec>(&json).expect("reads back"), spec, "{to}");
    }
}

/// Changes of [`FULL`] that TOML itself or the form refuses, and what the message must hold besides the line.
const MALFORMED: [(&str, &str, usize, &[&str]); 32] = [
    ("seed = 42", "seed = 42\nthreads = 2", 2, &["unknown field `threads`", "`seed`"]),
    ("limit", "images", 9, &["unknown field `images`", "`limit`"]),
    ("file = \"", "hash = 1\nfile = \"", 4, &["unknown field `hash`", "`file`"]),
    ("target =", "goal =", 12, &["unknown field `goal`", "`target`"]),
    ("[trials]\n", "[trials]\nmax = 3\n", 22, &["unknown field `max`", "`count`"]),
    ("[sweep]", "[sweeps]", 18, &["unknown field `sweeps`", "`sweep`"]),
    ("seed = 42", "", 1, &["missing field `seed`"]),
    ("[model]\nfile = \"models/digits-cnn.safetensors\"", "", 1, &["missing field `model`"]),
    ("file = \"models/digits-cnn.safetensors\"", "", 3, &["missing field `file`"]),
    ("set = \"digits\"", "", 6, &["missing field `set`"]),
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
    ("\"weight\"", "\"activations\"", 12, &["\"activations\"", "weight", "bias"]),
    ("\"f32\"", "\"f31\"", 14, &["\"f31\"", "f32"]),
    ("\"bit-flip\"", "\"bitflip\"", 15, &["`bitflip`", "`bit-flip`", "`stuck-at-0`", "`zeroing`"]),
    ("\"exponent\"", "\"exponents\"", 16, &["\"all\"", "\"exponent\"", "list of bits"]),
    ("\"exponent\"", "[1, -2]", 16, &["\"all\"", "\"exponent\"", "list of bits"]),
    ("\"exponent\"", "7", 16, &["\"all\"", "\"exponent\"", "list of bits"]),
    ("[\"conv*\", \"fc2\"]", "[\"conv*\", 2]", 13, &["a selector", "list of selectors"]),
    ("[\"conv*\", \"fc2\"]", "true", 13, &["a selector", "list of selectors"]),
    ("[0, 1, 2, 5]", "3", 19, &["list of values", "\"each\""]),
    ("[0, 1, 2, 5]", "[[1]]", 19, &["list of values", "\"each\""]),
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

/// Changes of [`FULL`] that are well formed but make no sense, where they point, and the whole message.
const SENSELESS: [(&str, &str, usize, &str); 33] = [
    ("count = 100", "count = 0", 22, "[trials] count: expected at least 1, found 0"),
    (
        "count = 100",
        "",
        21,
        "[trials]: expected exactly one of count, precision, statistical and exhaustive, found none",
    ),
    (
        "count = 100",
        "count = 1\nexhaustive = true",
        21,
        "[trials]: expected exactly one of count, precision, statistical and exhaustive, found count and exhaustive",
    ),
    (
        "count = 100",
        "exhaustive = false",
        22,
        "[trials] exhaustive: expected true; for anything else give count",
    ),
    (
        "count = 100",
        "statistical = { margin = 1.5, confidence = 0.99 }",
        22,
        "[trials] statistical.margin: expected between 0 and 1, found 1.5",
    ),
    (
        "count = 100",
        "statistical = { margin = 0.01, confidence = 0.99, proportion = nan }",
        22,
        "[trials] statistical.proportion: expected between 0 and 1, found NaN",
    ),
    (
        "count = 100",
        "precision = { half_width = 0.01, min = 1, max = 9 }",
        22,
        "[trials] precision: found 1 draws before the first look, expected at least 2",
    ),
    ("limit = 200", "limit = 0", 9, "[data] limit: expected at least 1, found 0"),
    (
        "limit = 200",
        "selection_seed = 3",
        9,
        "[data] selection_seed: all images are used; give a limit to choose some of them",
    ),
    (
        "[trials]",
        "[calibration]\nlimit = 0\n[trials]",
        22,
        "[calibration] limit: expected at least 1, found 0",
    ),
    ("[0, 1, 2, 5]", "[]", 19, "[sweep] count: expected at least one, found none"),
    ("[0, 1, 2, 5]", "[0, 1, 2, 1]", 19, "[sweep] count: 1 occurs twice"),
    ("count = [0, 1, 2, 5]", "bit = [31, 31]", 19, "[sweep] bit: 31 occurs twice"),
    ("count = [0, 1, 2, 5]", "layer = ['fc1', 'fc1']", 19, "[sweep] layer: fc1 occurs twice"),
    (
        "count = [0, 1, 2, 5]",
        "bit_error_rate = [1e-6, 0.000001]",
        19,
        "[sweep] bit_error_rate: 1e-6 occurs twice",
    ),
    ("count = [0, 1, 2, 5]", "value_fault_rate = [0.0, 0]", 19, "[sweep] value_fault_rate: 0 occurs twice"),
    ("count = [0, 1, 2, 5]", "value_fault_rate = [0, -0.0]", 19, "[sweep] value_fault_rate: -0 occurs twice"),
    ("count = [0, 1, 2, 5]", "value = [nan, nan]", 19, "[sweep] value: NaN occurs twice"),
    ("count = [0", "counts = [0", 19, "[sweep] counts: unknown field"),
    ("[0, 1, 2, 5]", "[0, -1]", 19, "[sweep] count: invalid value: integer `-1`, expected u64"),
    ("[0, 1, 2, 5]", "[0, 1.5]", 19, "[sweep] count: invalid type: floating point `1.5`, expected u64"),
    ("[0, 1, 2, 5]", "[0, '1']", 19, "[sweep] count: invalid type: string \"1\", expected u64"),
    ("count = [0, 1, 2, 5]", "bit = [4294967296]", 19, "[sweep] bit: expected \"all\""),
    (
        "count = [0, 1, 2, 5]",
        "bit_error_rate = ['1e-3']",
        19,
        "[sweep] bit_error_rate: invalid type: string \"1e-3\"",
    ),
    (
        "count = [0, 1, 2, 5]",
        "format = ['int8', 'int80']",
        19,
        "[sweep] format: \"int80\" is not a number format",
    ),
    (
        "[0, 1, 2, 5]",
        "'each'",
        19,
        "[sweep] count: only layer, bit and hardware.N.layers have an \"each\"; expected a list",
    ),
    ("count = [0", "fault.2.count = [0", 19, "[sweep] fault.2.count: there is no entry 2; expected 1 to 1"),
    (
        "count = [0",
        "\"fault.0.count\" = [0",
        19,
        "[sweep] fault.0.count: there is no entry 0; expected 1 to 1",
    ),
    (
        "count = [0",
        "storage.1.format = [0",
        19,
        "[sweep] storage.1.format: there is no entry 1, nor any other",
    ),
    (
        "count = [0",
        "trials.count = [0",
        19,
        "[sweep] trials.count: expected a field of the faults, fault.N.FIELD, storage.N.FIELD or hardware.N.FIELD",
    ),
    (
        "count = [0",
        "bits = [1]\nfault.1.bit = [2, 3]\ncount = [0",
        20,
        "[sweep] fault.1.bit: another axis gives fault 1 its bits already",
    ),
    ("count = [0", "list = ['a.csv']\ncount = [0", 19, "[sweep] list: the faults of a list cannot be swept"),
    (
        "model = \"bit-flip\"",
        "list = \"faults.csv\"",
        15,
        "fault 1, list: a list says all there is of its faults; leave every other field out",
    ),
];

#[test]
fn senseless_specifications_are_refused_by_name_and_place() {
    for (from, to, line, expected) in SENSELESS {
        let toml = FULL.replacen(from, to, 1);
        assert_ne!(toml, FULL, "{from}");
        let error = CampaignSpec::parse(&toml).expect_err(&toml);
        assert!(error.to_string().starts_with(expected), "{to}: {error}");
        let SpecError::Value { path, .. } = &error else { panic!("{error:?}") };
        let place = place_of(&toml, path).expect("a place in the text");
        assert!(place.starts_with(&format!("line {line}: ")), "{to}: {place}");
    }
    // Written as a list, not as tables.
    let toml = "seed = 1\nfault = []\nmodel.file = 'm'\ndata.set = 'digits'\ntrials.count = 1";
    let error = CampaignSpec::parse(toml).expect_err("no fault");
    assert_eq!(error.to_string(), "[[fault]]: expected at least one, or [[hardware]]; found none");
    assert!(CampaignSpec::parse("").is_err());
}

#[test]
fn enormous_campaigns_are_planned_without_being_listed() {
    let toml = FULL.replace("count = 100", "count = 4611686018427387903").replace("limit = 200", "");
    let (model, data) = (digits_model(), digits_images(3));
    let campaign = bind(&parse(&toml), &model, &data).expect("it fits");
    assert_eq!(campaign.plan().len(), u64::MAX - 3);
    assert_eq!(campaign.plan().trials().nth(9).map(|trial| (trial.condition, trial.draw)), Some((1, 2)));
    // Not even enormous numbers overflow.
    for count in ["9223372036854775807", "4611686018427387904"] {
        let toml = FULL.replace("count = 100", &format!("count = {count}"));
        let error = bind(&parse(&toml), &model, &data).expect_err("more than 2^64 trials");
        assert_eq!(error.to_string(), "[trials]: more trials than can be numbered");
    }
    // Faults without number are refused before anything is made of them.
    let toml = FULL.replace("[0, 1, 2, 5]", "[1, 1152921504606846976]");
    let error = bind(&parse(&toml), &model, &data);
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
"each"
storage.1.
fault.1.
precision
statistical
exhaustive = true
lifetime = "transient"
target = "activation"
format = "int8"
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
            let campaign = bind(&spec, &model, &data);
            if let Ok(campaign) = campaign {
                prop_assert!(!campaign.plan().is_empty());
                prop_assert!(campaign.plan().trials().next().is_some());
            }
        }
    }
}
