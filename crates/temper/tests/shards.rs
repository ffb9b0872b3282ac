//! Campaigns cut into shards, merged and exported, through the program.

pub mod support;

use std::fs;
use std::path::{Path, PathBuf};

use support::{CAMPAIGN, Run, start, temper, write_campaign};
use temper_core::campaign::TrialRecord;

/// A folder with a specification, and the paths in it.
struct Place {
    folder: tempfile::TempDir,
    spec: String,
}

impl Place {
    fn new(spec: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let spec = write_campaign(folder.path(), "campaign.toml", spec);
        Self { folder, spec }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    /// Runs a shard into a folder.
    fn run(&self, shard: &str, output: &str) -> Run {
        let run = temper(&["campaign", "run", &self.spec, "-o", &self.path(output), "--shard", shard]);
        assert_eq!(run.code, 0, "{}", run.err);
        run
    }

    fn merge(&self, dirs: &[&str], output: &str) -> Run {
        let dirs: Vec<String> = dirs.iter().map(|dir| self.path(dir)).collect();
        let mut arguments = vec!["campaign", "merge"];
        arguments.extend(dirs.iter().map(String::as_str));
        let output = self.path(output);
        arguments.extend(["-o", &output]);
        temper(&arguments)
    }

    /// The records of a folder in every form.
    fn exports(&self, dir: &str) -> Vec<Vec<u8>> {
        let export = |format: &str| {
            let file = self.path(&format!("{dir}.{format}"));
            let run = temper(&["campaign", "export", &self.path(dir), "--format", format, "-o", &file]);
            assert_eq!((run.code, run.out.as_str()), (0, ""), "{}", run.err);
            fs::read(file).expect("written")
        };
        ["csv", "json", "parquet"].map(export).to_vec()
    }
}

/// All logs of a campaign's folder.
fn logs(dir: &str) -> Vec<PathBuf> {
    let entries =
        |path: &Path| fs::read_dir(path).expect("a folder").map(|entry| entry.expect("readable").path());
    entries(&Path::new(dir).join("shards")).flat_map(|shard| entries(&shard).collect::<Vec<_>>()).collect()
}

#[test]
fn sharded_merged_resumed_and_single_runs_export_the_same_bytes() {
    let place = Place::new(CAMPAIGN);
    place.run("1/1", "single");
    let expected = place.exports("single");
    assert_eq!(temper(&["campaign", "export", &place.path("single")]).out.as_bytes(), expected[0]);

    // On three machines, in three folders.
    for k in 1..=3 {
        let run = place.run(&format!("{k}/3"), &format!("machine{k}"));
        assert!(run.out.contains("4 of 12 trials recorded"), "{}", run.out);
        let log = logs(&place.path(&format!("machine{k}")));
        assert!(log[0].parent().expect("a shard").ends_with(format!("000{k}-of-3")), "{log:?}");
    }
    let merged = place.merge(&["machine3", "machine1", "machine2"], "merged");
    assert_eq!(merged.code, 0, "{}", merged.err);
    assert_eq!(merged.out, temper(&["campaign", "status", &place.path("single")]).out);
    assert_eq!(place.exports("merged"), expected);

    // In one folder, begun in three shards and finished in two, then run again with nothing left to do.
    place.run("2/3", "shared");
    for shard in ["2/2", "1/2", "1/1"] {
        place.run(shard, "shared");
    }
    assert_eq!(place.exports("shared"), expected);
    assert_eq!(logs(&place.path("shared")).len(), 3);

    // Merged before it is finished, and finished there.
    let part = place.merge(&["machine1", "machine3"], "part");
    assert!(part.err.contains("4 of 12 trials are in none of these folders"), "{}", part.err);
    assert!(place.run("1/1", "part").err.contains("8 of 12 trials are recorded already"));
    assert_eq!(place.exports("part"), expected);
}

#[test]
fn two_processes_on_one_shard_do_no_harm() {
    let place =
        Place::new(&CAMPAIGN.replace("count = 4", "count = 200").replace("limit = 100", "limit = 300"));
    place.run("1/1", "single");
    let output = place.path("both");
    let arguments = ["campaign", "run", &place.spec, "-o", &output, "--shard", "1/2", "--threads", "1"];
    let both = [start(&arguments), start(&arguments)];
    for mut child in both {
        assert!(child.wait().expect("ended").success());
    }
    assert_eq!(logs(&output).len(), 2, "both ran");
    place.run("2/2", "other");
    let merged = place.merge(&["both", "other"], "merged");
    assert_eq!(merged.code, 0, "{}", merged.err);
    assert_eq!(place.exports("merged"), place.exports("single"));
    let log = fs::read_to_string(&logs(&place.path("merged"))[0]).expect("the merged log");
    assert_eq!(log.lines().count(), 600);
}

#[test]
fn an_altered_duplicate_makes_merge_and_status_fail_naming_the_trial() {
    let place = Place::new(CAMPAIGN);
    place.run("1/1", "one");
    place.run("1/1", "two");
    let log = &logs(&place.path("two"))[0];
    let text = fs::read_to_string(log).expect("a log");
    let altered: String = text
        .lines()
        .map(|line| {
            let mut record = TrialRecord::from_line(line).expect("a record");
            record.outcomes.correct += u64::from(record.trial == 5);
            record.to_line()
        })
        .collect();
    fs::write(log, altered).expect("written");
    let check = |run: Run, first: &str, second: &str| {
        assert_eq!((run.code, run.out.as_str()), (3, ""), "{}", run.err);
        for part in ["two records of trial 5 disagree", first, second, ", line 6"] {
            assert!(run.err.contains(part), "{part}: {}", run.err);
        }
    };
    check(place.merge(&["one", "two"], "merged"), "one/shards", "two/shards");
    assert!(!Path::new(&place.path("merged")).exists());
    fs::copy(log, logs(&place.path("one"))[0].with_file_name("zzz.jsonl")).expect("copied");
    for command in ["status", "export"] {
        check(temper(&["campaign", command, &place.path("one")]), "0001-of-1", "zzz.jsonl");
    }
    check(temper(&["campaign", "run", &place.spec, "-o", &place.path("one")]), "0001-of-1", "zzz.jsonl");
}

#[test]
fn other_campaigns_are_not_merged_and_outputs_not_overwritten() {
    let place = Place::new(CAMPAIGN);
    place.run("1/1", "one");
    let other = write_campaign(place.folder.path(), "other.toml", &CAMPAIGN.replace("seed = 1", "seed = 2"));
    assert_eq!(temper(&["campaign", "run", &other, "-o", &place.path("other")]).code, 0);
    let refused = |run: Run, mentions: &[&str]| {
        assert_eq!((run.code, run.out.as_str()), (3, ""), "{}", run.err);
        for mention in mentions {
            assert!(run.err.contains(mention), "{mention}: {}", run.err);
        }
    };
    refused(place.merge(&["one", "other"], "out"), &["the specification", &place.path("other")]);
    refused(place.merge(&["one", "nowhere"], "out"), &["nowhere holds no campaign"]);
    assert!(!Path::new(&place.path("out")).exists());
    refused(place.merge(&["one"], "other"), &["other is not empty"]);
    assert_eq!(temper(&["campaign", "merge", "-o", "x"]).code, 2);
}

#[test]
fn bad_shards_and_parquet_to_standard_output_are_usage_errors() {
    let usage = |arguments: &[&str], mention: &str| {
        let run = temper(arguments);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{}", run.err);
        assert!(run.err.contains(mention), "{mention}: {}", run.err);
    };
    for (shard, mention) in [
        ("0/3", "numbered 1 to 3"),
        ("4/3", "numbered 1 to 3"),
        ("1/0", "1 to 10000"),
        ("x", "k/n"),
        ("1/2/3", "k/n"),
    ] {
        usage(&["campaign", "run", "spec.toml", "-o", "x", "--shard", shard], mention);
    }
    usage(&["campaign", "export", "x", "--format", "parquet"], "--output");
}
