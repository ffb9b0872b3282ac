//! Pages in a browser: at the widths of a telephone, a tablet and a large screen, in light and dark, and on paper.

pub mod support;

use std::fs;
use std::path::Path;

use serde_json::json;
use support::browser::{View, chromium, findings, looks_right, printed};
use support::experiment::troubled;
use support::{Made, good_training, study};
use temper_report::{page, read, write};

/// Directories that show every kind of figure.
fn directories(dir: &Path) -> Vec<&'static str> {
    let rates: Vec<f64> = [0.0].into_iter().chain((0..6).map(|i| 10f64.powi(i - 7))).collect();
    Made::rates(&rates, 30).write(&dir.join("rates"), |condition, draw| {
        let lost = (condition as u64).pow(2) * (draw % 7) / 3;
        [90 - lost.min(90), lost.min(60), lost.min(30) / 3]
    });
    let layers =
        (0..12).map(|i| json!(format!("features.stage{i}.block.convolution.with.a.long.name"))).collect();
    let bits = (0..32).map(|bit| json!(bit)).collect();
    let fault = json!({"target": "weight", "layers": "*", "model": "bit-flip", "count": 1});
    let axes = vec![("layer".to_owned(), layers), ("bit".to_owned(), bits)];
    Made { axes, fault, ..Made::rates(&[], 5) }.write(&dir.join("bits"), |condition, draw| {
        let lost = if condition % 32 > 20 { (draw + condition as u64) % 4 * 5 } else { 0 };
        [90 - lost, lost, 0]
    });
    Made { axes: Vec::new(), ..Made::rates(&[], 1) }.write(&dir.join("single"), |_, _| [70, 20, 0]);
    good_training(&dir.join("training"));
    study(&dir.join("study"));
    troubled(&dir.join("experiment"));
    vec!["rates", "bits", "single", "training", "study", "experiment"]
}

#[test]
fn pages_look_right_at_every_width_in_light_and_dark() {
    let Some(chromium) = chromium() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    for name in directories(dir.path()) {
        let text = page(&read(&dir.path().join(name)).expect("sound")).expect("a page");
        looks_right(&chromium, dir.path(), &text, name);
    }
}

#[test]
#[ignore = "for pages of real runs: TEMPER_PAGES names them, as PATH names folders"]
fn named_pages_look_right_and_print() {
    let chromium = chromium().expect("Chromium is installed");
    let dir = tempfile::tempdir().expect("a folder");
    let pages = std::env::var_os("TEMPER_PAGES").expect("TEMPER_PAGES names pages");
    for path in std::env::split_paths(&pages) {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        looks_right(&chromium, dir.path(), &text, &path.display().to_string());
        println!("{}: {} sheets", path.display(), printed(&chromium, dir.path(), &path));
    }
}

#[test]
fn what_is_wrong_with_a_page_is_found() {
    let Some(chromium) = chromium() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    Made::rates(&[1e-6, 1e-4], 3).write(dir.path(), |_, draw| [80 + draw, 5, 0]);
    let text = page(&read(dir.path()).expect("sound")).expect("a page");
    let wrong = "<main>\n<img src=\"https://example.invalid/a.png\" alt=\"\"><hr width=\"3000\">";
    let view = View { width: 1000, dark: true };
    let found = findings(&chromium, dir.path(), &text.replacen("<main>", wrong, 1), view);
    assert!(
        found["overflow"].as_i64().expect("pixels") > 1000 && found["sticksOut"] != json!([]),
        "{found:#}"
    );
    // The page's own policy keeps it from asking for anything.
    assert!(found["errors"].to_string().contains("policy: img-src"), "{found:#}");
    let colour = text.replace("[stroke=\"#0072B2\"]", "[stroke=\"#0072B3\"]");
    let found = findings(&chromium, dir.path(), &colour, view);
    assert!(found["errors"].to_string().contains("policy: style-src"), "another style: {found:#}");
}

#[test]
fn pages_print() {
    let Some(chromium) = chromium() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let names = directories(dir.path());
    for name in names {
        let written =
            write(&read(&dir.path().join(name)).expect("sound"), &dir.path().join("out")).expect("written");
        let sheets = printed(&chromium, dir.path(), &written.page);
        assert!((1..=30).contains(&sheets), "{name}: {sheets} sheets");
    }
}
