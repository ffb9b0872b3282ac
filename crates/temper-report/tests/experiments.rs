//! Reports of experiments.

pub mod support;

use serde_json::json;
use support::experiment::{base, planned, run, troubled};
use support::{Made, page};
use temper_report::{Cell, read, read_experiment, write};

#[test]
fn variants_are_compared_with_the_one_that_they_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = base()
        + "[[variant]]\nname = \"plain\"\n[[variant]]\nname = \"good\"\ntrain.seed = 2\n\
           [[variant]]\nname = \"better\"\ntrain.seed = 3\ncompare_with = \"good\"\n";
    let experiment = planned(dir.path(), &text);
    // At the highest rate 50, 60 and 75 of 100 images are right, give and take one.
    run(&experiment, &Made::rates(&[0.0, 1e-6, 1e-4, 1e-2], 8), |variant, condition, draw| {
        let lost = match variant {
            "plain" => 40,
            "good" => 30,
            _ => 15,
        };
        if condition == 3 { 90 - lost + draw % 2 } else { 90 }
    });
    let summary = read_experiment(dir.path()).expect("an experiment").0;
    assert!(summary.complete);
    let outcome = |variant: usize| &summary.variants[variant].campaigns[0];
    let worst = outcome(0).worst.as_ref().expect("measured");
    assert_eq!(
        (worst.condition.as_str(), worst.golden_accuracy, worst.accuracy),
        ("bit error rate = 0.01", 0.9, 0.505)
    );
    assert_eq!(outcome(0).gain, None);
    for (variant, over, expected) in [(1, "plain", 0.1), (2, "good", 0.15)] {
        let gain = outcome(variant).gain.as_ref().expect("compared");
        assert_eq!((gain.over.as_str(), gain.condition.as_str()), (over, "bit error rate = 0.01"));
        // All pairs differ alike.
        for value in [gain.difference, gain.interval.0, gain.interval.1] {
            assert!((value - expected).abs() < 1e-12, "{gain:?}");
        }
    }
    let report = read(dir.path()).expect("a report");
    let figures: Vec<&str> = report.figures().map(|figure| figure.id.as_str()).collect();
    assert_eq!(
        figures,
        [
            "flips-accuracy-over-bit-error-rate",
            "flips-change-over-bit-error-rate",
            "training-accuracy",
            "training-loss",
            "training-weights"
        ]
    );
    let written = write(&report, &dir.path().join("report")).expect("written");
    let comparison =
        std::fs::read_to_string(dir.path().join("report/tables/flips-comparison.csv")).expect("a table");
    assert_eq!(comparison.lines().count(), 1 + 2 * 4, "{comparison}");
    let text = std::fs::read_to_string(written.page).expect("the page");
    page::check(&text);
    assert!(
        text.contains("+15.00") && text.contains("better over good"),
        "what hardening gained is a key figure"
    );
}

#[test]
fn repetitions_are_one_line_with_their_range() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = base()
        + "[grid]\ntrain.phase.optimizer = [{ kind = \"adam\" }, { kind = \"sgd\", lr = 0.1 }]\ntrain.seed = [1, 2, 3]\n";
    let experiment = planned(dir.path(), &text);
    run(&experiment, &Made::rates(&[0.0, 1e-6, 1e-4, 1e-2], 8), |variant, condition, draw| {
        let seed: u64 = variant[variant.len() - 1..].parse().expect("a seed");
        let lost = if variant.starts_with("adam") { 30 + 2 * seed } else { 20 + seed };
        if condition == 3 { 90 - lost - draw % 2 } else { 90 }
    });
    let report = read(dir.path()).expect("a report");
    let curve = report.figures().next().expect("a curve");
    assert_eq!(curve.table.rows.len(), 2 * 4);
    let last = format!("{:?}", curve.table.rows[3]);
    // 57.5, 55.5 and 53.5 of 100 images on average.
    assert!(
        last.contains("adam") && last.contains("0.555") && last.contains("Interval(0.535, 0.575)"),
        "{last}"
    );
    let repetitions = report.tables().find(|(id, _)| *id == "flips-repetitions").expect("a table").1;
    assert_eq!(repetitions.rows.len(), 1);
    // Gains of 0.11, 0.12 and 0.13: mean 0.12, standard error 0.01/√3, t(0.975, 2) = 4.302 653.
    let half = 4.302_653 * 0.01 / 3f64.sqrt();
    let [Cell::Text(group), _, Cell::Number(repeated), Cell::Number(gain), Cell::Interval(low, high)] =
        &repetitions.rows[0][..]
    else {
        panic!("{:?}", repetitions.rows[0]);
    };
    assert_eq!((group.as_str(), *repeated), ("sgd lr 0.1", 3.0));
    for (found, expected) in [(gain, 0.12), (low, 0.12 - half), (high, 0.12 + half)] {
        assert!((found - expected).abs() < 1e-7, "{found} {expected}");
    }
}

#[test]
fn a_page_says_what_is_missing_failed_or_cannot_be_read() {
    let dir = tempfile::tempdir().expect("a folder");
    troubled(dir.path());
    let report = read(dir.path()).expect("a report");
    let written = write(&report, &dir.path().join("report")).expect("written");
    let text = std::fs::read_to_string(written.page).expect("the page");
    page::check(&text);
    for expected in [
        "This experiment is not finished: 5 of 24 trainings and campaigns",
        "The training of failed failed – there is no layer &lt;conv9&gt;",
        "The training of diverged – not finite",
        "The campaign flips of damaged cannot be read",
        "format version 3",
        "impossible cannot be run – [train]",
        "left out: its training failed",
        "1 of 5 epochs",
        "9 of 32 trials",
    ] {
        assert!(text.contains(expected), "{expected}");
    }
    let summary = serde_json::to_value(read_experiment(dir.path()).expect("a summary").0).expect("JSON");
    let states: Vec<&str> = summary["variants"]
        .as_array()
        .expect("variants")
        .iter()
        .filter_map(|variant| variant["campaigns"][0]["state"].as_str())
        .collect();
    assert_eq!(
        states,
        [
            "done",
            "done",
            "skipped",
            "skipped",
            "waiting",
            "begun",
            "unreadable",
            "waiting",
            "done",
            "done",
            "done",
            "done"
        ]
    );
    assert_eq!(
        (&summary["complete"], &summary["variants"][2]["training"]["state"]),
        (&json!(false), &json!("failed"))
    );
}

#[test]
fn words_that_are_swept_are_rows() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = base()
        .replace("sweep.bit_error_rate = [0.0, 1e-6, 1e-4, 1e-2]", "sweep.layer = [\"conv1\", \"fc\"]")
        + "[[variant]]\nname = \"a\"\n[[variant]]\nname = \"b\"\ntrain.seed = 2\n";
    let experiment = planned(dir.path(), &text);
    let made =
        Made { axes: vec![("layer".to_owned(), vec![json!("conv1"), json!("fc")])], ..Made::rates(&[], 8) };
    run(&experiment, &made, |_, condition, draw| 80 - 10 * condition as u64 - draw % 2);
    let report = read(dir.path()).expect("a report");
    let rows = report.figures().next().expect("a figure");
    assert_eq!((rows.id.as_str(), rows.table.rows.len()), ("flips-accuracy", 4));
}
