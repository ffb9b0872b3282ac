//! Reports of trainings and studies made by hand.

pub mod support;

use std::fs;

use support::{epoch, good_training, page::check, study, training};
use temper_report::{Block, Chart, Report, Tone, page, read};

fn lines<'a>(report: &'a Report, id: &str) -> &'a temper_report::Lines {
    match report.figures().find(|figure| figure.id == id).map(|figure| &figure.chart) {
        Some(Chart::Lines(lines)) => lines,
        other => panic!("{id}: {other:?}"),
    }
}

fn warnings(report: &Report) -> Vec<&str> {
    fn warning(block: &Block) -> Option<&str> {
        match block {
            Block::Text(text) if text.tone == Tone::Warning => Some(&text.text),
            _ => None,
        }
    }
    let blocks = report.sections.iter().flat_map(|section| &section.blocks);
    blocks.filter_map(warning).collect()
}

#[test]
fn curves_have_phases_and_best_epochs() {
    let dir = tempfile::tempdir().expect("a folder");
    good_training(dir.path());
    let report = read(dir.path()).expect("sound");
    assert_eq!(report.title, "Training mlp on digits");
    let accuracy = lines(&report, "accuracy");
    let labels: Vec<&str> = accuracy.lines.iter().map(|line| line.label.as_str()).collect();
    assert_eq!(labels, ["training", "test"]);
    let marked: Vec<(f64, bool)> =
        accuracy.markers.iter().map(|marker| (marker.x, marker.is_result)).collect();
    assert_eq!(marked, [(3.5, false), (2.0, true), (5.0, true)]);
    assert_eq!(lines(&report, "learning-rate").lines[0].points[4].y, 0.1 / 5.0);
    assert_eq!(lines(&report, "weights").lines.len(), 2);
    assert!(report.figures().any(|figure| figure.id == "zero-weights"));
    assert!(warnings(&report).is_empty());
    check(&page(&report).expect("a page"));
}

#[test]
fn a_training_that_failed_or_was_stopped_says_so() {
    let dir = tempfile::tempdir().expect("a folder");
    let history = epoch(1, 1, 1, "0.5", 0.4) + &epoch(1, 2, 2, "null", 0.1);
    for (verdict, said) in [
        (Some("not-finite"), "not finite: the loss became infinite or no number"),
        (Some("diverged"), "diverged: the network had learned, and lost it again"),
        (Some("did-not-learn"), "did not learn"),
        (None, "not finished: 2 of 5\u{a0}epochs"),
    ] {
        let folder = dir.path().join(verdict.unwrap_or("stopped"));
        training(&folder, &history, verdict);
        let report = read(&folder).expect("sound");
        assert!(warnings(&report)[0].contains(said), "{:?}", warnings(&report));
        assert!(lines(&report, "loss").lines[0].points[1].y.is_nan());
        check(&page(&report).expect("a page"));
    }
    let begun = dir.path().join("begun");
    training(&begun, "", None);
    let report = read(&begun).expect("sound");
    assert!(warnings(&report).iter().any(|text| text.contains("No epoch is recorded yet")));
    check(&page(&report).expect("a page"));
}

#[test]
fn damaged_files_of_a_training_are_named() {
    let dir = tempfile::tempdir().expect("a folder");
    good_training(dir.path());
    let refused = |name: &str, text: &str| {
        let path = dir.path().join(name);
        let before = fs::read_to_string(&path).expect("read");
        fs::write(&path, text).expect("written");
        let error = read(dir.path()).expect_err("refused");
        fs::write(&path, before).expect("written");
        let reason = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        (error.to_string(), reason)
    };
    let (error, reason) = refused("history.jsonl", &(epoch(1, 1, 1, "0.5", 0.4) + "{\"phase\":1}\n"));
    assert!(
        error.contains("history.jsonl") && reason.contains("line 2: missing field `epoch`"),
        "{error}: {reason}"
    );
    let (error, reason) = refused("result.json", "{\"verdict\":\"splendid\"}");
    assert!(error.contains("result.json is damaged: expected the result of a training"), "{error}");
    assert!(reason.contains("splendid") && reason.contains("did-not-learn"), "{reason}");
    let (error, _) = refused("recipe.toml", "seed = 1\n");
    assert!(error.contains("recipe.toml is no recipe"), "{error}");
}

#[test]
fn a_study_shows_every_chip_and_what_repairs_are_worth() {
    let dir = tempfile::tempdir().expect("a folder");
    study(dir.path());
    let report = read(dir.path()).expect("sound");
    let chips = report.figures().find(|figure| figure.id == "chips").expect("chips");
    let Chart::Dots(dots) = &chips.chart else { panic!("dots") };
    assert_eq!((dots.rows.len(), dots.rows[0].values.len(), chips.table.rows.len()), (8, 3, 24));
    assert_eq!(dots.rows[4].group, "rounding = nearest");
    // (0.7 · 3 − 1.5) / (0.8 · 3 − 1.5): golden 0.8, stricken 0.4, 0.5, 0.6.
    let recovered = report.figures().find(|figure| figure.id == "recovered").expect("recovered");
    let Chart::Dots(recovered) = &recovered.chart else { panic!("dots") };
    assert!((recovered.rows[0].mean - 0.6 / 0.9).abs() < 1e-9, "{}", recovered.rows[0].mean);
    let epochs = lines(&report, "retraining-1");
    let points: Vec<(f64, f64)> = epochs.lines[0].points.iter().map(|point| (point.x, point.y)).collect();
    assert!(
        (points[0].1 - 0.5).abs() < 1e-12 && points[2].0 == 2.0 && (points[2].1 - 0.78).abs() < 1e-12,
        "{points:?}"
    );
    assert!(epochs.markers[0].x == 2.0 && report.figures().any(|figure| figure.id == "golden-accuracy"));
    assert!(warnings(&report).is_empty());
    check(&page(&report).expect("a page"));
}

#[test]
fn a_study_that_is_not_finished_or_damaged_says_so() {
    let dir = tempfile::tempdir().expect("a folder");
    study(dir.path());
    let path = dir.path().join("records.jsonl");
    let records = fs::read_to_string(&path).expect("read");
    let some: String = records.lines().take(5).flat_map(|line| [line, "\n"]).collect();
    fs::write(&path, some + "{\"condition\":").expect("written");
    let report = read(dir.path()).expect("sound");
    assert!(warnings(&report)[0].contains("5 of 24\u{a0}records"), "{:?}", warnings(&report));
    check(&page(&report).expect("a page"));
    fs::write(&path, records.replacen("\"condition\":1", "\"condition\":7", 1)).expect("written");
    let error = read(dir.path()).expect_err("refused").to_string();
    assert!(
        error.contains("records.jsonl, line 13: found condition 7, expected one of the study's 2"),
        "{error}"
    );
    fs::remove_file(&path).expect("removed");
    fs::remove_dir_all(dir.path().join("golden")).expect("removed");
    let report = read(dir.path()).expect("sound");
    assert!(warnings(&report).iter().any(|text| text.contains("Nothing is measured on chips yet")));
    check(&page(&report).expect("a page"));
}
