//! A campaign's directory: made, opened again, resumed after a kill at any byte, and refused whenever records could be mixed.

pub mod support;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use support::directory::{SPEC, complete, lines, usual};
use support::{Silent, campaign, chain, digits_images, digits_model, run};
use temper_core::campaign::{
    Campaign, CampaignDir, CampaignInfo, CampaignSpec, RecordError, Shard, StoreError, Trial, TrialRecord,
};
use temper_core::data::Dataset;
use temper_core::network::Model;
use tempfile::TempDir;

/// A campaign's directory in a temporary one, with a log of this text.
fn with_log(info: &CampaignInfo, text: &[u8]) -> (TempDir, CampaignDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = CampaignDir::open_or_create(&folder.path().join("run"), info).expect("a new directory");
    dir.begin_attempt(Shard::WHOLE, "one").expect("a new log");
    let log = dir.path().join("shards/0001-of-1/one.jsonl");
    fs::write(&log, text).expect("the log can be written");
    (folder, dir, log)
}

/// What `records` holds, in the order of the trials.
fn read(dir: &CampaignDir) -> (Vec<TrialRecord>, usize) {
    let records = dir.records().unwrap_or_else(|error| panic!("{error}"));
    assert!(records.by_trial.iter().all(|(id, record)| *id == record.trial));
    (records.by_trial.into_values().collect(), records.torn)
}

#[test]
fn a_directory_is_made_once_and_opened_again() {
    let (info, records) = usual();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("a/b/run");
    let error = CampaignDir::open(&path).expect_err("nothing there");
    assert!(matches!(&error, StoreError::NoCampaign { path: named } if *named == path), "{error}");

    let dir = CampaignDir::open_or_create(&path, &info).expect("a new directory");
    assert_eq!((dir.path(), dir.info()), (path.as_path(), &info));
    assert_eq!(read(&dir), (vec![], 0));
    // One process dies before its first record; two share the work; names of logs do not matter.
    dir.begin_attempt(Shard::WHOLE, "a").expect("a new log");
    let (first, second) = records.split_at(3);
    let mut log = dir.begin_attempt(Shard::WHOLE, "z").expect("a new log");
    log.append(&first[..1]).expect("written");
    log.append(&[]).expect("written");
    log.append(&first[1..]).expect("written");
    let again = CampaignDir::open_or_create(&path, &info).expect("the same campaign");
    assert_eq!(read(&again), (first.to_vec(), 0));
    again.begin_attempt(Shard::WHOLE, "b").expect("a new log").append(second).expect("written");
    let opened = CampaignDir::open(&path).expect("a campaign");
    assert_eq!((opened.info(), read(&opened)), (&info, (records, 0)));

    let error = again.begin_attempt(Shard::WHOLE, "b").expect_err("each log has one writer");
    assert!(matches!(error, StoreError::Io { action: "create", .. }), "{error}");
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).expect("a folder");
    CampaignDir::open_or_create(&empty, &info).expect("an empty directory will do");
}

#[test]
fn a_line_torn_anywhere_loses_its_trial_alone_and_the_resumed_run_is_the_same() {
    let (model, data, spec) = (digits_model(), digits_images(20), campaign(SPEC));
    let (info, records) = complete(&model, &data, &spec);
    let campaign = Campaign::new(&spec, &model.network, &model.preprocessing, &data, None).expect("it fits");
    let golden = campaign.golden(&Silent);
    let (kept, last) = (lines(&records[..5]), records[5].to_line());
    for cut in 0..=last.len() {
        let (_folder, dir, _) = with_log(&info, format!("{kept}{}", &last[..cut]).as_bytes());
        let whole = cut == last.len();
        let found = read(&dir);
        assert_eq!(found.0, records[..if whole { 6 } else { 5 }], "cut at {cut}");
        assert_eq!(found.1, usize::from(cut > 0 && !whole), "cut at {cut}");

        let done = |trial: &Trial| found.0.iter().any(|record| record.trial == trial.id);
        let missing: Vec<Trial> = campaign.plan().trials().filter(|trial| !done(trial)).collect();
        let mut log = dir.begin_attempt(Shard::WHOLE, "two").expect("a new log");
        log.append(&run(&campaign, &golden, &missing)).expect("written");
        assert_eq!(read(&dir).0, records, "cut at {cut}");
    }
}

#[test]
fn damage_before_the_last_line_is_named_by_file_and_line() {
    let (info, records) = usual();
    let text = lines(&records[..3]);
    let (first, second) = (records[0].to_line().len(), records[1].to_line().len());
    for at in first..first + second - 1 {
        for mask in [1, 0x80] {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= mask;
            let (_folder, dir, log) = with_log(&info, &bytes);
            let error = dir.records().expect_err("damaged");
            let StoreError::Damaged { path, line: 2, .. } = &error else { panic!("{at}: {error}") };
            assert_eq!(*path, log);
            assert!(error.to_string().contains("one.jsonl, line 2, "), "{error}");
        }
    }
    for (text, line) in [
        (format!("\n{text}"), 1),
        (format!("{}\n{}", lines(&records[..1]), lines(&records[1..2])), 2),
        (format!("{}{{}}{}", lines(&records[..2]), lines(&records[2..4])), 3),
        (text.replacen('\n', "", 1), 1),
    ] {
        let (_folder, dir, _) = with_log(&info, text.as_bytes());
        let error = dir.records().expect_err("damaged");
        assert!(matches!(error, StoreError::Damaged { line: found, .. } if found == line), "{error}");
    }
    // In the last line it costs no more than that trial.
    for at in first + second..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] ^= 1;
        let (_folder, dir, _) = with_log(&info, &bytes);
        assert_eq!(read(&dir), (records[..2].to_vec(), 1), "at {at}");
    }
    // A checksum that holds over something that is no record.
    let json = "{\"trial\":0}";
    let sealed = format!("{{\"trial\":0,\"crc32\":\"{:08x}\"}}\n", crc32fast::hash(json.as_bytes()));
    let (_folder, dir, _) = with_log(&info, format!("{sealed}{text}").as_bytes());
    let error = dir.records().expect_err("no record");
    assert!(matches!(error, StoreError::Damaged { source: RecordError::Json(_), line: 1, .. }), "{error}");
}

#[test]
fn records_that_contradict_each_other_are_refused_and_equal_ones_count_once() {
    let (info, records) = usual();
    let (_folder, dir, _) = with_log(&info, lines(&records).as_bytes());
    let slower = TrialRecord { cpu_seconds: 9.5, ..records[4].clone() };
    let mut two = dir.begin_attempt(Shard::WHOLE, "two").expect("a new log");
    two.append(&[slower, records[0].clone()]).expect("written");
    assert_eq!(read(&dir), (records.clone(), 0));

    let mut altered = records[6].clone();
    altered.outcomes.correct ^= 1;
    two.append(&[altered]).expect("written");
    let error = dir.records().expect_err("a contradiction");
    let log = dir.path().join("shards/0001-of-1/two.jsonl");
    assert!(
        matches!(&error, StoreError::Disagree { trial: 6, path, line: 3, .. } if *path == log),
        "{error}"
    );
    assert!(error.to_string().contains("trial 6 disagree"), "{error}");
}

#[test]
fn records_that_belong_elsewhere_are_refused() {
    let (info, records) = usual();
    let other = TrialRecord { campaign: "0123456789abcdef".to_owned(), ..records[2].clone() };
    let beyond = TrialRecord { trial: 8, draw: 4, ..records[0].clone() };
    let far = TrialRecord { trial: u64::MAX, ..records[0].clone() };
    let condition = TrialRecord { condition: 0, ..records[1].clone() };
    let absent = TrialRecord { condition: usize::MAX, ..records[1].clone() };
    let draw = TrialRecord { draw: 3, ..records[1].clone() };
    for stray in [other, beyond, far, condition, absent, draw] {
        let text = format!("{}{}", lines(&records[5..]), stray.to_line());
        let (_folder, dir, log) = with_log(&info, text.as_bytes());
        let error = dir.records().expect_err("a stray record");
        let StoreError::Stray { path, line: 4, trial } = &error else { panic!("{error}") };
        assert_eq!((path, *trial), (&log, stray.trial));
    }
}

/// The error of opening the usual campaign's directory as another campaign.
fn opened_as(model: &Model, data: &Dataset, spec: &CampaignSpec) -> StoreError {
    let (info, records) = usual();
    let (_folder, dir, _) = with_log(&info, lines(&records).as_bytes());
    let (other, _) = complete(model, data, spec);
    CampaignDir::open_or_create(dir.path(), &other).expect_err("another campaign")
}

#[test]
fn another_campaign_is_refused_naming_what_differs() {
    let (model, data, spec) = (digits_model(), digits_images(20), campaign(SPEC));
    let mut parameters = model.network.tensors().clone();
    let bias = parameters.get_mut("fc2.bias").expect("a parameter");
    bias.data_mut()[3] = f32::from_bits(bias.data()[3].to_bits() ^ 1);
    let network = model.network.clone().with_parameters(parameters).expect("the same shapes");
    let weights = Model { network, ..model.clone() };
    let mut scaled = model.clone();
    scaled.preprocessing.std[0] *= 1.5;
    let relabelled = |label: u8| {
        let mut labels = data.labels().to_vec();
        labels[19] = label;
        let images = (0..20).flat_map(|i| data.image(i).to_vec()).collect();
        Dataset::new("digits", data.split(), [1, 8, 8], 10, 16, images, labels).expect("sound")
    };
    let others = [
        (opened_as(&model, &data, &CampaignSpec { seed: 12, ..spec.clone() }), "the specification"),
        (opened_as(&model, &data, &campaign(&SPEC.replace("30", "31"))), "the specification"),
        (opened_as(&model, &data, &campaign(&SPEC.replace("= 4", "= 5"))), "the specification"),
        (opened_as(&weights, &data, &spec), "the network"),
        (opened_as(&scaled, &data, &spec), "the network"),
        (opened_as(&model, &digits_images(19), &spec), "the data"),
        (opened_as(&model, &relabelled((data.labels()[19] + 1) % 10), &spec), "the data"),
        (
            opened_as(&weights, &digits_images(19), &CampaignSpec { seed: 12, ..spec.clone() }),
            "the specification and the network and the data",
        ),
    ];
    for (error, part) in others {
        assert!(matches!(&error, StoreError::Differs { differs, .. } if differs == part), "{part}: {error}");
    }
    // The same campaign elsewhere: where the model lies does not matter.
    let mut moved = spec.clone();
    moved.model.file = PathBuf::from("/elsewhere/model.safetensors");
    let (info, _) = usual();
    let (_folder, dir, _) = with_log(&info, b"");
    let (same, _) = complete(&model, &relabelled(data.labels()[19]), &moved);
    CampaignDir::open_or_create(dir.path(), &same).expect("the same campaign");

    let mut otherwise = info.clone();
    otherwise.golden[1].correct -= 1;
    let error = CampaignDir::open_or_create(dir.path(), &otherwise);
    let (found, recorded) = (otherwise.golden[1].correct, info.golden[1].correct);
    assert!(
        matches!(error, Err(StoreError::Golden { found: f, recorded: r, .. }) if (f, r) == (found, recorded))
    );
}

#[test]
fn a_directory_of_something_else_is_refused_and_left_alone() {
    let (info, _) = usual();
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("thesis.tex"), "years of work").expect("written");
    let error = CampaignDir::open_or_create(folder.path(), &info).expect_err("not empty");
    assert!(matches!(&error, StoreError::Foreign { path } if path == folder.path()), "{error}");
    let left: Vec<_> = fs::read_dir(folder.path()).expect("readable").collect();
    assert_eq!(left.len(), 1);
}

/// What opening says of a `campaign.json` of this text.
fn open_info(text: &[u8]) -> Result<CampaignDir, StoreError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("campaign.json"), text).expect("written");
    let opened = CampaignDir::open(folder.path());
    // It must never be taken for an empty directory either.
    let (info, _) = usual();
    if opened.is_err() {
        assert!(CampaignDir::open_or_create(folder.path(), &info).is_err());
        assert_eq!(fs::read(folder.path().join("campaign.json")).expect("still there"), text);
    }
    opened
}

#[test]
fn descriptions_of_other_versions_are_refused_before_they_are_read() {
    let (info, _) = usual();
    let json = serde_json::to_value(&info).expect("plain data");
    for (version, expected) in [
        (serde_json::json!(1), 1),
        (serde_json::json!(2), 2),
        (serde_json::json!(1u64 << 32 | 1), 1 << 32 | 1),
        (serde_json::json!("3"), 0),
        (serde_json::json!(null), 0),
        (serde_json::json!(-1), 0),
    ] {
        let newer = serde_json::json!({"format_version": version, "something": "else"});
        let mut older = json.clone();
        older["format_version"] = version;
        for json in [newer, older] {
            let error = open_info(json.to_string().as_bytes()).expect_err("another version");
            assert!(matches!(error, StoreError::Version { found, .. } if found == expected), "{error}");
        }
    }
}

#[test]
fn cut_or_emptied_descriptions_are_refused() {
    let (info, _) = usual();
    let (_folder, dir, _) = with_log(&info, b"");
    let json = fs::read(dir.path().join("campaign.json")).expect("readable");
    assert_eq!(open_info(&json).expect("whole").info(), &info);
    // The last two bytes are the closing brace and a line feed.
    for cut in (0..json.len() - 1).step_by(7).chain([json.len() - 2]) {
        let error = open_info(&json[..cut]).expect_err("cut");
        assert!(matches!(error, StoreError::Info { .. }), "cut at {cut}: {error}");
    }
    for text in ["null", "[]", "1", "{}", "\"campaign\""] {
        assert!(matches!(open_info(text.as_bytes()), Err(StoreError::Version { found: 0, .. })), "{text}");
    }
    let error = open_info(br#"{"format_version": 5}"#).expect_err("nothing in it");
    assert!(matches!(error, StoreError::Info { .. }), "{error}");
    assert!(error.to_string().contains("campaign.json"), "{error}");
    assert!(open_info(b"\xff\xfe").is_err());
}

#[test]
fn descriptions_that_contradict_themselves_are_refused() {
    let (info, _) = usual();
    let mut endless = info.clone();
    endless.plan.conditions[0].draws = u64::MAX;
    let mut dropped = info.clone();
    dropped.plan.conditions.pop();
    let mut swapped = info.clone();
    swapped.plan.conditions.swap(0, 1);
    let mut unswept = info.clone();
    unswept.spec.sweep.axes.clear();
    let mut empty = info.clone();
    empty.plan.conditions.clear();
    empty.golden.clear();
    for (info, part) in [
        (endless, "more trials than can be numbered"),
        (dropped, "a golden run for each"),
        (swapped, "not numbered in order"),
        (unswept, "the conditions are not those of the sweep"),
        (empty, "at least one condition"),
    ] {
        let error = open_info(&serde_json::to_vec(&info).expect("plain data")).expect_err(part);
        assert!(matches!(error, StoreError::Info { .. }) && chain(&error).contains(part), "{error}");
    }
}

#[test]
fn what_the_system_refuses_is_named() {
    let (info, _) = usual();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("written");
    for path in [file.clone(), file.join("run")] {
        let error = CampaignDir::open_or_create(&path, &info).expect_err("a file is no directory");
        assert!(matches!(error, StoreError::Io { .. }), "{error}");
        assert!(error.to_string().contains("file"), "{error}");
    }
    let dir = CampaignDir::open_or_create(&folder.path().join("run"), &info).expect("a new directory");
    fs::write(dir.path().join("shards"), "").expect("written");
    let error = dir.begin_attempt(Shard::WHOLE, "one").expect_err("shards is a file");
    assert!(matches!(error, StoreError::Io { action: "create", .. }), "{error}");
    assert!(matches!(dir.records(), Err(StoreError::Io { action: "read", .. })));
}

#[cfg(unix)]
#[test]
fn a_directory_without_permission_is_named() {
    use std::os::unix::fs::PermissionsExt;

    let (info, _) = usual();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let set = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).expect("ours");
    set(0o555);
    if fs::write(folder.path().join("probe"), "").is_ok() {
        // Straight to standard error, past the test runner, which hides what tests print.
        let _ = writeln!(std::io::stderr(), "skipped: this user may write everywhere");
        return;
    }
    let refused =
        |path: &Path| CampaignDir::open_or_create(path, &info).expect_err("no permission").to_string();
    assert!(refused(folder.path()).starts_with("cannot write "));
    assert!(refused(&folder.path().join("run")).starts_with("cannot create "));
    set(0o755);
}

#[test]
fn what_a_kill_or_another_process_leaves_is_no_obstacle() {
    let (info, _) = usual();
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Killed between the temporary file and its renaming.
    fs::write(folder.path().join(".temper-aB3x"), "{").expect("written");
    CampaignDir::open_or_create(folder.path(), &info).expect("an unfinished file is nobody's");
    // Many at once, in a folder of none of them: all get the same campaign, none is refused.
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| CampaignDir::open_or_create(folder.path(), &info).expect("the same campaign"));
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_byte_of_a_description_makes_it_panic(at: prop::sample::Index, byte: u8) {
        let (info, records) = usual();
        let mut json = serde_json::to_vec_pretty(&info).expect("plain data");
        let at = at.index(json.len());
        json[at] = byte;
        let (_folder, dir, _) = with_log(&info, lines(&records).as_bytes());
        fs::write(dir.path().join("campaign.json"), json).expect("written");
        if let Ok(dir) = CampaignDir::open(dir.path()) {
            let _ = (dir.records(), dir.info().plan.len(), dir.info().golden[0].accuracy());
        }
    }
}
