//! `temper report`, through the program.

pub mod support;

use std::fs;
use std::path::Path;

use support::{CAMPAIGN, digits_campaign, temper, training};

#[test]
fn a_campaign_and_a_training_have_pages_and_go_on_undisturbed() {
    let dir = tempfile::tempdir().expect("a folder");
    let (spec, records) = digits_campaign(dir.path(), CAMPAIGN);
    let recipe = dir.path().join("recipe.toml");
    fs::write(&recipe, training::RECIPE).expect("written");
    let recipe = recipe.to_string_lossy().into_owned();
    let trained = dir.path().join("trained").to_string_lossy().into_owned();
    let campaign: &[&str] = &["campaign", "run", &spec, "-o", &records];
    let training: &[&str] = &["train", &recipe, "-o", &trained];
    for (command, folder, figure) in
        [(campaign, &records, "accuracy-over-count"), (training, &trained, "learning-rate")]
    {
        let run = temper(command);
        assert_eq!(run.code, 0, "{}", run.err);
        let report = temper(&["report", folder]);
        let expected = (0, format!("{folder}/report/report.html\n"));
        assert_eq!((report.code, report.out), expected, "{}", report.err);
        let page = fs::read(format!("{folder}/report/report.html")).expect("the page");
        for file in ["figures/NAME.svg", "figures/NAME.png", "tables/NAME.csv"] {
            let path = format!("{folder}/report/{}", file.replace("NAME", figure));
            assert!(Path::new(&path).exists(), "{path}");
        }
        // Elsewhere it is the same, byte for byte.
        let other = dir.path().join(figure);
        let json = temper(&["report", folder, "-o", other.to_str().expect("text"), "--json"]).json();
        assert_eq!(json["page"], other.join("report.html").to_str().expect("text"));
        assert!(fs::read(other.join("report.html")).expect("the page") == page);
    }
    // With a report inside, a campaign finds what it left.
    let again = temper(campaign);
    assert_eq!(again.code, 0, "{}", again.err);
    for (folder, unit) in [(&records, "trials"), (&trained, "epochs")] {
        let status = temper(&["status", folder, "--json"]).json();
        assert_eq!((&status["state"], &status["unit"]), (&"done".into(), &unit.into()));
    }
    let hint = temper(&["report", &dir.path().to_string_lossy()]);
    assert_eq!(hint.code, 3);
    assert!(hint.err.contains("there is one in") && hint.err.contains("/trained"), "{}", hint.err);
}

#[test]
fn a_precision_that_was_missed_is_told_and_one_that_was_reached_is_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let draws = CAMPAIGN.replace("count = [0, 50, 500]", "count = [500]");
    for (name, half_width, is_told) in [("missed", "0.0001", true), ("reached", "0.9", false)] {
        let rule = format!(
            "precision = {{ half_width = {half_width}, min = 4, max = 6, guard = 'equal-draws' }}\nimages = 'all'"
        );
        let (spec, records) = digits_campaign(dir.path(), &draws.replace("count = 4", &rule));
        let records = records + name;
        let run = temper(&["campaign", "run", &spec, "-o", &records]);
        assert_eq!(run.code, 0, "{}", run.err);
        assert_eq!(temper(&["report", &records]).code, 0);
        let page = fs::read_to_string(format!("{records}/report/report.html")).expect("the page");
        assert_eq!(page.contains("not known to the precision"), is_told, "{name}");
        assert!(!page.contains("is not finished"), "{name}");
    }
}

#[test]
fn what_is_no_campaign_or_a_damaged_one_is_bad_input() {
    let dir = tempfile::tempdir().expect("a folder");
    let (spec, records) = digits_campaign(dir.path(), CAMPAIGN);
    assert_eq!(temper(&["campaign", "run", &spec, "-o", &records]).code, 0);
    let info = format!("{records}/campaign.json");
    let text = fs::read_to_string(&info).expect("read");
    fs::write(&info, text.replace("\"format_version\": 5", "\"format_version\": 2")).expect("written");
    let run = temper(&["report", &records]);
    assert_eq!(run.code, 3);
    assert!(
        run.err.contains("campaign.json has format version 2; this program reads version 5"),
        "{}",
        run.err
    );
    assert!(!Path::new(&records).join("report").exists());
    let gone = temper(&["report", "no-such-folder"]);
    assert!(gone.code == 3 && gone.err.contains("cannot read no-such-folder"), "{}", gone.err);
}
