//! Reports of campaigns made by hand.

pub mod support;

use std::fs;
use std::path::Path;

use serde_json::json;
use support::{CAMPAIGN, Made, log_of, page::check, sealed};
use temper_report::{Block, Cell, Chart, Figure, KeyFigure, Report, page, read, write};

fn figure<'a>(report: &'a Report, id: &str) -> &'a Figure {
    let ids: Vec<&str> = report.figures().map(|figure| figure.id.as_str()).collect();
    report.figures().find(|figure| figure.id == id).unwrap_or_else(|| panic!("no {id} in {ids:?}"))
}

fn blocks(report: &Report) -> impl Iterator<Item = &Block> {
    report.sections.iter().flat_map(|section| &section.blocks)
}

fn key_figures(report: &Report) -> &[KeyFigure] {
    let found = blocks(report).find_map(|block| match block {
        Block::KeyFigures(figures) => Some(figures),
        _ => None,
    });
    found.expect("key figures")
}

fn texts(report: &Report) -> String {
    let texts = blocks(report).filter_map(|block| match block {
        Block::Text(text) => Some(text.text.as_str()),
        _ => None,
    });
    texts.collect::<Vec<_>>().join("\n").replace(['\u{a0}', '\u{202f}'], " ")
}

/// What goes wrong, with all its reasons.
fn refused(dir: &Path) -> String {
    let error = read(dir).expect_err("refused");
    let reasons = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    reasons.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Two rates, three draws: 90, 90, 90 and 80, 70, 60 of 100 images right.
fn two_rates(dir: &Path) {
    Made::rates(&[1e-6, 1e-4], 3).write(dir, |condition, draw| {
        if condition == 0 { [90, 0, 0] } else { [80 - 10 * draw, 10 + 10 * draw, draw] }
    });
}

#[test]
fn figures_are_those_of_the_records() {
    let dir = tempfile::tempdir().expect("a folder");
    two_rates(dir.path());
    let report = read(dir.path()).expect("sound");
    assert_eq!(report.title, "small on digits, under faults");
    let Chart::Lines(lines) = &figure(&report, "accuracy-over-bit-error-rate").chart else { panic!("lines") };
    let points = &lines.lines[0].points;
    assert_eq!(lines.reference.as_ref().map(|(golden, _)| *golden), Some(0.9));
    assert_eq!((points.len(), points[0].x, points[0].y), (2, 1e-6, 0.9));
    // 0.7 ± t(2) · 0.1 / √3, t = 4.302653.
    let (low, high) = points[1].band.expect("three draws");
    let half = 4.302_653 * 0.1 / 3f64.sqrt();
    assert!((low - (0.7 - half)).abs() < 1e-6 && (high - (0.7 + half)).abs() < 1e-6, "{low} {high}");
    let Chart::Lines(change) = &figure(&report, "change-over-bit-error-rate").chart else { panic!("lines") };
    assert!((change.lines[0].points[1].y + 0.2).abs() < 1e-12);
    let Chart::Shares(shares) = &figure(&report, "outcomes").chart else { panic!("shares") };
    for (found, expected) in shares.rows[1].shares.iter().zip([0.79, 0.2, 0.01]) {
        assert!((found - expected).abs() < 1e-12, "{:?}", shares.rows[1]);
    }
    let Chart::Dots(dots) = &figure(&report, "draws").chart else { panic!("dots") };
    let values: Vec<f64> = dots.rows[1].values.iter().map(|(value, _)| *value).collect();
    assert_eq!(values, [0.6, 0.7, 0.8]);
    let keys: Vec<(&str, String)> = key_figures(&report)
        .iter()
        .map(|figure| (figure.label.as_str(), figure.value.replace('\u{a0}', " ")))
        .collect();
    let expected = [
        ("Accuracy without faults", "90.00 %"),
        ("Lost in the worst condition", "20.00"),
        ("Worst chip", "60.00 %"),
        ("Yield", "0.0 %"),
        ("Silently wrong", "20.00 %"),
        ("Visibly broken", "1.00 %"),
    ];
    assert_eq!(keys, expected.map(|(label, value)| (label, value.to_owned())));
    assert!(!texts(&report).contains("not finished"));
}

#[test]
fn a_part_of_a_campaign_is_said_to_be_one() {
    let dir = tempfile::tempdir().expect("a folder");
    two_rates(dir.path());
    let log = fs::read_to_string(log_of(dir.path())).expect("read");
    // Three of six records, and half of the fourth.
    let lines: Vec<&str> = log.lines().collect();
    fs::write(log_of(dir.path()), format!("{}\n{}", lines[..3].join("\n"), &lines[3][..40]))
        .expect("written");
    let report = read(dir.path()).expect("sound");
    let said = texts(&report);
    assert!(said.contains("3 trials of 6 are recorded (50.0 %)") || said.contains("3 of 6 trials"), "{said}");
    assert!(said.contains("2 conditions are not complete") && said.contains("1 unfinished record"), "{said}");
    // Nothing at all.
    fs::write(log_of(dir.path()), "").expect("written");
    let report = read(dir.path()).expect("sound");
    assert!(texts(&report).contains("No trial is recorded yet") && report.figures().next().is_none());
    check(&page(&report).expect("a page"));
}

#[test]
fn duplicates_count_once_and_contradictions_are_named() {
    let dir = tempfile::tempdir().expect("a folder");
    two_rates(dir.path());
    let before = read(dir.path()).expect("sound");
    let second = dir.path().join("shards/0001-of-1/host-2-2.jsonl");
    fs::copy(log_of(dir.path()), &second).expect("copied");
    assert_eq!(read(dir.path()).expect("sound"), before);
    let made = Made::rates(&[1e-6, 1e-4], 3);
    fs::write(&second, made.record(2, 1, 0, [79, 11, 0]).to_line()).expect("written");
    let error = refused(dir.path());
    assert!(error.contains("two records of trial 1 disagree") && error.contains("host-2-2.jsonl"), "{error}");
}

#[test]
fn what_is_damaged_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    two_rates(dir.path());
    let log = fs::read_to_string(log_of(dir.path())).expect("read");
    fs::write(log_of(dir.path()), log.replacen("\"correct\":90", "\"correct\":91", 1)).expect("written");
    let error = refused(dir.path());
    assert!(error.contains("host-1-1.jsonl, line 1, is damaged") && error.contains("checksum"), "{error}");
    let info = fs::read_to_string(dir.path().join("campaign.json")).expect("read");
    let older = info.replacen("\"format_version\":5", "\"format_version\":4", 1);
    fs::write(dir.path().join("campaign.json"), older).expect("written");
    let error = refused(dir.path());
    assert!(error.contains("campaign.json has format version 4; this program reads version 5"), "{error}");
    fs::write(dir.path().join("campaign.json"), &info[..100]).expect("written");
    assert!(refused(dir.path()).contains("campaign.json is not a campaign description"));
    let empty = tempfile::tempdir().expect("a folder");
    assert!(
        refused(empty.path())
            .contains("holds nothing to report: expected experiment.json (an experiment), campaign.json")
    );
    fs::create_dir(empty.path().join("inner")).expect("a folder");
    two_rates(&empty.path().join("inner"));
    assert!(refused(empty.path()).ends_with("inner"), "{}", refused(empty.path()));
    assert!(refused(&empty.path().join("gone")).contains("cannot read"));
}

#[test]
fn layers_and_bits_make_a_map() {
    let dir = tempfile::tempdir().expect("a folder");
    let made = Made {
        axes: vec![
            ("layer".to_owned(), vec![json!("conv1"), json!("fc")]),
            ("bit".to_owned(), vec![json!(0), json!(30)]),
        ],
        fault: json!({"target": "weight", "layers": "*", "model": "bit-flip", "count": 1}),
        ..Made::rates(&[], 10)
    };
    // In fc's bit 30 two of five faults change an answer.
    made.write(
        dir.path(),
        |condition, draw| if condition == 3 && draw % 5 < 2 { [80, 10, 0] } else { [90, 0, 0] },
    );
    let report = read(dir.path()).expect("sound");
    let Chart::Heat(heat) = &figure(&report, "layers-and-bits-1").chart else { panic!("a map") };
    assert_eq!(
        (heat.rows.clone(), heat.columns.clone()),
        (vec!["conv1".into(), "fc".into()], vec!["0".into(), "30".into()])
    );
    assert_eq!(heat.values, [0.0, 0.0, 0.0, 0.4]);
    let (_, by_layer) = report.tables().find(|(id, _)| *id == "by-layer").expect("a table");
    // Two strata of equally many faults.
    assert_eq!(
        (&by_layer.rows[1][0], &by_layer.rows[1][3]),
        (&Cell::Text("fc".to_owned()), &Cell::Number(0.2))
    );
    check(&page(&report).expect("a page"));
}

#[test]
fn answers_that_change_are_counted_against_golden_answers() {
    let dir = tempfile::tempdir().expect("a folder");
    let made = Made { golden: (4, 4), predictions: true, ..Made::rates(&[1e-5, 1e-4], 2) };
    let conditions = made.describe(dir.path());
    let mut log = String::new();
    for draw in 0..2 {
        for condition in 0..2 {
            let mut record =
                made.record(conditions, condition, draw, if condition == 0 { [4, 0, 0] } else { [2, 1, 1] });
            record.predictions = Some(if condition == 0 {
                [0, 1, 2, 2].map(Some).to_vec()
            } else {
                vec![Some(0), Some(2), Some(2), None]
            });
            log += &record.to_line();
        }
    }
    fs::write(log_of(dir.path()), &log).expect("written");
    // The same trials once more count once.
    fs::write(dir.path().join("shards/0001-of-1/host-2-2.jsonl"), &log).expect("written");
    // A directory without golden answers says so.
    let report = read(dir.path()).expect("sound");
    assert!(texts(&report).contains("the golden answers are not in the directory"));

    let answers = |runs: &[(&[usize], [Option<u8>; 4])]| {
        let line = |(conditions, predictions): &(&[usize], [Option<u8>; 4])| {
            sealed(&json!({"campaign": CAMPAIGN, "conditions": conditions, "predictions": predictions}))
        };
        let lines: String = runs.iter().map(line).collect();
        fs::write(dir.path().join("golden.jsonl"), lines).expect("written");
        let Chart::Heat(heat) = figure(&read(dir.path()).expect("sound"), "answers").chart.clone() else {
            panic!("a map")
        };
        heat
    };
    let heat = answers(&[(&[0, 1], [0, 1, 2, 2].map(Some))]);
    assert_eq!((heat.rows.len(), heat.columns.join(" ")), (3, "0 1 2 none".to_owned()));
    // Of four inferences with the golden answer 1 two became 2; of eight with 2 two became none.
    let at = |golden: usize, faulty: usize| heat.values[golden * 4 + faulty];
    assert_eq!((at(0, 1), at(1, 2), at(2, 3), at(2, 0)), (0.0, 0.5, 0.25, 0.0));
    assert!(at(1, 1).is_nan());
    // Each condition has its own golden run; one has no answer for the last image.
    let heat = answers(&[(&[0], [0, 1, 2, 2].map(Some)), (&[1], [Some(0), Some(2), Some(0), None])]);
    assert_eq!(heat.rows, ["0", "1", "2", "none"]);
    // Of the six inferences with the golden answer 0 two became 2.
    assert!((heat.values[2] - 1.0 / 3.0).abs() < 1e-12 && heat.values[4 + 2] == 0.0);
    assert_eq!(heat.values[12..15], [0.0; 3]);

    fs::write(dir.path().join("golden.jsonl"), "{}\n").expect("written");
    assert!(read(dir.path()).expect_err("damaged").to_string().contains("golden.jsonl, line 1"));
}

#[test]
fn hostile_names_are_words_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a folder");
    let evil = "<script>alert('x')</script>\"&\u{1}</svg>";
    let made = Made {
        axes: vec![("layer".to_owned(), vec![json!(evil), json!("a".repeat(300))])],
        ..Made::rates(&[], 2)
    };
    made.write(dir.path(), |_, draw| [80 + draw, 5, 0]);
    let report = read(dir.path()).expect("sound");
    let text = page(&report).expect("a page");
    check(&text);
    assert_eq!(text.matches("<script").count(), 1);
    assert!(text.contains("&lt;script&gt;alert(&#39;x&#39;)"));
    let out = dir.path().join("report");
    write(&report, &out).expect("written, as pictures too");
}

#[test]
fn equal_directories_give_equal_bytes_and_a_report_inside_disturbs_nobody() {
    let dir = tempfile::tempdir().expect("a folder");
    two_rates(dir.path());
    let once = write(&read(dir.path()).expect("sound"), &dir.path().join("report")).expect("written");
    let other = tempfile::tempdir().expect("a folder");
    let twice = write(&read(dir.path()).expect("sound"), other.path()).expect("written");
    let bytes = |path: &Path| fs::read(path).expect("read");
    assert!(bytes(&once.page) == bytes(&twice.page));
    assert_eq!((once.figures.len(), once.tables.len()), (8, 5));
    for (a, b) in once.figures.iter().chain(&once.tables).zip(twice.figures.iter().chain(&twice.tables)) {
        assert!(bytes(a) == bytes(b), "{}", a.display());
    }
    // The order in which records were written does not matter.
    let log = fs::read_to_string(log_of(dir.path())).expect("read");
    let mut lines: Vec<&str> = log.lines().collect();
    lines.reverse();
    fs::write(log_of(dir.path()), lines.join("\n") + "\n").expect("written");
    assert!(page(&read(dir.path()).expect("sound")).expect("a page").into_bytes() == bytes(&once.page));
}

#[test]
fn one_condition_twelve_lines_and_many_more_have_a_page() {
    let dir = tempfile::tempdir().expect("a folder");
    let names =
        |count: usize| (0..count).map(|i| json!(format!("a layer with a long name, number {i}"))).collect();
    for layers in [1, 12, 40] {
        let folder = dir.path().join(layers.to_string());
        let made = Made {
            axes: vec![
                ("layer".to_owned(), names(layers)),
                ("count".to_owned(), vec![json!(1), json!(10), json!(100)]),
            ],
            ..Made::rates(&[], 4)
        };
        made.write(&folder, |condition, draw| [90 - (condition as u64 * 7 + draw) % 60, 3, 1]);
        let report = read(&folder).expect("sound");
        let Chart::Lines(lines) = &figure(&report, "accuracy-over-count").chart else { panic!("lines") };
        assert_eq!(lines.lines.len(), layers.min(12));
        check(&page(&report).expect("a page"));
    }
    let single = dir.path().join("single");
    Made { axes: Vec::new(), ..Made::rates(&[], 1) }.write(&single, |_, _| [70, 20, 0]);
    let report = read(&single).expect("sound");
    let Chart::Dots(dots) = &figure(&report, "accuracy-by-condition").chart else { panic!("dots") };
    assert_eq!((dots.rows.len(), dots.rows[0].interval), (1, None));
    check(&page(&report).expect("a page"));
}
