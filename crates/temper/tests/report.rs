//! `temper report`, through the program.

pub mod support;

use std::fs;
use std::path::Path;

use support::{CAMPAIGN, digits_campaign, temper};

#[test]
fn the_quickstarts_campaign_and_training_have_a_page_and_go_on_undisturbed() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = dir.path().join("quick");
    let output = output.to_str().expect("text");
    let run = temper(&["run", "quickstart", "-o", output]);
    assert_eq!(run.code, 0, "{}", run.err);
    for (what, figure) in [("campaign", "accuracy-over-bit-error-rate"), ("training", "learning-rate")] {
        let folder = format!("{output}/{what}");
        let report = temper(&["report", &folder]);
        assert_eq!(
            (report.code, report.out),
            (0, format!("{folder}/report/report.html\n")),
            "{}",
            report.err
        );
        let page = fs::read(format!("{folder}/report/report.html")).expect("the page");
        for file in ["figures/NAME.svg", "figures/NAME.png", "tables/NAME.csv"] {
            let path = format!("{folder}/report/{}", file.replace("NAME", figure));
            assert!(Path::new(&path).exists(), "{path}");
        }
        // Elsewhere it is the same, byte for byte.
        let other = dir.path().join(what);
        let json = temper(&["report", &folder, "-o", other.to_str().expect("text"), "--json"]).json();
        assert_eq!(json["page"], other.join("report.html").to_str().expect("text"));
        assert!(fs::read(other.join("report.html")).expect("the page") == page);
    }
    // The curve of the quickstart is that of the report.
    let curve = fs::read_to_string(format!("{output}/accuracy.svg")).expect("the picture");
    let figure = format!("{output}/campaign/report/figures/accuracy-over-bit-error-rate.svg");
    assert!(curve == fs::read_to_string(figure).expect("the figure"));
    // With reports inside, the commands find what they left.
    let again = temper(&["run", "quickstart", "-o", output]);
    assert_eq!((again.code, again.out), (0, run.out), "{}", again.err);
    let hint = temper(&["report", output]);
    assert_eq!(hint.code, 3);
    assert!(hint.err.contains("there is one in") && hint.err.contains("quick/campaign"), "{}", hint.err);
}

#[test]
fn what_is_no_campaign_or_a_damaged_one_is_bad_input() {
    let dir = tempfile::tempdir().expect("a folder");
    let (spec, records) = digits_campaign(dir.path(), CAMPAIGN);
    assert_eq!(temper(&["campaign", "run", &spec, "-o", &records]).code, 0);
    let info = format!("{records}/campaign.json");
    let text = fs::read_to_string(&info).expect("read");
    fs::write(&info, text.replace("\"format_version\": 4", "\"format_version\": 2")).expect("written");
    let run = temper(&["report", &records]);
    assert_eq!(run.code, 3);
    assert!(
        run.err.contains("campaign.json has format version 2; this program reads version 4"),
        "{}",
        run.err
    );
    assert!(!Path::new(&records).join("report").exists());
    let gone = temper(&["report", "no-such-folder"]);
    assert!(gone.code == 3 && gone.err.contains("cannot read no-such-folder"), "{}", gone.err);
}
