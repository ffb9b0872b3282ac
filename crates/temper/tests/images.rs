//! Draws on part of the images, through the program: what is chosen and said, and what follows it.

pub mod support;

use std::fs;

use support::{digits_campaign, temper};

/// Upsets of activations drawn anew for every image, until the mean is known.
const PRECISE: &str = r#"seed = 5
[model]
file = "digits-cnn.safetensors"
[data]
set = "digits"
limit = 400
[[fault]]
target = "activation"
model = "bit-flip"
lifetime = "transient"
count = 1
[trials]
precision = { half_width = 0.03, min = 8, max = 300, guard = "equal-draws" }
"#;

#[test]
fn what_was_chosen_is_said_and_replayed_and_gone_on_with() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spec, records) = digits_campaign(folder.path(), PRECISE);
    let plan = temper(&["campaign", "plan", &spec]);
    assert!(plan.out.contains("8 draws of 64 under each condition choose how many"), "{}", plan.out);
    let run = temper(&["campaign", "run", &spec, "-o", &records]);
    assert_eq!(run.code, 0, "{}", run.err);
    for said in [&run.err, &run.out] {
        assert!(said.contains("images a draw, ") && said.contains("between chips"), "{said}");
    }
    assert!(run.out.contains("draws ran part of the images"), "{}", run.out);

    let exported = temper(&["campaign", "export", &records, "--format", "json"]).json();
    let trials = exported.as_array().expect("an array");
    let images = |trial: &serde_json::Value| trial["images"].as_u64().expect("a number");
    assert!(trials.len() > 8 && trials[..8].iter().all(|trial| images(trial) == 64));
    assert!(trials[8..].iter().all(|trial| images(trial) == images(&trials[8]) && images(trial) < 400));
    // A draw behind the pilot, and its faults: one for each of its images.
    let replay = temper(&["campaign", "replay", &records, "--trial", "8", "--json"]).json();
    assert_eq!(replay["agrees_with_record"], true);
    let faults =
        temper(&["campaign", "export", &records, "--faults", "--trial", "8", "--format", "json"]).json();
    assert_eq!(faults.as_array().map(|faults| faults.len() as u64), Some(images(&trials[8])));
    assert_eq!(replay["faults"], faults);

    // Killed in the pilot, just behind it, and later: the rest is the same.
    let log = support::only_log(&folder.path().join("records"));
    let whole = fs::read_to_string(&log).expect("records");
    for kept in [3, 8, 9, trials.len() - 1] {
        let lines: String = whole.split_inclusive('\n').take(kept).collect();
        fs::write(&log, lines).expect("written");
        assert_eq!(temper(&["campaign", "run", &spec, "-o", &records, "--threads", "2"]).code, 0);
        assert_eq!(temper(&["campaign", "export", &records, "--format", "json"]).json(), exported, "{kept}");
        fs::remove_dir_all(folder.path().join("records").join("shards")).expect("removed");
        fs::create_dir_all(log.parent().expect("a folder")).expect("made");
    }
    fs::write(&log, whole).expect("written");

    let refused = temper(&["campaign", "status", &records, "--yield-at", "0.5"]);
    assert_eq!((refused.code, refused.err.contains("images = \"all\"")), (3, true), "{}", refused.err);
    let passed =
        temper(&["campaign", "gate", &records, "--max-accuracy-drop", "0.99", "--max-due-rate", "0.9"]);
    assert_eq!(passed.code, 0, "{}", passed.err);
}

#[test]
fn a_number_of_images_may_be_given_and_sharded() {
    let folder = tempfile::tempdir().expect("a folder");
    let precision = PRECISE.lines().last().expect("a line");
    let (spec, records) =
        digits_campaign(folder.path(), &PRECISE.replace(precision, "count = 9\nimages = 40"));
    let plan = temper(&["campaign", "plan", &spec, "--json"]).json();
    assert_eq!((&plan["draw_images"], &plan["inferences"]), (&40.into(), &360.into()));
    for shard in ["1/2", "2/2"] {
        assert_eq!(temper(&["campaign", "run", &spec, "-o", &records, "--shard", shard]).code, 0);
    }
    let status = temper(&["campaign", "status", &records, "--json"]).json();
    assert_eq!((&status["complete"], &status["recorded"]), (&true.into(), &9.into()));
    assert_eq!(status["conditions"][0]["outcomes"]["images"], 360);
}
