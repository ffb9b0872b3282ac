//! The answers without faults that a campaign's directory keeps.

pub mod support;

use std::fs;

use support::directory::{complete, lines, with_logs};
use support::{Silent, campaign, chain, digits_images, digits_model};
use temper_core::campaign::{Campaign, CampaignDir, GoldenAnswers, StoreError};

/// Two formats with a golden run each, and two numbers of faults; four bits of weights are few enough to change answers.
const SPEC: &str = "trials.count = 2\nrecord.predictions = true\n\
                    sweep.'storage.1.format' = ['int3', 'int8']\nsweep.count = [0, 400]\n\
                    [[storage]]\ntarget = 'weight'\nformat = 'int8'\n[[fault]]\nmodel = 'bit-flip'";

/// The campaign's golden answers, and a directory with its records.
fn made(folder: &tempfile::TempDir) -> (CampaignDir, Vec<GoldenAnswers>) {
    let (model, data, spec) = (digits_model(), digits_images(40), campaign(SPEC));
    let (info, records) = complete(&model, &data, &spec);
    let (dir, _) = with_logs(&folder.path().join("run"), &info, &[&lines(&records)]);
    let campaign = Campaign::new(&spec, &model.network, &model.preprocessing, &data, None).expect("it fits");
    let answers = GoldenAnswers::of(&campaign, &campaign.golden(&Silent));
    dir.keep_golden_answers(&answers).expect("written");
    (dir, answers)
}

#[test]
fn golden_answers_are_those_of_draws_without_a_fault_and_outlive_a_merge() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (dir, answers) = made(&folder);
    let conditions: Vec<&[usize]> = answers.iter().map(|run| run.conditions.as_slice()).collect();
    assert_eq!(conditions, [[0, 1], [2, 3]]);
    let records = dir.records().expect("sound").by_trial;
    for run in &answers {
        let untouched = records.values().find(|record| record.condition == run.conditions[0]);
        assert_eq!(untouched.and_then(|record| record.predictions.as_ref()), Some(&run.predictions));
    }
    assert_ne!(answers[0].predictions, answers[1].predictions, "four bits change answers");

    let kept = |dir: &CampaignDir| dir.golden_answers().expect("sound");
    assert_eq!(kept(&dir).as_ref(), Some(&answers));
    let bytes = fs::read(dir.path().join("golden.jsonl")).expect("there");
    dir.keep_golden_answers(&answers[..1]).expect("there already");
    assert_eq!(fs::read(dir.path().join("golden.jsonl")).expect("there"), bytes);
    let (merged, _) = dir.merge(&[], &folder.path().join("merged")).expect("merged");
    assert_eq!(kept(&merged), Some(answers));

    fs::remove_file(dir.path().join("golden.jsonl")).expect("removed");
    assert_eq!(kept(&dir), None);
}

#[test]
fn damaged_and_foreign_answers_are_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (dir, _) = made(&folder);
    let file = dir.path().join("golden.jsonl");
    let sound = fs::read_to_string(&file).expect("there");
    let error = |text: &str| {
        fs::write(&file, text).expect("written");
        dir.golden_answers().expect_err("not as it was")
    };
    let damaged = error(&sound.replacen("predictions\":[", "predictions\":[9,", 1));
    assert!(matches!(damaged, StoreError::GoldenAnswers { line: 1, .. }), "{damaged}");
    assert!(chain(&damaged).contains("the checksum is"), "{}", chain(&damaged));
    let cut = error(&sound[..sound.len() - 3]);
    assert!(matches!(cut, StoreError::GoldenAnswers { line: 2, .. }), "{cut}");
    let binary = {
        fs::write(&file, [0xff, 0xfe]).expect("written");
        dir.golden_answers().expect_err("no text")
    };
    assert!(matches!(binary, StoreError::Io { .. }), "{binary}");

    // Sound lines, but of fewer images.
    let (model, data, spec) = (digits_model(), digits_images(20), campaign(SPEC));
    let other = Campaign::new(&spec, &model.network, &model.preprocessing, &data, None).expect("it fits");
    let golden = other.golden(&Silent);
    fs::remove_file(&file).expect("removed");
    dir.keep_golden_answers(&GoldenAnswers::of(&other, &golden)).expect("written");
    let stray = dir.golden_answers().expect_err("of another campaign");
    assert!(matches!(stray, StoreError::StrayAnswers { line: 1, .. }), "{stray}");
}
