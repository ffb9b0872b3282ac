//! The campaign reference names every key that a specification may have, and no other.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use temper_core::campaign::{CalibrationSpec, CampaignSpec, DataSpec, ModelSpec, RecordSpec, TrialsSpec};
use temper_core::fault::{ErrorModel, FaultSpec, ListedFault};
use temper_core::hardware::{CrossbarSpec, HardwareSpec, SandwichRamSpec};
use temper_core::memory::StorageSpec;

fn page() -> String {
    let path: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "..", "..", "docs", "campaign-reference.md"].iter().collect();
    std::fs::read_to_string(path).expect("the page is part of the repository")
}

/// The keys of a table, as its own error message lists them.
fn keys<T: DeserializeOwned>() -> BTreeSet<String> {
    let error = toml::from_str::<T>("no-such-key = 1").err().expect("no table has this key").to_string();
    let listed = error.split("expected").nth(1).expect("the message lists what is expected");
    listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The words in code in the first column of a section's first table.
fn documented(page: &str, heading: &str) -> BTreeSet<String> {
    let section = page.split(&format!("\n{heading}\n")).nth(1).unwrap_or_else(|| panic!("no {heading}"));
    let rows = section.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let cells = rows.take_while(|line| line.starts_with('|')).filter_map(|line| line.split('|').nth(1));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[test]
fn every_key_is_documented_and_every_documented_key_exists() {
    let page = page();
    for (heading, keys) in [
        ("## Top level", keys::<CampaignSpec>()),
        ("## `[model]`", keys::<ModelSpec>()),
        ("## `[data]`", keys::<DataSpec>()),
        ("## `[calibration]`", keys::<CalibrationSpec>()),
        ("## `[[storage]]`", keys::<StorageSpec>()),
        ("## `[[hardware]]`", keys::<HardwareSpec>()),
        ("### Crossbar", keys::<CrossbarSpec>()),
        ("### Sandwich-RAM", keys::<SandwichRamSpec>()),
        ("## `[[fault]]`", keys::<FaultSpec>()),
        ("### Listed faults", keys::<ListedFault>()),
        ("## `[trials]`", keys::<TrialsSpec>()),
        ("## `[record]`", keys::<RecordSpec>()),
    ] {
        assert_eq!(documented(&page, heading), keys, "{heading}");
    }
}

#[test]
fn every_error_model_is_documented() {
    let page = page();
    let row =
        page.lines().find(|line| line.starts_with("| `model` | `\"bit-flip\"`")).expect("a row of models");
    for model in ErrorModel::ALL {
        assert!(row.contains(&format!("\"{}\"", model.name())), "{}", model.name());
    }
}

#[test]
fn every_example_is_a_specification() {
    let page = page();
    let head = "seed = 1\nmodel.file = \"m\"\ndata.set = \"digits\"\n";
    let examples: Vec<&str> =
        page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(examples.len() >= 6);
    for example in examples {
        let mut text = example.to_owned();
        if !text.contains("seed =") {
            text =
                format!("{head}{}{text}", if text.contains("[trials]") { "" } else { "trials.count = 1\n" });
        }
        CampaignSpec::parse(&text).unwrap_or_else(|error| panic!("{example}\n{error}"));
    }
}
