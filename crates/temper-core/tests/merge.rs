//! Directories of one campaign merged into one, and every reason to refuse.

pub mod support;

use std::fs;
use std::path::Path;

use support::directory::{SPEC, complete, lines, usual, with_logs};
use support::{campaign, digits_images, digits_model};
use temper_core::campaign::{CampaignDir, Shard, StoreError, TrialRecord};

/// The only log of a merged directory.
fn merged_log(path: &Path) -> String {
    fs::read_to_string(path.join("shards/merged/records.jsonl")).expect("a merged log")
}

/// The names in a folder.
fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).expect("readable");
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<String> = entries.map(|entry| name(entry.expect("readable"))).collect();
    names.sort();
    names
}

#[test]
fn shards_in_any_order_and_cut_give_the_same_bytes_as_one_run() {
    let (info, records) = usual();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    let (whole, _) = with_logs(&path("whole"), &info, &[&lines(&records)]);
    let mut parts = Vec::new();
    for index in 1..=3 {
        let shard = Shard::new(index, 3).expect("a shard");
        let dir = CampaignDir::open_or_create(&path(&index.to_string()), &info).expect("a new directory");
        let held: Vec<TrialRecord> =
            shard.trials(&info.plan).map(|trial| records[trial.id as usize].clone()).collect();
        dir.begin_attempt(shard, "host-1-1").expect("a new log").append(&held).expect("written");
        assert!(dir.path().join(format!("shards/000{index}-of-3/host-1-1.jsonl")).is_file());
        parts.push(dir);
    }
    let (one, found) = whole.merge(&[], &path("one")).expect("merged");
    assert_eq!((one.path(), one.info(), found.torn), (path("one").as_path(), &info, 0));
    assert_eq!(merged_log(one.path()), lines(&records));
    let [a, b, c] = parts.as_slice() else { panic!("three shards") };
    for (i, (first, others)) in [(a, [b, c]), (c, [b, a]), (b, [b, &whole])].into_iter().enumerate() {
        let output = folder.path().join(format!("deep/er/{i}"));
        let others: Vec<CampaignDir> = others.into_iter().cloned().collect();
        let (dir, found) = first.merge(&others, &output).expect("merged");
        assert_eq!(found.by_trial.len(), records.len());
        assert_eq!(merged_log(&output), lines(&records));
        let description = |path: &Path| fs::read(path.join("campaign.json")).expect("a description");
        assert_eq!(description(&output), description(one.path()));
        let opened = CampaignDir::open(&output).expect("a campaign");
        assert_eq!(opened.records().expect("sound"), dir.records().expect("sound"));
    }
    // Merging what is merged changes nothing, and an unfinished merge can be run further.
    let (some, found) = a.merge(std::slice::from_ref(c), &path("some")).expect("merged");
    assert_eq!(found.by_trial.len(), 5);
    some.begin_attempt(Shard::WHOLE, "rest").expect("a new log").append(&records).expect("written");
    some.merge(&[one], &path("again")).expect("merged");
    assert_eq!(merged_log(&path("again")), lines(&records));
    assert_eq!(names(&path("again")), ["campaign.json", "shards"]);
    assert!(names(folder.path()).iter().all(|name| !name.starts_with('.')), "nothing unfinished is left");
}

#[test]
fn of_equal_records_the_quickest_is_kept_whatever_their_order() {
    let (info, records) = usual();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let took = |seconds: [f64; 8]| -> String {
        let timed =
            |(record, cpu_seconds): (&TrialRecord, f64)| TrialRecord { cpu_seconds, ..record.clone() };
        records.iter().zip(seconds).map(|record| timed(record).to_line()).collect()
    };
    let first = took([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    let second = took([8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]);
    let (one, _) = with_logs(&folder.path().join("one"), &info, &[&first]);
    let (two, _) = with_logs(&folder.path().join("two"), &info, &[&second, &first]);
    for (name, first, second) in [("a", &one, &two), ("b", &two, &one)] {
        let output = folder.path().join(name);
        first.merge(std::slice::from_ref(second), &output).expect("merged");
        assert_eq!(merged_log(&output), took([1.0, 2.0, 3.0, 4.0, 4.0, 3.0, 2.0, 1.0]));
    }
}

#[test]
fn two_records_that_disagree_are_named_with_both_files_and_lines() {
    let (info, records) = usual();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut altered = records[6].clone();
    altered.outcomes.correct ^= 1;
    let (one, logs) = with_logs(&folder.path().join("one"), &info, &["", &lines(&records)]);
    let (two, others) =
        with_logs(&folder.path().join("two"), &info, &[&lines(&[records[2].clone(), altered])]);
    // Each alone is sound.
    assert!(one.records().is_ok() && two.records().is_ok());
    let output = folder.path().join("out");
    let error = one.merge(&[two], &output).expect_err("they disagree");
    let StoreError::Disagree { trial: 6, first_path, first_line: 7, path, line: 2 } = &error else {
        panic!("{error}")
    };
    assert_eq!((first_path, path), (&logs[1], &others[0]));
    let text = error.to_string();
    for part in ["trial 6", "one/shards/0001-of-1/1.jsonl, line 7", "two/shards/0001-of-1/0.jsonl, line 2"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(names(folder.path()), ["one", "two"], "nothing is made");
}

#[test]
fn directories_of_different_campaigns_are_refused_naming_the_part() {
    let (info, records) = usual();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (one, _) = with_logs(&folder.path().join("one"), &info, &[&lines(&records)]);
    let (same, _) = with_logs(&folder.path().join("same"), &info, &[]);
    let seeded = complete(&digits_model(), &digits_images(20), &campaign(&SPEC.replace("30", "31"))).0;
    let fewer = complete(&digits_model(), &digits_images(19), &campaign(SPEC)).0;
    let mut golden = info.clone();
    golden.golden[0].correct -= 1;
    for (i, (other, part)) in
        [(seeded, "the specification"), (fewer, "the data and the golden run"), (golden, "the golden run")]
            .into_iter()
            .enumerate()
    {
        let (other, _) = with_logs(&folder.path().join(format!("other{i}")), &other, &[]);
        let path = other.path().to_owned();
        let error =
            one.merge(&[same.clone(), other], &folder.path().join("out")).expect_err("another campaign");
        let StoreError::Mixed { path: named, first, differs } = &error else { panic!("{error}") };
        assert_eq!((named, first.as_path()), (&path, one.path()));
        assert_eq!(differs, part);
    }
    // A log that was copied from another campaign.
    let stray = TrialRecord { campaign: "0123456789abcdef".to_owned(), ..records[0].clone() };
    let (mixed, _) = with_logs(&folder.path().join("mixed"), &info, &[&stray.to_line()]);
    let error = one.merge(&[mixed], &folder.path().join("out")).expect_err("a stray log");
    assert!(matches!(error, StoreError::Stray { line: 1, trial: 0, .. }), "{error}");
    assert!(!folder.path().join("out").exists());
}

#[test]
fn an_output_that_exists_is_refused_and_left_alone() {
    let (info, records) = usual();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (one, _) = with_logs(&folder.path().join("one"), &info, &[&lines(&records)]);
    let error = one.merge(&[], one.path()).expect_err("its own directory");
    assert!(matches!(&error, StoreError::Occupied { path } if path == one.path()), "{error}");
    let file = folder.path().join("file");
    fs::write(&file, "years of work").expect("written");
    for output in [file.clone(), file.join("out")] {
        let error = one.merge(&[], &output).expect_err("a file");
        assert!(matches!(error, StoreError::Io { .. }), "{error}");
    }
    assert_eq!(fs::read_to_string(&file).expect("still there"), "years of work");
    assert_eq!(names(folder.path()), ["file", "one"]);
}

#[cfg(unix)]
#[test]
fn an_empty_folder_becomes_the_output() {
    let (info, records) = usual();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (one, _) = with_logs(&folder.path().join("one"), &info, &[&lines(&records)]);
    let output = folder.path().join("empty");
    fs::create_dir(&output).expect("made");
    one.merge(&[], &output).expect("merged");
    assert_eq!(merged_log(&output), lines(&records));
}

#[test]
fn empty_torn_damaged_and_foreign_files_are_told_apart() {
    let (info, records) = usual();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = lines(&records);
    let torn = &text[..text.len() - 9];
    let (dir, logs) = with_logs(&folder.path().join("one"), &info, &["", torn, "\0\0\0\0"]);
    // What an editor, a network disk, a file manager or an unfinished copy leaves is not read.
    for name in [".nfs0001.jsonl", ".temper-aB3x", "records.jsonl.part", "notes.txt"] {
        fs::write(logs[0].with_file_name(name), "not a record\nat all\n").expect("written");
    }
    fs::write(dir.path().join("shards/.DS_Store"), "").expect("written");
    let (merged, found) = dir.merge(&[], &folder.path().join("out")).expect("merged");
    assert_eq!((found.by_trial.len(), found.torn), (7, 2));
    assert_eq!(merged_log(merged.path()), lines(&records[..7]));

    fs::write(&logs[2], format!("\0\0\0\n{text}")).expect("written");
    let error = dir.merge(&[merged], &folder.path().join("out2")).expect_err("damaged");
    assert!(matches!(&error, StoreError::Damaged { path, line: 1, .. } if *path == logs[2]), "{error}");
    assert!(!folder.path().join("out2").exists());
}
