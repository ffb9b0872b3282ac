//! A recorded trial, replayed alone and written down as a list of faults.

pub mod support;

use std::fs;

use serde_json::Value;
use support::{digits_campaign, temper};

/// Flips in quantised weights, with upsets of activations drawn anew for every image.
const MIXED: &str = r#"seed = 5
record.confidence = true
[model]
file = "digits-cnn.safetensors"
[data]
set = "digits"
limit = 60
[[storage]]
target = "weight"
format = "int8"
granularity = "channel"
[[fault]]
model = "bit-flip"
count = 40
[[fault]]
target = "activation"
place = "activated"
format = "uint8"
model = "bit-flip"
lifetime = "transient"
bit_error_rate = 0.002
[[fault]]
target = "weight-scale"
model = "lognormal"
sigma = 0.2
count = 2
[trials]
count = 3
"#;

/// What a run of `campaign export` says of each trial.
fn trials(dir: &str) -> Vec<Value> {
    let exported = temper(&["campaign", "export", dir, "--format", "json"]).json();
    exported.as_array().expect("an array").clone()
}

#[test]
fn a_replay_is_its_record_and_shows_the_way_through_the_layers() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spec, records) = digits_campaign(folder.path(), MIXED);
    assert_eq!(temper(&["campaign", "run", &spec, "-o", &records]).code, 0);
    for trial in trials(&records) {
        let id = trial["trial"].to_string();
        let replay = temper(&["campaign", "replay", &records, "--trial", &id, "--json"]).json();
        assert_eq!(replay["agrees_with_record"], true);
        for count in ["images", "correct", "masked", "masked_exact", "sdc", "critical", "due"] {
            assert_eq!(replay["outcomes"][count], trial[count], "{count} of trial {id}");
        }
        let departures = replay["departures"].as_array().expect("an array");
        assert_eq!((&departures[0]["node"], &departures[0]["changed"]), (&"input".into(), &0.into()));
        let last = departures.last().expect("a node");
        let unchanged =
            trial["images"].as_u64().expect("a number") - last["changed_images"].as_u64().expect("a number");
        assert_eq!(
            unchanged,
            trial["masked_exact"].as_u64().expect("a number"),
            "outputs that are the golden ones"
        );
    }
    let text = temper(&["campaign", "replay", &records, "--trial", "0"]);
    assert!(text.out.contains("the record says the same"), "{}", text.out);
    let missing = temper(&["campaign", "replay", &records, "--trial", "99"]);
    assert_eq!((missing.code, missing.err.contains("there is no trial 99")), (3, true), "{}", missing.err);
}

#[test]
fn exported_faults_strike_again_as_a_list() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spec, records) = digits_campaign(folder.path(), MIXED);
    assert_eq!(temper(&["campaign", "run", &spec, "-o", &records]).code, 0);
    let original = trials(&records);

    for format in ["csv", "json"] {
        let list = folder.path().join(format!("faults.{format}"));
        let list = list.to_string_lossy();
        let export = temper(&["campaign", "export", &records, "--faults", "--format", format, "-o", &list]);
        assert_eq!(export.code, 0, "{}", export.err);
        // The same storage, and the listed faults in place of the drawn ones.
        let listed = format!(
            "{}[[storage]]\ntarget = \"activation\"\nplace = \"activated\"\nformat = \"uint8\"\n\
             [[fault]]\nlist = \"faults.{format}\"\n[trials]\ncount = 3\n",
            &MIXED[..MIXED.find("[[fault]]").expect("a fault")]
        );
        let again = folder.path().join(format!("again-{format}.toml"));
        fs::write(&again, listed).expect("written");
        let dir = folder.path().join(format!("again-{format}"));
        let (again, dir) = (again.to_string_lossy(), dir.to_string_lossy());
        let run = temper(&["campaign", "run", &again, "-o", &dir]);
        assert_eq!(run.code, 0, "{}", run.err);
        assert_eq!(trials(&dir), original, "{format}");
    }
}

#[test]
fn a_campaign_whose_model_changed_is_not_replayed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spec, records) = digits_campaign(folder.path(), MIXED);
    assert_eq!(temper(&["campaign", "run", &spec, "-o", &records]).code, 0);
    let model = folder.path().join("digits-cnn.safetensors");
    let mut bytes = fs::read(&model).expect("the model");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&model, bytes).expect("written");
    let changed = temper(&["campaign", "replay", &records, "--trial", "0"]);
    assert_eq!((changed.code, changed.err.contains("the network changed")), (3, true), "{}", changed.err);
    // The original lies elsewhere too.
    let found = temper(&["campaign", "replay", &records, "--trial", "0", "--model", support::MODEL]);
    assert_eq!(found.code, 0, "{}", found.err);
}
