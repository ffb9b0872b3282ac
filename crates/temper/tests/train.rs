//! `temper train` as its users meet it: bad recipes, interruptions, and what is left behind.

pub mod support;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::training::{RECIPE, kill_when_epochs_are_done, outcome, recipe, signal_when_epochs_are_done};
use support::{MODEL, Run, temper};

/// A run that must fail with code 3, mention all of these, print nothing and make no folder.
fn refused(recipe: &str, output: &Path, mentions: &[&str]) {
    let run = temper(&["train", recipe, "-o", &output.to_string_lossy()]);
    let Run { code, out, err } = run;
    assert_eq!(code, 3, "{mentions:?}: {err}");
    assert!(out.is_empty() && !output.exists(), "{mentions:?}: {out}");
    assert!(err.starts_with("error: ") && err.contains(recipe), "{err}");
    for mention in mentions {
        assert!(err.contains(mention), "should mention \"{mention}\": {err}");
    }
}

#[test]
fn bad_recipes_give_3_name_the_place_and_leave_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let cases: [(&str, &str, &[&str]); 16] = [
        ("seed = 7", "sead = 7", &["line 1", "unknown field `sead`", "`seed`"]),
        ("lr = 0.1", "lr = -1", &["phase 1, optimizer.lr", "found -1"]),
        ("lr = 0.1", "lr = nan", &["phase 1, optimizer.lr", "found NaN"]),
        ("lr = 0.1", "lr = ", &["line 15"]),
        ("batch_size = 50", "batch_size = 201", &["phase 1, batch_size", "200", "201"]),
        ("epochs = 2", "epochs = 0", &["phase 1, epochs", "found 0"]),
        ("epochs = 2", "epochs = 2\ntrain_layers = \"conv1\"", &["train_layers", "conv1", "fc1", "fc2"]),
        (
            "epochs = 2",
            "epochs = 2\nschedule = { kind = \"constant\", warmup_epochs = 2 }",
            &["warmup_epochs", "2"],
        ),
        (
            "epochs = 2",
            "epochs = 2\nstorage = [{ target = \"weight\", layers = \"fc3\", format = \"int8\" }]",
            &["phase 1", "storage 1", "fc3"],
        ),
        (
            "epochs = 2",
            "epochs = 2\nfault = [{ layers = \"fc3\", model = \"zeroing\", count = 1 }]",
            &["phase 1", "fault 1", "fc3"],
        ),
        ("architecture = \"mlp\"", "architecture = \"mpl\"", &["unknown architecture \"mpl\"", "mlp"]),
        (
            "architecture = \"mlp\"",
            "architecture = \"mlp\"\nfile = \"a\"",
            &["[network]", "architecture and file"],
        ),
        ("architecture = \"mlp\"\nwidths = [16]", "file = \"gone.safetensors\"", &["gone.safetensors"]),
        ("set = \"digits\"", "set = \"digit\"", &["digit", "digits"]),
        ("train_limit = 200", "validation = 2000", &["[data] validation", "2000"]),
        ("[[phase]]", "[[phases]]", &["unknown field `phases`"]),
    ];
    for (from, to, mentions) in cases {
        assert_eq!(RECIPE.matches(from).count(), 1, "{from}");
        let bad = recipe(dir.path(), "bad.toml", &RECIPE.replace(from, to));
        refused(&bad, &dir.path().join("out"), mentions);
    }
    refused(
        &dir.path().join("none.toml").to_string_lossy(),
        &dir.path().join("out"),
        &["cannot read the recipe"],
    );
    let binary = dir.path().join("binary.toml");
    fs::copy(MODEL, &binary).expect("copied");
    refused(&binary.to_string_lossy(), &dir.path().join("out"), &["cannot read the recipe"]);
    refused(&dir.path().to_string_lossy(), &dir.path().join("out"), &["cannot read the recipe"]);
}

#[test]
fn usage_errors_give_2() {
    let dir = tempfile::tempdir().expect("a folder");
    let good = recipe(dir.path(), "good.toml", RECIPE);
    let output = dir.path().join("out").to_string_lossy().into_owned();
    for (arguments, mention) in [
        (&["train"][..], "RECIPE"),
        (&["train", &good], "--output"),
        (&["train", &good, "-o", &output, "--device", "abacus"], "abacus"),
        (&["train", &good, "-o", &output, "--threads", "0"], "--threads"),
    ] {
        let run = temper(arguments);
        assert_eq!(run.code, 2, "{}", run.err);
        assert!(run.err.contains(mention), "{}", run.err);
    }
    assert!(!Path::new(&output).exists());
}

#[test]
fn the_recipe_in_the_help_works() {
    let help = temper(&["train", "--help"]);
    assert_eq!(help.code, 0);
    let recipe_lines = help.out.lines().skip_while(|line| !line.starts_with("The smallest recipe")).skip(2);
    let text: Vec<&str> = recipe_lines.take_while(|line| !line.is_empty()).map(str::trim).collect();
    let dir = tempfile::tempdir().expect("a folder");
    let path = recipe(dir.path(), "smallest.toml", &text.join("\n"));
    let run = temper(&["train", &path, "-o", &dir.path().join("run").to_string_lossy()]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.out.ends_with("\nlearned\n"), "{}", run.out);
}

/// Every file below a folder with its content.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        match fs::read(&path) {
            Ok(content) => found.push((path, content)),
            Err(_) => found.extend(files(&path)),
        }
    }
    found.sort();
    found
}

#[test]
fn a_finished_training_is_not_overwritten() {
    let dir = tempfile::tempdir().expect("a folder");
    let good = recipe(dir.path(), "good.toml", RECIPE);
    let output = dir.path().join("run");
    let run = output.to_string_lossy().into_owned();
    let first = temper(&["train", &good, "-o", &run]);
    assert_eq!(first.code, 0, "{}", first.err);
    let before = files(&output);
    let other = recipe(dir.path(), "other.toml", &RECIPE.replace("seed = 7", "seed = 8"));
    for (arguments, mention) in [
        (&["train", &good, "-o", &run][..], "go on with it with --resume, or give another folder with -o"),
        (&["train", &other, "-o", &run], "holds a training by another recipe"),
        (&["train", &other, "-o", &run, "--resume"], "holds a training by another recipe"),
    ] {
        let refused = temper(arguments);
        assert_eq!((refused.code, refused.out.as_str()), (3, ""), "{}", refused.err);
        assert!(refused.err.contains(mention), "{}", refused.err);
        assert!(files(&output) == before, "{arguments:?}");
    }
    // Going on with what is finished says what became of it.
    let again = temper(&["train", &good, "-o", &run, "--resume"]);
    assert_eq!((again.code, again.out), (0, first.out), "{}", again.err);
    assert!(files(&output) == before);
    // A comment or the order of keys makes no other recipe.
    let same = recipe(dir.path(), "same.toml", &format!("# mine\n{RECIPE}"));
    assert_eq!(temper(&["train", &same, "-o", &run, "--resume"]).code, 0);
    // Nor is anything else.
    let occupied = dir.path().to_string_lossy().into_owned();
    let refused = temper(&["train", &good, "-o", &occupied]);
    assert_eq!(refused.code, 3);
    assert!(refused.err.contains("holds files, but no training"), "{}", refused.err);
}

#[test]
fn nothing_to_go_on_with_is_an_error() {
    let dir = tempfile::tempdir().expect("a folder");
    let good = recipe(dir.path(), "good.toml", RECIPE);
    let output = dir.path().join("typo");
    let run = temper(&["train", &good, "-o", &output.to_string_lossy(), "--resume"]);
    assert_eq!(run.code, 3);
    assert!(
        run.err.contains("typo: holds no training to go on with; begin one without --resume"),
        "{}",
        run.err
    );
    assert!(!output.exists());
}

#[test]
fn the_network_is_one_that_other_commands_take() {
    let dir = tempfile::tempdir().expect("a folder");
    let text =
        RECIPE.replace("lr = 0.1", "lr = 0.5").replace("epochs = 2", "epochs = 5\nname = \"wide awake\"");
    let good = recipe(dir.path(), "good.toml", &text);
    let output = dir.path().join("run");
    let run = temper(&["train", &good, "-o", &output.to_string_lossy(), "--json"]);
    let report = run.json();
    assert_eq!(report["verdict"], "learned");
    let written: Value =
        serde_json::from_slice(&fs::read(output.join("result.json")).expect("written")).expect("JSON");
    assert_eq!(report, written);
    assert!(run.err.contains("wide awake: 5 epochs") && run.err.contains("epoch   5"), "{}", run.err);
    let model = output.join("model.safetensors").to_string_lossy().into_owned();
    let eval = temper(&["eval", &model, "--data", "digits", "--limit", "100", "--json"]).json();
    assert_eq!(eval["accuracy"], report["phases"][0]["best_test_accuracy"]);
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = RECIPE.replace("\"mlp\"", "\"lenet5\"").replace("[16]", "[3, 4, 20, 16]");
    let good = recipe(dir.path(), "good.toml", &text);
    let on = |threads: &str| {
        let output = dir.path().join(threads);
        let run = temper(&["train", &good, "-o", &output.to_string_lossy(), "--threads", threads]);
        assert_eq!(run.code, 0, "{}", run.err);
        outcome(&output)
    };
    let alone = on("1");
    assert!(on("2") == alone && on("5") == alone);
}

/// A training of a second or so, in many epochs.
fn long() -> String {
    RECIPE
        .replace("epochs = 2", "epochs = 60")
        .replace("train_limit = 200", "")
        .replace("kind = \"sgd\", lr = 0.1", "kind = \"adam\"")
        .replace("[16]", "[60, 40]")
}

#[test]
#[cfg(unix)]
fn ctrl_c_leaves_a_checkpoint_from_which_training_goes_on() {
    let dir = tempfile::tempdir().expect("a folder");
    // With checkpoints so rare the only one is that of the interruption.
    let good = recipe(dir.path(), "good.toml", &(long() + "[keep]\ncheckpoint_epochs = 1000\n"));
    let (whole, stopped) = (dir.path().join("whole"), dir.path().join("stopped"));
    assert_eq!(temper(&["train", &good, "-o", &whole.to_string_lossy()]).code, 0);
    let arguments = ["train", &good, "-o", &stopped.to_string_lossy(), "--resume"];
    let mut stops = 0;
    for epochs in [2, 20, 40] {
        let arguments = if stopped.exists() { &arguments[..] } else { &arguments[..4] };
        let (code, err) = signal_when_epochs_are_done("INT", arguments, &stopped, epochs);
        if code == Some(4) {
            stops += 1;
            assert!(err.contains("stopping after this step; press Ctrl-C again to stop at once"), "{err}");
            assert!(err.contains("of 60 epochs; the same command with --resume goes on from there"), "{err}");
            assert!(!stopped.join("model.safetensors").exists());
        }
    }
    assert!(stops > 0, "the training was never caught running");
    let run = temper(&arguments);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.err.contains("of 60 epochs are done already"), "{}", run.err);
    assert!(outcome(&stopped) == outcome(&whole));
}

#[test]
fn a_killed_training_goes_on_to_the_same_networks() {
    let dir = tempfile::tempdir().expect("a folder");
    let good = recipe(dir.path(), "good.toml", &(long() + "[keep]\ncheckpoint_epochs = 3\n"));
    let (whole, killed) = (dir.path().join("whole"), dir.path().join("killed"));
    assert_eq!(temper(&["train", &good, "-o", &whole.to_string_lossy()]).code, 0);
    let arguments = ["train", &good, "-o", &killed.to_string_lossy(), "--resume"];
    let mut kills = 0;
    for epochs in [1, 10, 30, 45] {
        // Killed before its first checkpoint, a training just begins anew.
        let arguments = if killed.exists() { &arguments[..] } else { &arguments[..4] };
        kills += u32::from(kill_when_epochs_are_done(arguments, &killed, epochs));
    }
    assert!(kills > 0, "the training was never caught running");
    let run = temper(&arguments);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(outcome(&killed) == outcome(&whole));
}

#[test]
fn a_damaged_checkpoint_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let good = recipe(dir.path(), "good.toml", RECIPE);
    let output = dir.path().join("run");
    let run = output.to_string_lossy().into_owned();
    assert_eq!(temper(&["train", &good, "-o", &run]).code, 0);
    let file = output.join("checkpoint.safetensors");
    let whole = fs::read(&file).expect("written");
    let mut changed = whole.clone();
    changed[whole.len() - 3] ^= 4;
    for content in [&whole[..whole.len() / 2], &changed[..], &[], &[0xff; 9]] {
        fs::write(&file, content).expect("written");
        let refused = temper(&["train", &good, "-o", &run, "--resume"]);
        assert_eq!(refused.code, 3, "{}", refused.err);
        assert!(
            refused.err.contains("checkpoint.safetensors") && refused.err.contains("remove it to begin anew"),
            "{}",
            refused.err
        );
        assert!(fs::read(&file).expect("still there") == content);
    }
    fs::remove_file(&file).expect("removed");
    assert_eq!(temper(&["train", &good, "-o", &run]).code, 0, "begins anew, as the message says");
    assert!(fs::read(&file).expect("written").len() == whole.len());
}
