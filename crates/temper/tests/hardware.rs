//! Campaigns on chips, through the program.

pub mod support;

use std::fs;

use support::{digits_campaign, temper};

/// Crossbars of two sizes, with upsets of activations.
const CROSSBARS: &str = r#"seed = 3
record.confidence = true
[model]
file = "digits-cnn.safetensors"
[data]
set = "digits"
limit = 80
[[hardware]]
layers = ["*", "!fc2"]
model = { kind = "crossbar", programming = { model = "lognormal", sigma = 0.5 } }
[[fault]]
target = "activation"
model = "bit-flip"
lifetime = "transient"
count = 1
[sweep]
"hardware.1.model.rows" = [32, 512]
[trials]
count = 3
"#;

#[test]
fn chips_come_out_alike_however_they_are_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spec, whole) = digits_campaign(folder.path(), CROSSBARS);
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let run = |dir: &str, more: &[&str]| {
        let run = temper(&[&["campaign", "run", &spec, "-o", dir], more].concat());
        assert_eq!(run.code, 0, "{}", run.err);
        run
    };
    let exported = |dir: &str| temper(&["campaign", "export", dir, "--format", "json"]).json();
    run(&whole, &["--verify", "1"]);
    let expected = exported(&whole);
    assert_eq!(expected.as_array().map(Vec::len), Some(6));

    // A slice, then the rest in the same folder, on one thread and in little memory.
    let resumed = path("resumed");
    run(&resumed, &["--shard", "2/3"]);
    let rest = run(&resumed, &["--threads", "1", "--memory", "4MiB", "--no-proofs"]);
    assert!(rest.err.contains("2 of 6 trials are recorded already"), "{}", rest.err);
    // Slices in folders of their own.
    let [first, second, merged] = ["first", "second", "merged"].map(path);
    run(&first, &["--shard", "1/2"]);
    run(&second, &["--shard", "2/2"]);
    assert_eq!(temper(&["campaign", "merge", &first, &second, "-o", &merged]).code, 0);
    for dir in [&resumed, &merged] {
        assert_eq!(exported(dir), expected, "{dir}");
    }

    let mut seeds = Vec::new();
    for trial in expected.as_array().expect("an array") {
        let id = trial["trial"].to_string();
        let replay = temper(&["campaign", "replay", &whole, "--trial", &id, "--json"]).json();
        assert_eq!(replay["agrees_with_record"], true, "trial {id}");
        seeds.push(replay["chip_seed"].as_u64().expect("a seed"));
    }
    assert!(seeds[0] == seeds[1] && seeds[2] == seeds[3] && seeds[0] != seeds[2], "{seeds:?}");
    let text = temper(&["campaign", "replay", &whole, "--trial", "3"]).out;
    assert!(text.contains(&format!("on the chip of seed {}", seeds[3])), "{text}");
    // Chips are no faults that layers could be ranked by.
    let ranked = temper(&["campaign", "vulnerability", &whole]);
    assert_eq!((ranked.code, ranked.out.as_str()), (3, ""), "{}", ranked.err);
}

/// Chips alone, drawn until the accuracy is known, on as many images as that takes.
#[test]
fn precision_chooses_the_images_of_chips() {
    let folder = tempfile::tempdir().expect("a folder");
    let begin = &CROSSBARS[..CROSSBARS.find("[[fault]]").expect("a fault")];
    let text = begin.replace("limit = 80", "limit = 300").replace("record.confidence = true\n", "")
        + "[trials]\nprecision = { half_width = 0.03, min = 6, max = 60 }\n";
    let (spec, records) = digits_campaign(folder.path(), &text);
    let run = temper(&["campaign", "run", &spec, "-o", &records, "--json", "--verify", "0.2"]);
    let report = run.json();
    assert_eq!((&report["complete"], &report["images"]), (&true.into(), &300.into()));
    let choice = &report["conditions"][0]["images"];
    assert!(choice.is_object(), "a pilot chose: {report}");
    let lost = report["conditions"][0]["accuracy_drop"]["estimate"].as_f64().expect("a drop");
    assert!((0.005..0.5).contains(&lost), "{report}");
}

#[test]
fn storage_that_no_device_holds_is_refused_with_its_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = CROSSBARS.replace(
        r#"kind = "crossbar", programming = { model = "lognormal", sigma = 0.5 }"#,
        r#"kind = "sandwich-ram""#,
    );
    let (spec, records) = digits_campaign(folder.path(), &text);
    let refused = temper(&["campaign", "run", &spec, "-o", &records]);
    assert_eq!(refused.code, 3);
    let expected = "campaign.toml, line 10: model = { kind = \"sandwich-ram\" }: hardware 1, hardware.1.model.rows = 32: \
        the weights of conv1 are stored in f32; the device holds binary";
    assert!(refused.err.contains(expected), "{}", refused.err);
    assert!(fs::metadata(&records).is_err(), "nothing was begun");
}
