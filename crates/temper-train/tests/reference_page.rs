//! The references of recipes and studies name every key that there may be, and no other.

use temper_core::data::{Layout, Preprocessing};
use temper_core::network::zoo::{Nonlinearity, Pooling, Shortcut};
use temper_train::experiment::{ExperimentSpec, StruckSpec};
use temper_train::optimizer::OptimizerSpec;
use temper_train::recipe::{
    ActivationRanges, FaultDraws, FaultGradient, KeepSpec, LossSpec, NetworkSpec, PhaseSpec, RecipeSpec,
    RegularizerSpec, StartFrom, StatisticsSpec, TrainingDataSpec,
};
use temper_train::schedule::{AnnealStrategy, PlateauMode, ScheduleSpec, ThresholdMode};
use temper_train::study::{ChipsSpec, RepairSpec, StudySpec};
use temper_train::training::Verdict;
use temper_train::{AugmentationSpec, Fan, Initialisation};

#[path = "../../temper-core/tests/support/pages.rs"]
pub mod pages;

use pages::{Words, documented, examples, keys, keys_after, kinds, page_of, section, words};

fn page() -> String {
    page_of("recipe-reference.md")
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
fn every_key_of_an_experiment_is_documented() {
    let page = page_of("experiment-reference.md");
    assert_eq!(documented(&page, "## Top level"), keys::<ExperimentSpec>());
    assert_eq!(documented(&page, "## `[model]`"), keys::<StruckSpec>());
    for example in examples(&page) {
        ExperimentSpec::parse(example).unwrap_or_else(|error| panic!("{example}\n{error}"));
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
