//! `temper run` of an experiment, through the program.

pub mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use support::{example, start, temper};

fn write(dir: &Path, text: &str) -> String {
    let path = dir.join("experiment.toml");
    fs::write(&path, text).expect("written");
    path.to_str().expect("text").to_owned()
}

fn page(output: &str) -> String {
    fs::read_to_string(format!("{output}/report/report.html")).expect("the page")
}

/// The folders below one of an experiment's.
fn folders(output: &str, below: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(format!("{output}/{below}")).into_iter().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    folders.sort();
    folders
}

/// An experiment of a moment; `more` is added to it.
fn small(more: &str) -> String {
    let base = r#"
title = "Small"

[train]
seed = 1
data = { set = "digits", train_limit = 300, test_limit = 100 }
network = { architecture = "mlp", widths = [12] }

[[train.phase]]
epochs = 6
batch_size = 50
optimizer = { kind = "adam", lr = 0.02 }

[campaign.zeroed]
seed = 1
trials.count = 5
sweep.count = [1, 100]

[[campaign.zeroed.fault]]
model = "zeroing"
"#;
    base.to_owned() + more
}

#[test]
fn the_references_example_compares_variants_over_seeds() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = write(dir.path(), &example("experiment-reference.md"));
    let output = dir.path().join("results");
    let output = output.to_str().expect("text");
    let run = temper(&["run", &file, "-o", output, "--jobs", "2", "--json"]);
    let summary = run.json();
    assert_eq!((&summary["complete"], summary["variants"].as_array().map(Vec::len)), (&true.into(), Some(6)));
    let names: Vec<&str> = summary["variants"]
        .as_array()
        .expect("variants")
        .iter()
        .filter_map(|variant| variant["name"].as_str())
        .collect();
    assert_eq!(names[..4], ["SGD, seed 1", "SGD, seed 2", "SGD, seed 3", "Adam, seed 1"]);
    // Each is compared with the first named variant of its seed; the same draws strike the same places.
    assert!(summary["variants"][1]["campaigns"][0]["gain"].is_null());
    let gain = &summary["variants"][4]["campaigns"][0]["gain"];
    assert_eq!(
        (&gain["over"], &gain["condition"]),
        (&"SGD, seed 2".into(), &"value fault rate = 0.3".into())
    );
    let worst = |variant: usize| {
        summary["variants"][variant]["campaigns"][0]["worst"]["accuracy"].as_f64().expect("an accuracy")
    };
    let difference = gain["difference"].as_f64().expect("a difference");
    assert!((difference - (worst(4) - worst(1))).abs() < 1e-12, "{difference} {} {}", worst(4), worst(1));
    let page = page(output);
    assert!(
        page.contains("Which optimiser makes the sturdier network?") && page.contains("over repetitions")
    );
    // One job at a time gives the same.
    let other = dir.path().join("other");
    let other = other.to_str().expect("text");
    assert_eq!(temper(&["run", &file, "-o", other, "--json"]).json(), summary);
    assert_eq!(fs::read_to_string(format!("{other}/report/report.html")).expect("the page"), page);
}

#[test]
fn what_is_unchanged_is_not_done_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = dir.path().join("results");
    let output = output.to_str().expect("text");
    let variants =
        "\n[[variant]]\nname = \"a\"\n\n[[variant]]\nname = \"b\"\ncampaign.zeroed.trials.count = 6\n";
    let file = write(dir.path(), &small(variants));
    let run = temper(&["run", &file, "-o", output]);
    assert_eq!(run.code, 0, "{}", run.err);
    // Both variants train alike: one training.
    assert_eq!((folders(output, "trainings").len(), folders(output, "campaigns").len()), (1, 2));
    // A renamed variant finds its folders; a new one is run; a removed one leaves its.
    let changed = variants.replace("\"a\"", "\"first\"").replace("trials.count = 6", "seed = 2");
    fs::write(&file, small(&changed)).expect("written");
    let run = temper(&["run", &file, "-o", output]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.err.contains("[1/1] campaign zeroed on b"), "{}", run.err);
    assert_eq!((folders(output, "trainings").len(), folders(output, "campaigns").len()), (1, 3));
    // Other data of the same name would be another hash; the same file elsewhere is the same experiment.
    let moved = dir.path().join("moved");
    fs::create_dir(&moved).expect("made");
    let file = write(&moved, &small(&changed));
    let run = temper(&["run", &file, "-o", output]);
    assert!(run.code == 0 && !run.err.contains("[1/"), "{}", run.err);
}

#[test]
fn bad_variants_take_no_other_with_them_and_the_page_says_so() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = dir.path().join("results");
    let output = output.to_str().expect("text");
    let variants = r#"
[[variant]]
name = "good"

[[variant]]
name = "diverging"
train.phase.optimizer = { kind = "sgd", lr = 1e30 }

[[variant]]
name = "impossible"
train.phase.optimizer.momentum = 0.9

[[variant]]
name = "no such layer"
campaign.zeroed.fault.layers = "conv9"

[[variant]]
name = "from nowhere"
train.network.variant = "impossible"
"#;
    let file = write(dir.path(), &small(variants));
    let dry = temper(&["run", &file, "-o", output, "--dry-run"]);
    assert_eq!(dry.code, 6, "{}", dry.err);
    assert!(
        dry.out.contains("conv9") && dry.out.contains("momentum") && !Path::new(output).exists(),
        "{}",
        dry.out
    );
    let run = temper(&["run", &file, "-o", output]);
    assert_eq!(run.code, 6, "{}", run.err);
    assert!(run.err.contains("parts of the experiment failed, 3 in all"), "{}", run.err);
    let text = page(output);
    for expected in [
        "unknown field",
        "momentum",
        "conv9",
        "not finite",
        "left out",
        "&quot;impossible&quot; trains no network",
    ] {
        assert!(text.contains(expected), "{expected} is not on the page");
    }
    let status = temper(&["status", output, "--json"]).json();
    assert_eq!(status["state"], "done", "what failed or is left out is settled");
    let states: Vec<&str> = status["stages"]
        .as_array()
        .expect("stages")
        .iter()
        .filter_map(|stage| stage["state"].as_str())
        .collect();
    // Two trainings (that of "no such layer" is that of "good"), three campaigns.
    assert_eq!(states, ["done", "done", "done", "skipped", "failed"]);
    // Mended, the rest is as it was.
    fs::write(
        &file,
        small(
            &variants
                .replace("conv9", "fc1")
                .replace("lr = 1e30", "lr = 0.1")
                .replace("impossible\"\ntrain.phase.optimizer.momentum = 0.9", "impossible\""),
        ),
    )
    .expect("written");
    let run = temper(&["run", &file, "-o", output]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(!run.err.contains("train good"), "{}", run.err);
    assert!(temper(&["status", output]).out.contains("all trainings and campaigns are done"));
}

#[test]
fn what_was_interrupted_is_told_and_the_rest_is_there() {
    let dir = tempfile::tempdir().expect("a folder");
    let variants = r#"
[[variant]]
name = "diverging"
train.phase.optimizer = { kind = "sgd", lr = 1e30 }

[[variant]]
name = "impossible"
train.phase.epochs = 0

[[variant]]
name = "endless"
train.phase.epochs = 1000000
"#;
    let file = write(dir.path(), &small(variants));
    let output = dir.path().join("results");
    let output = output.to_str().expect("text");
    let mut child = start(&["run", &file, "-o", output]);
    let began = Instant::now();
    let is_begun = || {
        folders(output, "trainings").iter().any(|folder| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.starts_with("endless") && folder.join("history.jsonl").exists()
        })
    };
    while !is_begun() && began.elapsed() < Duration::from_mins(2) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let busy = temper(&["run", &file, "-o", output]);
    assert!(busy.code == 3 && busy.err.contains("another run is at work"), "{}", busy.err);
    child.kill().expect("killed");
    child.wait().expect("ended");
    assert_eq!(temper(&["report", output]).code, 0);
    let text = page(output);
    for expected in [
        "not finished",
        "of 1\u{202f}000\u{202f}000 epochs",
        "not finite",
        "impossible cannot be run",
        "to do",
    ] {
        assert!(text.contains(expected), "{expected} is not on the page");
    }
    let status = temper(&["status", output]);
    assert_eq!(status.code, 0);
    assert!(
        status.out.contains("of 1 000 000 epochs") && status.out.contains("last written"),
        "{}",
        status.out
    );
}

#[test]
fn killed_anywhere_it_ends_in_the_same_page() {
    let dir = tempfile::tempdir().expect("a folder");
    let variants = "\n[grid]\ntrain.seed = [1, 2, 3]\n";
    let file = write(
        dir.path(),
        &small(variants)
            .replace("trials.count = 5", "trials.count = 1500")
            .replace("epochs = 6", "epochs = 40"),
    );
    let whole = dir.path().join("whole");
    let whole = whole.to_str().expect("text");
    assert_eq!(temper(&["run", &file, "-o", whole]).code, 0);
    let killed = dir.path().join("killed");
    let killed = killed.to_str().expect("text");
    let arguments = ["run", &file, "-o", killed];
    let mut kills = 0;
    // Killed a little later each time, until it comes to its end.
    for wait in (0..400).map(|step| Duration::from_millis(20 + 40 * step)) {
        let mut child = start(&arguments);
        let began = Instant::now();
        while began.elapsed() < wait && child.try_wait().expect("a status").is_none() {
            std::thread::sleep(Duration::from_millis(2));
        }
        let is_over = child.try_wait().expect("a status").is_some();
        child.kill().expect("killed or over");
        child.wait().expect("ended");
        if is_over {
            break;
        }
        kills += 1;
    }
    assert!(kills > 2, "it was killed {kills} times only");
    let run = temper(&arguments);
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(page(killed), page(whole));
}

#[test]
fn bad_experiments_and_folders_are_told_and_left_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = dir.path().join("results");
    let output = output.to_str().expect("text");
    let refused = |text: &str, expected: &[&str]| {
        let file = write(dir.path(), text);
        let run = temper(&["run", &file, "-o", output]);
        assert_eq!(run.code, 3, "{}", run.err);
        for expected in expected {
            assert!(run.err.contains(expected), "{expected} is not in: {}", run.err);
        }
        assert!(!Path::new(output).exists());
    };
    refused("[train]\nseed = 1", &["base", "data"]);
    refused("training = 1", &["unknown field `training`"]);
    refused("[campaign.a]\nseed = 1", &["expected [train]", "[model] file"]);
    refused(&small("[campaign.\"a b\"]\nseed = 1\n"), &["[campaign.a b]", "letters, digits"]);
    refused(&small("[model]\nfile = \"x\"\n"), &["[train] trains the network"]);
    refused(&small("[grid]\nseed = [1]\n"), &["[grid] seed", "expected a field of train"]);
    refused(&small("[grid]\ntrain.seed = []\n"), &["[grid] train.seed", "at least one value"]);
    refused(&small("[grid]\ntrain.seed = [1, 1]\n"), &["1 occurs twice"]);
    refused(
        &small("[[variant]]\nname = \"a\"\n[[variant]]\nname = \"a\"\n"),
        &["a second variant is called \"a\""],
    );
    refused(&small("[[variant]]\nname = \"train\"\n"), &["\"train\" is a word of --only"]);
    refused(&small("[[variant]]\nname = \"a\\nb\"\n"), &["expected a name in one line"]);
    // Nothing would be left to strike: nothing is trained.
    let nowhere = small("").replace("model = \"zeroing\"", "model = \"zeroing\"\nlayers = \"conv9\"");
    refused(&nowhere, &["[campaign.zeroed]", "conv9"]);
    refused(&small("[[variant]]\nname = \"a\"\nsede = 1\n"), &["variant 1, a", "found sede"]);
    refused(&small("[[variant]]\nname = \"a\"\ncompare_with = \"b\"\n"), &["there is no variant \"b\""]);
    refused(
        &small("[train.data]\nset = \"nowhere\"\n")
            .replace("data = { set = \"digits\", train_limit = 300, test_limit = 100 }\n", ""),
        &["nowhere"],
    );

    let file = write(dir.path(), &small(""));
    let only = temper(&["run", &file, "-o", output, "--only", "nothing"]);
    assert!(
        only.code == 3 && only.err.contains("--only nothing: expected train, campaign, report"),
        "{}",
        only.err
    );
    let run = temper(&["run", &file, "-o", &file]);
    assert!(run.code == 3 && run.err.contains("is a file; give a folder"), "{}", run.err);
    // A folder with something else in it is left as it is.
    fs::create_dir(output).expect("made");
    fs::write(format!("{output}/notes.txt"), "mine").expect("written");
    let run = temper(&["run", &file, "-o", output]);
    assert!(run.code == 3 && run.err.contains("holds files, but no experiment"), "{}", run.err);
    fs::remove_file(format!("{output}/notes.txt")).expect("removed");
    // Trainings alone, then the rest.
    assert_eq!(temper(&["run", &file, "-o", output, "--only", "train"]).code, 0);
    assert_eq!((folders(output, "trainings").len(), folders(output, "campaigns").len()), (1, 0));
    let status = temper(&["status", output]);
    assert!(status.out.contains("campaign zeroed on base  to do"), "{}", status.out);
    assert!(page(output).contains("not finished"));
    assert_eq!(temper(&["run", &file, "-o", output]).code, 0);

    // Damaged and foreign directories.
    let plan = format!("{output}/experiment.json");
    let text = fs::read_to_string(&plan).expect("the plan");
    fs::write(&plan, text.replace("\"format_version\": 1", "\"format_version\": 0")).expect("written");
    for command in [&["report", output][..], &["status", output], &["run", &file, "-o", output]] {
        let run = temper(command);
        assert!(
            run.code == 3
                && run.err.contains("experiment.json has format version 0; this program reads version 1"),
            "{}",
            run.err
        );
    }
    fs::write(&plan, &text[..text.len() / 2]).expect("written");
    let run = temper(&["report", output]);
    assert!(run.code == 3 && run.err.contains("experiment.json is damaged"), "{}", run.err);
    assert_eq!(temper(&["run", &file, "-o", output]).code, 0);
    assert_eq!(fs::read_to_string(&plan).expect("the plan"), text);
    // A training's lost and damaged files are written again, as they were.
    let training = folders(output, "trainings").remove(0);
    let [result, network] = ["result.json", "model.safetensors"].map(|name| training.join(name));
    let whole = [&result, &network].map(|path| fs::read(path).expect("a file"));
    fs::write(&result, "{").expect("written");
    assert_eq!(temper(&["run", &file, "-o", output]).code, 0);
    fs::remove_file(&network).expect("removed");
    assert_eq!(temper(&["run", &file, "-o", output]).code, 0);
    assert!([&result, &network].map(|path| fs::read(path).expect("a file")) == whole);
    // A damaged campaign is told on the page, and the rest is there.
    let campaign = folders(output, "campaigns").remove(0).join("campaign.json");
    fs::write(&campaign, "{").expect("written");
    assert_eq!(temper(&["report", output]).code, 0);
    assert!(page(output).contains("cannot be read"));
}

#[test]
fn networks_that_are_stored_alike_are_compared_draw_by_draw() {
    let dir = tempfile::tempdir().expect("a folder");
    let variants = "
[[variant]]
name = \"stored in int8\"

[[variant]]
name = \"trained in int8\"
train.phase.storage = [{ target = \"weight\", format = \"int8\" }]
";
    let int8 = "sweep.count = [1, 100]\nstorage = [{ target = \"weight\", format = \"int8\" }]";
    let file = write(dir.path(), &small(variants).replace("sweep.count = [1, 100]", int8));
    let output = dir.path().join("results");
    let output = output.to_str().expect("text");
    let run = temper(&["run", &file, "-o", output]);
    assert_eq!(run.code, 0, "{}", run.err);
    let table = fs::read_to_string(format!("{output}/report/tables/zeroed-comparison.csv")).expect("a table");
    let rows: Vec<&str> = table.lines().skip(1).collect();
    assert!(rows.len() == 2 && rows.iter().all(|row| row.ends_with(",yes")), "{table}");
}

#[test]
fn a_network_from_a_file_is_struck_in_several_formats() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::copy(support::MODEL, dir.path().join("digits-cnn.safetensors")).expect("copied");
    let text = r#"
[model]
file = "digits-cnn.safetensors"

[campaign.flips]
seed = 1
data = { set = "digits", limit = 100 }
storage = [{ target = "weight", format = "f32" }]
trials.count = 8
sweep.bit_error_rate = [1e-4, 1e-3]

[[campaign.flips.fault]]
model = "bit-flip"

[grid]
campaign.flips.storage.format = ["f32", "bf16", "int8"]
"#;
    let file = write(dir.path(), text);
    let output = dir.path().join("results");
    let output = output.to_str().expect("text");
    let summary = temper(&["run", &file, "-o", output, "--json"]).json();
    let accuracy = |variant: usize| {
        summary["variants"][variant]["campaigns"][0]["worst"]["accuracy"].as_f64().expect("measured")
    };
    assert_eq!(summary["variants"][2]["name"], "int8");
    assert!(accuracy(2) > accuracy(0) + 0.2, "{summary}");
    assert_eq!(summary["variants"][2]["campaigns"][0]["gain"]["over"], "f32");
    assert!(!page(output).contains("Training</h2>"));
    // Beside it, one that is trained: this variant trains nothing.
    let given = "\n[[variant]]\nname = \"trained\"\n\n[[variant]]\nname = \"given\"\ntrain = false\n\
                 model.file = \"digits-cnn.safetensors\"\ncampaign.zeroed.data = { set = \"digits\", limit = 100 }\n";
    let beside = write(dir.path(), &small(given));
    let folder = dir.path().join("beside");
    let summary = temper(&["run", &beside, "-o", folder.to_str().expect("text"), "--json"]).json();
    let variant = &summary["variants"][1];
    assert!(variant["training"].is_null() && variant["campaigns"][0]["gain"].is_object(), "{summary}");
    write(dir.path(), text);
    // A changed file is another network.
    let model = dir.path().join("digits-cnn.safetensors");
    let mut bytes = fs::read(&model).expect("the network");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&model, bytes).expect("written");
    let run = temper(&["run", &file, "-o", output]);
    assert!(run.code == 0 && run.err.contains("[3/3]"), "{}", run.err);
}
