//! The program as its users meet it: arguments in, output and exit codes out.

#[path = "../../temper-report/tests/support/browser.rs"]
pub mod browser;
pub mod support;

use std::fs;

use support::{CAMPAIGN, Run, digits_campaign, temper, write_campaign};

#[test]
fn the_quickstart_ends_in_a_table_and_a_page() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = dir.path().join("quick");
    let folder = output.to_string_lossy();
    let dry = temper(&["run", "quickstart", "-o", &folder, "--dry-run"]);
    assert_eq!(dry.code, 0, "{}", dry.err);
    assert!(dry.out.contains("3 variants, 6 stages") && !output.exists(), "{}", dry.out);
    let run = temper(&["run", "quickstart", "-o", &folder]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.out.contains("8-bit, trained on flips") && run.out.contains("0.9720"), "{}", run.out);
    let page = fs::read_to_string(output.join("report/report.html")).expect("the page");
    assert!(page.contains("Handwritten digits from a faulty memory") && page.contains("97.20"));
    for file in [
        "figures/bit-flips-accuracy-over-bit-error-rate.svg",
        "figures/training-accuracy.png",
        "tables/variants.csv",
    ] {
        assert!(output.join("report").join(file).exists(), "{file}");
    }
    if let Some(chromium) = browser::chromium() {
        browser::looks_right(&chromium, dir.path(), &page, "quickstart");
    }
    // A second run finds everything done and changes nothing.
    let again = temper(&["run", "quickstart", "-o", &folder]);
    assert_eq!((again.code, again.out), (0, run.out));
    assert!(!again.err.contains("[1/"), "{}", again.err);
    assert_eq!(fs::read_to_string(output.join("report/report.html")).expect("the page"), page);
    let status = temper(&["status", &folder, "--json"]).json();
    assert_eq!((&status["kind"], &status["state"]), (&"experiment".into(), &"done".into()));
    // What it leaves behind runs as a file, and its parts have pages of their own.
    let copy = dir.path().join("copy.toml");
    fs::copy(output.join("experiment.toml"), &copy).expect("copied");
    let by_hand = temper(&["run", &copy.to_string_lossy(), "-o", &folder, "--json"]).json();
    assert_eq!((&by_hand["complete"], by_hand["variants"].as_array().map(Vec::len)), (&true.into(), Some(3)));
    for part in by_hand["variants"].as_array().expect("variants") {
        let part = output.join(part["campaigns"][0]["folder"].as_str().expect("a folder"));
        let report = temper(&["report", &part.to_string_lossy()]);
        assert_eq!(report.code, 0, "{}", report.err);
    }
}

#[test]
fn a_campaign_is_planned_run_shown_and_exported() {
    let dir = tempfile::tempdir().expect("a folder");
    let (spec, records) = digits_campaign(dir.path(), CAMPAIGN);
    let plan = temper(&["campaign", "plan", &spec, "--json"]).json();
    // 144 + 4 608 + 8 192 + 640 weights.
    assert_eq!(plan["conditions"][1]["sites"], 13_584);
    assert_eq!((plan["trials"].as_u64(), plan["inferences"].as_u64()), (Some(12), Some(12 * 100)));
    let run = temper(&["campaign", "run", &spec, "-o", &records, "--json"]);
    assert_eq!(run.code, 0, "{}", run.err);
    let report = run.json();
    assert_eq!(report["complete"], true);
    assert_eq!(report["conditions"][0]["accuracy"]["mean"], report["conditions"][0]["golden_accuracy"]);
    assert_eq!(report["conditions"][2]["mean_faults"], 500.0);
    assert_eq!(temper(&["campaign", "status", &records, "--json"]).json(), report);
    let csv = temper(&["campaign", "export", &records, "--format", "csv"]).out;
    let mut lines = csv.lines();
    let header = lines.next().expect("a header");
    assert!(
        header.starts_with("trial,condition,count,draw,faults,images,correct,golden_correct,accuracy"),
        "{header}"
    );
    let first: Vec<&str> = lines.next().expect("a trial").split(',').collect();
    assert_eq!(first[..6], ["0", "0", "0", "0", "0", "100"]);
    let json = temper(&["campaign", "export", &records, "--format", "json"]).json();
    assert_eq!(json.as_array().map(Vec::len), Some(12));
    assert_eq!(json[2]["faults"], 500);
}

#[test]
fn speed_is_told_without_changing_results() {
    let once = temper(&["eval", support::MODEL, "--data", "digits", "--json"]).json();
    let thrice = temper(&["eval", support::MODEL, "--data", "digits", "--json", "--repeat", "3"]).json();
    assert_eq!((&thrice["images"], &thrice["correct"]), (&once["images"], &once["correct"]));
    assert!(thrice["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0 && seconds.is_finite()));
    let dir = tempfile::tempdir().expect("a folder");
    let (spec, records) = digits_campaign(dir.path(), CAMPAIGN);
    let run = temper(&["campaign", "run", &spec, "-o", &records]);
    let told = run.err.lines().find_map(|line| line.strip_prefix("golden run, trials and records: "));
    let seconds = told.and_then(|told| told.strip_suffix(" s")?.parse::<f64>().ok());
    assert!(seconds.is_some_and(f64::is_finite), "{}", run.err);
}

#[test]
fn thread_counts_change_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let (spec, _) = digits_campaign(dir.path(), CAMPAIGN);
    let export = |threads: &str| {
        let records = dir.path().join(threads).to_string_lossy().into_owned();
        assert_eq!(temper(&["campaign", "run", &spec, "-o", &records, "--threads", threads]).code, 0);
        temper(&["campaign", "export", &records]).out
    };
    let one = export("1");
    assert_eq!(one.lines().count(), 13);
    assert_eq!(export("2"), one);
    assert_eq!(export("5"), one);
}

#[test]
fn memory_verification_and_proofs_change_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let (spec, plain) = digits_campaign(dir.path(), CAMPAIGN);
    assert_eq!(temper(&["campaign", "run", &spec, "-o", &plain]).code, 0);
    let records = temper(&["campaign", "export", &plain]).out;
    for (name, options) in [
        ("small", ["--memory", "2MiB", "--verify", "0"]),
        ("verified", ["--memory", "1GiB", "--verify", "1"]),
        ("whole", ["--no-proofs", "--verify", "0.5", "--json"]),
    ] {
        let output = dir.path().join(name).to_string_lossy().into_owned();
        let run = temper(&[&["campaign", "run", &spec, "-o", &output], &options[..]].concat());
        assert_eq!(run.code, 0, "{}", run.err);
        assert_eq!(temper(&["campaign", "export", &output]).out, records, "{name}");
    }
    let output = dir.path().join("tiny").to_string_lossy().into_owned();
    refused(
        &["campaign", "run", &spec, "-o", &output, "--memory", "1KiB"],
        3,
        &["1024", "allow more memory"],
    );
    refused(&["campaign", "run", &spec, "-o", &output, "--memory", "much"], 2, &["--memory"]);
    refused(&["campaign", "run", &spec, "-o", &output, "--verify", "1.5"], 2, &["a share from 0 to 1"]);
}

#[test]
fn a_killed_campaign_goes_on_to_the_same_records() {
    let dir = tempfile::tempdir().expect("a folder");
    let long = CAMPAIGN.replace("count = 4", "count = 400").replace("limit = 100", "limit = 300");
    let (spec, whole) = digits_campaign(dir.path(), &long);
    assert_eq!(temper(&["campaign", "run", &spec, "-o", &whole]).code, 0);
    let expected = temper(&["campaign", "export", &whole]).out;
    assert_eq!(expected.lines().count(), 1 + 3 * 400);

    let killed = dir.path().join("killed").to_string_lossy().into_owned();
    let mut kills = 0;
    for _ in 0..3 {
        kills += u32::from(support::kill_while_running(&["campaign", "run", &spec, "-o", &killed], &killed));
    }
    assert!(kills > 0, "the campaign was never caught running");
    let status = temper(&["campaign", "status", &killed, "--json"]).json();
    assert_eq!(status["complete"], false);
    let run = temper(&["campaign", "run", &spec, "-o", &killed]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.err.contains("recorded already"), "{}", run.err);
    assert_eq!(temper(&["campaign", "export", &killed]).out, expected);
}

/// A run that must fail with this code and mention all of these.
fn refused(arguments: &[&str], code: i32, mentions: &[&str]) {
    let Run { code: found, out, err } = temper(arguments);
    assert_eq!(found, code, "{arguments:?}: {err}");
    assert!(out.is_empty(), "{arguments:?} printed {out}");
    for mention in mentions {
        assert!(err.contains(mention), "{arguments:?} should mention \"{mention}\": {err}");
    }
    assert!(!err.contains("panicked"), "{err}");
}

#[test]
fn usage_errors_give_2() {
    refused(&[], 2, &["Usage"]);
    refused(&["fly"], 2, &["unrecognized subcommand"]);
    refused(&["eval", "model.safetensors"], 2, &["--data"]);
    refused(&["campaign", "run", "spec.toml"], 2, &["--output"]);
    refused(&["campaign", "run", "spec.toml", "-o", "x", "--threads", "0"], 2, &["--threads"]);
    refused(&["model", "import", "-o", "x"], 2, &["--arch"]);
    refused(&["run"], 2, &["quickstart"]);
}

#[test]
fn bad_files_give_3_and_name_the_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str, content: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, content).expect("written");
        path.to_string_lossy().into_owned()
    };
    let empty = path("empty.safetensors", b"");
    refused(&["eval", &empty, "--data", "digits"], 3, &["empty.safetensors"]);
    refused(&["run", "slowstart"], 3, &["slowstart", "quickstart", "preset:NAME"]);
    refused(&["eval", "no-such-file.safetensors", "--data", "digits"], 3, &["no-such-file.safetensors"]);
    let huge = path("huge.safetensors", &(1u64 << 60).to_le_bytes());
    refused(&["eval", &huge, "--data", "digits"], 3, &["huge.safetensors"]);
    refused(&["model", "inspect", &empty], 3, &["empty.safetensors"]);
    let html = path("resnet.pth", b"<!DOCTYPE html><html>Not found</html>");
    refused(
        &["model", "import", "--arch", "resnet20", "--weights", &html, "-o", "x"],
        3,
        &["resnet.pth", "web page"],
    );
    refused(&["model", "import", "--onnx", &html, "-o", "x"], 3, &["resnet.pth"]);
    let model = support::MODEL;
    refused(&["eval", model, "--data", "cifar-11"], 3, &["cifar-11", "cifar-10"]);
    refused(&["eval", model, "--data", "digits", "--limit", "501"], 3, &["501", "500"]);
    refused(&["eval", model, "--data", "digits", "--limit", "0"], 3, &["limit"]);
    refused(&["eval", model, "--data", "digits", "--repeat", "0"], 2, &["--repeat"]);
    let nowhere = dir.path().to_string_lossy().into_owned();
    refused(&["eval", model, "--data", "mnist", "--data-dir", &nowhere], 3, &["temper data fetch mnist"]);
    refused(&["campaign", "status", &nowhere], 3, &["holds no campaign"]);
    refused(&["campaign", "export", &nowhere], 3, &["holds no campaign"]);
    refused(
        &["model", "import", "--arch", "resnet21", "--weights", model, "-o", "x"],
        3,
        &["resnet21", "resnet20"],
    );
    refused(
        &["model", "import", "--arch", "lenet5", "--weights", model, "-o", "x"],
        3,
        &["do not fit", "conv1.weight"],
    );
}

#[test]
fn bad_specifications_give_3_and_point_at_the_place() {
    let dir = tempfile::tempdir().expect("a folder");
    let cases: [(&str, &str, &[&str]); 12] = [
        ("seed = 1", "sead = 1", &["line 1", "sead"]),
        ("count = [0, 50, 500]", "count = []", &["count"]),
        ("count = [0, 50, 500]", "count = [50, 50]", &["50", "twice"]),
        ("count = [0, 50, 500]", "count = [0, 13585]", &["13585", "13584", "count = 13585"]),
        ("count = [0, 50, 500]", "value_fault_rate = [1.5]", &["1.5", "probability"]),
        ("count = [0, 50, 500]", "bit_error_rate = [0.1]", &["bit_error_rate", "zeroing"]),
        (
            "count = [0, 50, 500]",
            "count = [1]\nbit = [3]",
            &["bits", "zeroing strikes whole values", "bit = 3"],
        ),
        ("layers = \"*\"", "layers = \"layer9*\"", &["layer9*", "conv1"]),
        ("model = \"zeroing\"", "model = \"meltdown\"", &["meltdown", "zeroing", "line 12"]),
        ("target = \"weight\"", "target = \"gate\"", &["gate", "weight"]),
        ("count = 4", "count = 0", &["[trials] count"]),
        ("digits-cnn.safetensors", "nothing.safetensors", &["nothing.safetensors"]),
    ];
    for (from, to, mentions) in cases {
        assert!(CAMPAIGN.contains(from), "{from}");
        let spec = write_campaign(dir.path(), "bad.toml", &CAMPAIGN.replacen(from, to, 1));
        let output = dir.path().join("out").to_string_lossy().into_owned();
        refused(&["campaign", "run", &spec, "-o", &output], 3, mentions);
        refused(&["campaign", "plan", &spec], 3, mentions);
        assert!(!dir.path().join("out").exists(), "nothing is made for a bad specification");
    }
}

#[test]
fn another_campaign_is_refused_saying_what_differs() {
    let dir = tempfile::tempdir().expect("a folder");
    let (spec, records) = digits_campaign(dir.path(), CAMPAIGN);
    assert_eq!(temper(&["campaign", "run", &spec, "-o", &records]).code, 0);
    let other = write_campaign(dir.path(), "other.toml", &CAMPAIGN.replace("seed = 1", "seed = 2"));
    refused(
        &["campaign", "run", &other, "-o", &records],
        3,
        &["another campaign", "the specification changed"],
    );
    let other = write_campaign(dir.path(), "other.toml", &CAMPAIGN.replace("limit = 100", "limit = 101"));
    refused(&["campaign", "run", &other, "-o", &records], 3, &["the data"]);
    // A comment or the order of keys is no change.
    let same = write_campaign(dir.path(), "same.toml", &CAMPAIGN.replace("seed = 1", "# one\nseed = 1"));
    assert_eq!(temper(&["campaign", "run", &same, "-o", &records]).code, 0);
}

#[test]
fn models_are_inspected() {
    let run = temper(&["model", "inspect", support::MODEL]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.out.contains("13 706 parameters"), "{}", run.out);
    let json = temper(&["model", "inspect", support::MODEL, "--json"]).json();
    // 8·8·16·9 + 4·4·32·144 + 128·64 + 64·10
    assert_eq!(json["multiply_accumulates"], 9_216 + 73_728 + 8_192 + 640);
    assert_eq!(json["parameters"], 13_706);
}

#[test]
fn help_and_completions_are_printed() {
    let help = temper(&["--help"]);
    assert_eq!(help.code, 0);
    assert!(help.out.contains("Exit codes"), "{}", help.out);
    for shell in ["bash", "zsh", "fish"] {
        let run = temper(&["completions", shell]);
        assert_eq!(run.code, 0);
        assert!(run.out.contains("temper"));
    }
}
