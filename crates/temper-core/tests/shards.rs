//! A plan cut into shards: how they are written, what each holds, and how even they are.

use std::collections::BTreeMap;

use proptest::prelude::*;
use temper_core::campaign::{Condition, DrawImages, Plan, Shard, ShardError, Trial};
use temper_core::statistics::ByMargin;

fn plan(conditions: usize, draws: u64) -> Plan {
    let condition = |id| Condition { id, swept: Vec::new(), sites: draws, draws };
    Plan {
        conditions: (0..conditions).map(condition).collect(),
        precision: None,
        images: 1,
        draw_images: DrawImages::All,
        image_macs: 1,
    }
}

fn shards(of: u32) -> impl Iterator<Item = Shard> {
    (1..=of).map(move |index| Shard::new(index, of).expect("a shard"))
}

#[test]
fn shards_are_written_k_of_n() {
    for (text, index, of) in [("1/1", 1, 1), ("2/3", 2, 3), ("10000/10000", 10_000, 10_000), ("007/8", 7, 8)]
    {
        let shard: Shard = text.parse().expect(text);
        assert_eq!((shard.index(), shard.of()), (index, of));
        assert_eq!(shard.to_string(), format!("{index}/{of}"));
        assert_eq!(shard.to_string().parse(), Ok(shard));
    }
    assert_eq!("1/1".parse(), Ok(Shard::WHOLE));
}

#[test]
fn what_is_no_shard_is_refused_saying_why() {
    let refused = |text: &str| text.parse::<Shard>().expect_err(text);
    assert_eq!(refused("0/3"), ShardError::Index { found: 0, of: 3 });
    assert_eq!(refused("4/3"), ShardError::Index { found: 4, of: 3 });
    assert_eq!(refused("1/0"), ShardError::Count { found: 0 });
    assert_eq!(refused("0/0"), ShardError::Count { found: 0 });
    assert_eq!(refused("1/10001"), ShardError::Count { found: 10_001 });
    for text in [
        "",
        "x",
        "1",
        "/",
        "1/",
        "/3",
        "1/2/3",
        "-1/3",
        "+1/3",
        "1/+3",
        " 1/3",
        "1 /3",
        "1.0/3",
        "1/4294967296",
    ] {
        assert_eq!(refused(text), ShardError::Form { found: text.to_owned() });
    }
    assert_eq!(refused("4/3").to_string(), "the shards of 3 are numbered 1 to 3; found 4");
    assert!(refused("x").to_string().contains("k/n"));
}

#[test]
fn a_small_plan_is_dealt_as_by_hand() {
    // Draws of condition 0 go to shards 1 2 3 1, those of condition 1 to 2 3 1 2; trials are numbered draw by draw.
    let held = |index| -> Vec<u64> {
        Shard::new(index, 3).expect("a shard").trials(&plan(2, 4)).map(|trial| trial.id).collect()
    };
    assert_eq!([held(1), held(2), held(3)], [vec![0, 5, 6], vec![1, 2, 7], vec![3, 4]]);
}

#[test]
fn a_plan_too_long_to_list_begins_at_once() {
    let first = Shard::WHOLE.trials(&plan(3, u64::MAX / 3)).nth(4);
    assert_eq!(first, Some(Trial { id: 4, condition: 1, draw: 1, images: ByMargin { near: 1, far: 0 } }));
}

/// The least and the most of some counts.
fn span(counts: impl Iterator<Item = u64> + Clone) -> u64 {
    counts.clone().max().unwrap_or(0) - counts.min().unwrap_or(0)
}

fn check_even(conditions: usize, draws: u64, of: u32) {
    let plan = plan(conditions, draws);
    let held: Vec<Vec<Trial>> = shards(of).map(|shard| shard.trials(&plan).collect()).collect();
    let what = format!("{conditions} conditions of {draws} draws in {of} shards");
    assert!(held.iter().all(|trials| trials.is_sorted_by_key(|trial| trial.id)), "{what}");
    let mut all: Vec<Trial> = held.iter().flatten().copied().collect();
    all.sort_by_key(|trial| trial.id);
    assert!(all.into_iter().eq(plan.trials()), "each trial once: {what}");
    assert!(span(held.iter().map(|trials| trials.len() as u64)) <= 1, "in all: {what}");
    for condition in 0..conditions {
        let of_condition =
            |trials: &Vec<Trial>| trials.iter().filter(|trial| trial.condition == condition).count() as u64;
        assert!(span(held.iter().map(of_condition)) <= 1, "condition {condition}: {what}");
    }
}

#[test]
fn every_small_plan_is_cut_evenly_in_all_and_under_each_condition() {
    for conditions in 1..=8 {
        for draws in 1..=12 {
            for of in 1..=13 {
                check_even(conditions, draws, of);
            }
        }
    }
}

#[test]
fn a_stopped_shard_has_nearly_equally_many_draws_of_each_condition() {
    let plan = plan(6, 200);
    for shard in shards(4) {
        let mut done = BTreeMap::new();
        for trial in shard.trials(&plan) {
            *done.entry(trial.condition).or_insert(0) += 1;
            assert!(done.len() < 6 || span(done.values().copied()) <= 2, "{shard} after {trial:?}: {done:?}");
        }
    }
}

proptest! {
    #[test]
    fn plans_are_cut_evenly(conditions in 1usize..40, draws in 1u64..60, of in 1u32..100) {
        check_even(conditions, draws, of);
    }

    #[test]
    fn no_text_makes_a_shard_out_of_range(text in "[0-9]{0,6}/?[0-9]{0,6}|.*") {
        if let Ok(shard) = text.parse::<Shard>() {
            prop_assert!(1 <= shard.index() && shard.index() <= shard.of() && shard.of() <= 10_000);
        }
    }
}
