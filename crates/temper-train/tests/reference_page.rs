//! The references of recipes, studies and hardware name every key that there may be, and no other.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use temper_core::data::{Layout, Preprocessing};
use temper_core::hardware::{Deviation, HardwareModel, HardwareSpec};
use temper_core::network::zoo::{Nonlinearity, Pooling, Shortcut};
use temper_train::optimizer::OptimizerSpec;
use temper_train::recipe::{
    ActivationRanges, FaultDraws, FaultGradient, KeepSpec, LossSpec, NetworkSpec, PhaseSpec, RecipeSpec,
    RegularizerSpec, StartFrom, StatisticsSpec, TrainingDataSpec,
};
use temper_train::schedule::{AnnealStrategy, PlateauMode, ScheduleSpec, ThresholdMode};
use temper_train::study::{ChipsSpec, RepairSpec, StudySpec};
use temper_train::training::Verdict;
use temper_train::{AugmentationSpec, Fan, Initialisation};

type Words = BTreeSet<String>;

fn page_of(name: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "docs", name].iter().collect();
    std::fs::read_to_string(path).expect("the page is part of the repository")
}

fn page() -> String {
    page_of("recipe-reference.md")
}

/// What an error message says was expected.
fn listed(error: &str) -> Words {
    let listed = error.split("expected").nth(1).unwrap_or_default();
    listed.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The keys of a table that begins with `head`, as its own error message lists them.
fn keys_after<T: DeserializeOwned>(head: &str) -> Words {
    let text = format!("{head}\nno-such-key = 1");
    let error = toml::from_str::<T>(&text).err().expect("no table has this key").to_string();
    assert!(error.contains("no-such-key"), "{error}");
    listed(error.lines().last().expect("a message"))
}

fn keys<T: DeserializeOwned>() -> Words {
    keys_after::<T>("")
}

/// The kinds of a tagged table.
fn kinds<T: DeserializeOwned>() -> Words {
    let error = toml::from_str::<T>("kind = \"no-such-kind\"").err().expect("there is no such kind");
    listed(error.message())
}

/// The words that a value may be.
fn words<T: DeserializeOwned>() -> Words {
    let error = T::deserialize(toml::Value::from("no-such-word")).err().expect("there is no such word");
    listed(error.message())
}

/// The part of the page under a heading.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let rest = page.split(&format!("\n{heading}\n")).nth(1).unwrap_or_else(|| panic!("no {heading}"));
    rest.split("\n#").next().expect("split gives one part")
}

/// The words in code in the first column of a section's first table.
fn documented(page: &str, heading: &str) -> Words {
    let rows = section(page, heading).lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let cells = rows.take_while(|line| line.starts_with('|')).filter_map(|line| line.split('|').nth(1));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[test]
fn every_key_is_documented_and_every_documented_key_exists() {
    let page = page();
    for (heading, keys) in [
        ("## Top level", keys::<RecipeSpec>()),
        ("## `[data]`", keys::<TrainingDataSpec>()),
        ("## `[network]`", keys::<NetworkSpec>()),
        ("## `[preprocessing]`", keys::<Preprocessing>()),
        ("## `[keep]`", keys::<KeepSpec>()),
        ("## `[[phase]]`", keys::<PhaseSpec>()),
        ("### Loss", keys::<LossSpec>()),
        ("### Regularisers", keys_after::<RegularizerSpec>("kind = \"activation-l1\"")),
        ("### Augmentation", keys::<AugmentationSpec>()),
    ] {
        assert_eq!(documented(&page, heading), keys, "{heading}");
    }
    let mut ranges = keys_after::<ActivationRanges>("kind = \"moving-average\"");
    ranges.insert("kind".to_owned());
    assert_eq!(documented(&page, "### Storage"), ranges);
}

#[test]
fn every_optimizer_and_schedule_is_documented_with_its_keys() {
    let page = page();
    let headings: Words = page
        .lines()
        .filter_map(|line| line.strip_prefix("#### `")?.strip_suffix('`'))
        .map(str::to_owned)
        .collect();
    let (optimizers, schedules) = (kinds::<OptimizerSpec>(), kinds::<ScheduleSpec>());
    assert_eq!(headings, optimizers.union(&schedules).cloned().collect());
    for kind in &optimizers {
        let keys = keys_after::<OptimizerSpec>(&format!("kind = \"{kind}\""));
        assert_eq!(documented(&page, &format!("#### `{kind}`")), keys, "{kind}");
    }
    for kind in &schedules {
        let keys = keys_after::<ScheduleSpec>(&format!("kind = \"{kind}\""));
        assert_eq!(documented(&page, &format!("#### `{kind}`")), keys, "{kind}");
    }
    let plain = toml::Table::try_from(ScheduleSpec::default()).expect("plain data");
    let common = plain.keys().filter(|key| *key != "kind").cloned().collect();
    assert_eq!(documented(&page, "### Schedules"), common);
}

#[test]
fn every_word_that_a_key_may_have_is_documented() {
    let page = page();
    // The third column of the row of a key.
    let row = |heading: &str, key: &str| {
        let rows = section(&page, heading).lines();
        let row = rows.into_iter().find(|line| line.starts_with(&format!("| `{key}` |")));
        let row = row.unwrap_or_else(|| panic!("{heading} has no row {key}"));
        row.split('|').nth(2).unwrap_or_default().to_owned()
    };
    let quoted = |cell: &str| -> Words { cell.split('"').skip(1).step_by(2).map(str::to_owned).collect() };
    for (heading, key, words) in [
        ("## `[network]`", "shortcut", words::<Shortcut>()),
        ("## `[network]`", "nonlinearity", words::<Nonlinearity>()),
        ("## `[network]`", "pooling", words::<Pooling>()),
        ("## `[preprocessing]`", "layout", words::<Layout>()),
        ("## `[[phase]]`", "start_from", words::<StartFrom>()),
        ("## `[[phase]]`", "batch_norm", words::<StatisticsSpec>()),
        ("## `[[phase]]`", "fault_draws", words::<FaultDraws>()),
        ("## `[[phase]]`", "fault_gradient", words::<FaultGradient>()),
        ("#### `one-cycle`", "anneal_strategy", words::<AnnealStrategy>()),
        ("#### `reduce-on-plateau`", "mode", words::<PlateauMode>()),
        ("#### `reduce-on-plateau`", "threshold_mode", words::<ThresholdMode>()),
        ("### Storage", "kind", kinds::<ActivationRanges>()),
    ] {
        assert_eq!(quoted(&row(heading, key)), words, "{heading} {key}");
    }
    let network = section(&page, "## `[network]`");
    for word in kinds::<Initialisation>().union(&words::<Fan>()) {
        assert!(network.contains(&format!("\"{word}\"")), "initialisation: {word}");
    }
    for kind in kinds::<RegularizerSpec>() {
        assert!(section(&page, "### Regularisers").contains(&format!("kind = \"{kind}\"")), "{kind}");
    }
    assert_eq!(documented(&page, "## What comes of it"), words::<Verdict>());
}

fn examples(page: &str) -> Vec<&str> {
    page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
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
fn every_key_and_repair_of_a_study_is_documented() {
    let page = page_of("study-reference.md");
    assert_eq!(documented(&page, "## Top level"), keys::<StudySpec>());
    assert_eq!(documented(&page, "## `[chips]`"), keys::<ChipsSpec>());
    assert_eq!(documented(&page, "## `[[repair]]`"), kinds::<RepairSpec>());
    for example in examples(&page) {
        StudySpec::parse(example).unwrap_or_else(|error| panic!("{example}\n{error}"));
    }
}

#[test]
fn every_example_is_a_recipe_and_survives_being_written() {
    let page = page();
    let examples = examples(&page);
    assert!(examples.len() >= 6);
    for example in examples {
        let recipe = RecipeSpec::parse(example).unwrap_or_else(|error| panic!("{example}\n{error}"));
        let written = toml::to_string(&recipe).expect("a recipe can be written");
        let read = RecipeSpec::parse(&written).unwrap_or_else(|error| panic!("{written}\n{error}"));
        assert_eq!(read, recipe, "{written}");
    }
}
