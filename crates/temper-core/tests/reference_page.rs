//! The references of campaigns and hardware name every key that a specification may have, and no other.

use temper_core::campaign::{CalibrationSpec, CampaignSpec, DataSpec, ModelSpec, RecordSpec, TrialsSpec};
use temper_core::fault::{ErrorModel, FaultSpec, ListedFault};
use temper_core::hardware::{Deviation, HardwareModel, HardwareSpec};
use temper_core::memory::StorageSpec;

#[path = "support/pages.rs"]
pub mod pages;

use pages::{Words, documented, examples, keys, keys_after, kinds, page_of};

fn page() -> String {
    page_of("campaign-reference.md")
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
        ("## `[[fault]]`", keys::<FaultSpec>()),
        ("### Listed faults", keys::<ListedFault>()),
        ("## `[trials]`", keys::<TrialsSpec>()),
        ("## `[record]`", keys::<RecordSpec>()),
    ] {
        assert_eq!(documented(&page, heading), keys, "{heading}");
    }
}

#[test]
fn every_key_of_hardware_is_documented() {
    let page = page_of("hardware.md");
    let of_kind = |kind: &str| keys_after::<HardwareModel>(&format!("kind = \"{kind}\""));
    assert_eq!(documented(&page, "## `[[hardware]]`"), keys::<HardwareSpec>());
    assert_eq!(documented(&page, "## `sandwich-ram`"), of_kind("sandwich-ram"));
    assert_eq!(documented(&page, "### Deviations"), keys::<Deviation>());
    assert_eq!(documented(&page, "## `crossbar`"), of_kind("crossbar"));
    let known: Words = ["sandwich-ram", "crossbar"].map(str::to_owned).into();
    assert_eq!(kinds::<HardwareModel>(), known, "a device without a section");
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
    let examples = examples(&page);
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
