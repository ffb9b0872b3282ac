//! `temper run` of a study, through the program.

pub mod support;

use std::fs;
use std::path::Path;

use support::{example, temper};

fn write(dir: &Path, text: &str) -> String {
    let path = dir.join("study.toml");
    fs::write(&path, text).expect("written");
    path.to_str().expect("text").to_owned()
}

#[test]
fn the_references_example_runs_and_shows_what_repairs_are_worth() {
    let dir = tempfile::tempdir().expect("a folder");
    let study = write(dir.path(), &example("study-reference.md"));
    let output = dir.path().join("results");
    let output = output.to_str().expect("text");
    let run = temper(&["run", &study, "-o", output]);
    assert_eq!(run.code, 0, "{}", run.err);
    let line = |repair: &str| {
        let line = run.out.lines().find(|line| line.starts_with(&format!("{repair}  ")));
        line.unwrap_or_else(|| panic!("no {repair} in\n{}", run.out)).to_owned()
    };
    let accuracy = |repair: &str| -> f64 {
        let line = line(repair);
        let cells: Vec<&str> = line.split("  ").filter(|cell| !cell.is_empty()).collect();
        assert_eq!(cells[1].trim(), "10", "chips: {line}");
        cells[2].trim().parse().expect("a number")
    };
    let golden: f64 = run
        .out
        .lines()
        .next()
        .and_then(|line| line.rsplit(' ').next())
        .expect("a line")
        .parse()
        .expect("a number");
    let (stricken, retrained) = (accuracy("nothing"), accuracy("retraining"));
    assert!(stricken < golden - 0.05 && retrained > stricken + 0.03, "{}", run.out);
    assert!(accuracy("retraining, other chip") < retrained);
    let files = [
        "summary.json",
        "records.jsonl",
        "golden/model.safetensors",
        "report/report.html",
        "report/figures/chips.svg",
        "report/figures/retraining-1.png",
        "report/tables/repairs.csv",
    ];
    for file in files {
        assert!(Path::new(output).join(file).exists(), "{file}");
    }
    // All is there already: the same is told again, as JSON too.
    let again = temper(&["run", &study, "-o", output]);
    assert_eq!((again.code, &again.out), (0, &run.out));
    let json = temper(&["run", &study, "-o", output, "--json"]).json();
    assert_eq!(json["repairs"].as_array().map(Vec::len), Some(4));
    assert_eq!(
        json,
        serde_json::from_slice::<serde_json::Value>(
            &fs::read(Path::new(output).join("summary.json")).expect("a file")
        )
        .expect("JSON")
    );
}

#[test]
fn what_is_no_study_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let refused = |experiment: &str| {
        let run = temper(&["run", experiment, "-o", dir.path().join("results").to_str().expect("text")]);
        assert_eq!(run.code, 3, "{}", run.err);
        run.err
    };
    let campaign = refused("preset:flatenn");
    assert!(campaign.contains("is run by `temper campaign run preset:flatenn"), "{campaign}");
    assert!(refused("preset:nothing").contains("there is no preset \"nothing\""));
    assert!(refused("quickstrat").contains("cannot read quickstrat"));
    let unknown = refused(&write(
        dir.path(),
        &example("study-reference.md").replace("kind = \"batch-norm\"", "kind = \"batch-form\""),
    ));
    assert!(
        unknown.contains("study.toml: ") && unknown.contains("unknown variant `batch-form`"),
        "{unknown}"
    );
    let misplaced =
        refused(&write(dir.path(), &example("study-reference.md").replace("sigma = 0.5", "sigma = -0.5")));
    assert!(misplaced.contains("[[hardware]]: phase 1: hardware 1: model: programming.sigma"), "{misplaced}");
    assert!(!dir.path().join("results").exists(), "nothing is begun");
    let study = temper(&[
        "campaign",
        "plan",
        "preset:acims-mnist-mlp-s",
        "--model",
        support::MODEL,
        "--data",
        "digits",
    ]);
    assert!(study.err.contains("is run by `temper run preset:acims-mnist-mlp-s"), "{}", study.err);
}
