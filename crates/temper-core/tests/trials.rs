//! Plans: statistical samples, exhaustive campaigns, and stopping by precision.

pub mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use support::{Silent, bind, campaign, chain, digits_images, digits_model, networks, run};
use temper_core::campaign::{Campaign, CampaignInfo, CampaignSpec, Condition, Trial, TrialRecord};
use temper_core::data::{Dataset, Preprocessing, Split};
use temper_core::fault::{Damage, FaultSite};
use temper_core::network::zoo::{Architecture, Family};
use temper_core::network::{GraphDescription, Model};
use temper_core::statistics::{Decision, Guard};

fn black(shape: [usize; 3], classes: usize) -> Dataset {
    Dataset::new("black", Split::Test, shape, classes, 255, vec![0; shape.iter().product()], vec![0])
        .expect("sound")
}

/// ResNet-20's convolutions and linear layer have 268 336 weights (Ruospo et al., DATE 2023, and others): with 32 bits, each stuck at
/// 0 or 1, 17 173 504 faults.
#[test]
fn a_sample_of_resnet_20_has_its_published_size() {
    let network = Architecture::new(Family::CifarResnet(20)).build().expect("a sound architecture");
    let model = Model { network, preprocessing: Preprocessing::default() };
    let data = black([3, 32, 32], 10);
    let toml = "trials.statistical = { margin = 0.01, confidence = 0.99 }\n[[fault]]\nmodel = 'stuck-at'";
    let bound = bind(&campaign(toml), &model, &data).expect("it fits");
    let [condition] = bound.plan().conditions.as_slice() else { panic!("one condition") };
    assert_eq!((condition.sites, condition.draws), (17_173_504, 16_625));
    assert_eq!((bound.plan().len(), bound.plan().trials().count()), (16_625, 16_625));
    // A flip is one fault a bit; layer by layer the sample is larger, and never more than there are.
    let toml = "trials.statistical = { margin = 0.01, confidence = 0.99 }\nsweep.layer = 'each'\n[[fault]]\nmodel = 'bit-flip'";
    let bound = bind(&campaign(toml), &model, &data).expect("it fits");
    assert_eq!(bound.plan().conditions.len(), 20);
    assert_eq!(bound.plan().conditions.iter().map(|condition| condition.sites).sum::<u64>(), 268_336 * 32);
    for condition in &bound.plan().conditions {
        let n = condition.sites as f64;
        let expected = (n / (1.0 + 1e-4 * (n - 1.0) / (2.58f64.powi(2) * 0.25))).ceil() as u64;
        assert_eq!(condition.draws, expected, "{}", condition.label());
    }
    // Conditions of different size: the numbers of the shorter ones are left out, and the order is that of the draws.
    let trials: Vec<Trial> = bound.plan().trials().collect();
    assert_eq!(trials.len() as u64, bound.plan().len());
    assert!(trials.is_sorted_by(|a, b| a.id < b.id));
    assert!(trials.iter().all(|trial| bound.plan().find(trial.id) == Some(*trial)
        && trial.id == trial.draw * 20 + trial.condition as u64));
}

/// Two inputs, three classes.
fn tiny() -> Model {
    let graph = r#"{"input": [1, 1, 2], "node": [{"name": "flat", "op": {"kind": "flatten"}},
        {"name": "fc", "op": {"kind": "linear", "in_features": 2, "out_features": 3}}]}"#;
    let graph: GraphDescription = serde_json::from_str(graph).expect("valid JSON");
    let network = networks::randomised(graph.build().expect("a sound network"), 3);
    Model { network, preprocessing: Preprocessing::default() }
}

fn pixels() -> Dataset {
    let images: Vec<u8> = (0..20u8).map(|i| i.wrapping_mul(97)).collect();
    Dataset::new("pixels", Split::Test, [1, 1, 2], 3, 255, images, (0..10).map(|i| i % 3).collect())
        .expect("sound")
}

#[test]
fn an_exhaustive_campaign_visits_every_site_once_in_order() {
    let (model, data) = (tiny(), pixels());
    for (fault, sites) in [
        ("model = 'bit-flip'", 6 * 32),
        ("model = 'stuck-at'\nformat = 'int8'", 6 * 16),
        ("model = 'bit-flip'\nformat = 'f16'\nbits = 'exponent'\nshape = 'row'", 3 * 5),
        ("model = 'zeroing'\nshape = 'column'\ncount = 1", 2),
        ("model = 'bit-flip'\ntarget = 'activation'", 3 * 32),
        ("model = 'sign-reversal'\nburst_words = 4", 3),
    ] {
        let bound = bind(&campaign(&format!("trials.exhaustive = true\n[[fault]]\n{fault}")), &model, &data)
            .unwrap_or_else(|error| panic!("{fault}: {}", chain(&error)));
        let plan = bound.plan();
        assert_eq!((plan.conditions[0].sites, plan.len()), (sites, sites), "{fault}");
        let place = |site: &FaultSite| {
            let (bit, polarity) = match site.damage {
                Damage::Flip(mask) | Damage::StuckAt0(mask) => (mask, 0),
                Damage::StuckAt1(mask) => (mask, 1),
                _ => (0, 0),
            };
            (site.start, bit, polarity)
        };
        let visited: Vec<_> = plan
            .trials()
            .map(|trial| match bound.permanent_sites(trial).as_slice() {
                [site] => place(site),
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(visited.is_sorted(), "{fault}: {visited:?}");
        assert_eq!(visited.iter().collect::<BTreeSet<_>>().len() as u64, sites, "{fault}: each once");
        let trials: Vec<Trial> = plan.trials().collect();
        let records = run(&bound, &bound.golden(&Silent), &trials);
        assert!(records.iter().all(|record| record.faults == 1 && record.outcomes.images == 10));
    }
}

#[test]
fn what_cannot_be_gone_through_one_by_one_is_refused() {
    let (model, data) = (tiny(), pixels());
    let refused = |toml: &str| chain(&bind(&campaign(toml), &model, &data).expect_err(toml));
    for trials in ["exhaustive = true", "statistical = { margin = 0.1, confidence = 0.9 }"] {
        for (fault, expected) in [
            (
                "[[fault]]\nmodel = 'gaussian'\nsigma = 1",
                "fault 1: model: the faults of gaussian cannot be counted; give [trials] count",
            ),
            (
                "[[fault]]\nmodel = 'random-word'",
                "fault 1: model: the faults of random-word cannot be counted",
            ),
            (
                "[[fault]]\nmodel = 'bit-flip'\ncount = 2",
                "fault 1: count: a statistical or exhaustive campaign strikes one site a trial; leave count out",
            ),
            (
                "[[fault]]\nmodel = 'bit-flip'\nbit_error_rate = 0.1",
                "fault 1: count: a statistical or exhaustive campaign strikes one site a trial; leave bit_error_rate out",
            ),
            (
                "[[fault]]\nmodel = 'bit-flip'\n[[fault]]\nmodel = 'zeroing'",
                "[trials]: a statistical or exhaustive campaign strikes one site a trial: expected one [[fault]]",
            ),
            (
                "[[fault]]\nmodel = 'zeroing'\nburst_words = 7",
                "fault 1: burst_words: no tensor chosen holds 7 values in a row",
            ),
            (
                "[[fault]]\nmodel = 'zeroing'\nlifetime = 'transient'",
                "fault 1: lifetime: a statistical or exhaustive campaign strikes every image at the site of its trial",
            ),
        ] {
            let message = refused(&format!("trials.{trials}\n{fault}"));
            assert!(message.starts_with(expected), "{fault}: {message}");
        }
    }
}

const PRECISE: &str = "[trials.precision]\nhalf_width = 0.05\nmin = 4\nmax = 60\nguard = 'equal-draws'\nCONFIDENCE\n[[fault]]\nmodel = 'bit-flip'\nbits = 'exponent'";

/// Runs what is pending, at most `block` trials at a time in the order that `shuffle` makes of them, until nothing is.
fn until_precise(
    spec: &CampaignSpec,
    campaign: &Campaign<'_>,
    block: usize,
    threads: usize,
    backwards: bool,
) -> BTreeMap<u64, TrialRecord> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
    pool.install(|| {
        let golden = campaign.golden(&Silent);
        let info = CampaignInfo::new(campaign, spec, Path::new(""), &golden);
        let mut records = BTreeMap::new();
        loop {
            let mut pending: Vec<Trial> = info.schedule(&records).pending().collect();
            if backwards {
                pending.reverse();
            }
            pending.truncate(block);
            if pending.is_empty() {
                return records;
            }
            records.extend(run(campaign, &golden, &pending).into_iter().map(|record| (record.trial, record)));
        }
    })
}

/// The draws of each condition that count: those up to the look at which its rule stops.
fn counted(info: &CampaignInfo, records: &BTreeMap<u64, TrialRecord>) -> Vec<(usize, bool)> {
    let decide = |condition: &Condition| {
        let rule = info.stopping_rule(condition, records).expect("valid").expect("by precision");
        match rule.decide(&info.accuracies(condition, records)) {
            Ok(Decision::Stop { estimate, is_precise }) => (estimate.draws, is_precise),
            other => panic!("{other:?}"),
        }
    };
    info.plan.conditions.iter().map(decide).collect()
}

#[test]
fn stopping_by_precision_depends_on_nothing_but_the_draws() {
    let (model, data) = (digits_model(), digits_images(60));
    let toml =
        format!("sweep.count = [0, 1, 40, 400]\n{}", PRECISE.replace("CONFIDENCE", "confidence = 0.9"));
    let spec = campaign(&toml);
    let bound = bind(&spec, &model, &data).expect("it fits");
    assert_eq!(
        (bound.plan().len(), bound.plan().precision.map(|precision| precision.guard)),
        (240, Some(Guard::EqualDraws))
    );
    let golden = bound.golden(&Silent);
    let info = CampaignInfo::new(&bound, &spec, Path::new(""), &golden);
    assert_eq!(info.schedule(&BTreeMap::new()).pending().count(), 16, "up to the first look");
    let expected = until_precise(&spec, &bound, usize::MAX, 1, false);
    let stops = counted(&info, &expected);
    println!("{stops:?}");
    // The conditions end at different looks, and what was run is what counts.
    assert!(stops.iter().collect::<BTreeSet<_>>().len() > 1, "{stops:?}");
    assert_eq!(expected.len(), stops.iter().map(|(draws, _)| draws).sum::<usize>());
    for (block, threads, backwards) in [(usize::MAX, 3, true), (7, 2, false), (5, 5, true), (1, 1, false)] {
        let found = until_precise(&spec, &bound, block, threads, backwards);
        assert!(found == expected, "blocks of {block}, {threads} threads, backwards: {backwards}");
    }
    // Draws beyond the look, made by another machine meanwhile, change nothing.
    let all: Vec<Trial> = bound.plan().trials().collect();
    let everything: BTreeMap<u64, TrialRecord> =
        run(&bound, &golden, &all).into_iter().map(|record| (record.trial, record)).collect();
    assert_eq!(counted(&info, &everything), stops);
    assert_eq!(info.schedule(&everything).pending().count(), 0);
    // A hole is filled before anything is decided.
    let mut holed = everything.clone();
    holed.remove(&5);
    assert_eq!(info.schedule(&holed).pending().map(|trial| trial.id).collect::<Vec<_>>(), [5]);
}

#[test]
fn pending_is_what_is_missing() {
    let (model, data) = (tiny(), pixels());
    let spec = campaign("trials.count = 5\nsweep.count = [1, 2]\n[[fault]]\nmodel = 'bit-flip'");
    let bound = bind(&spec, &model, &data).expect("it fits");
    let trials: Vec<Trial> = bound.plan().trials().collect();
    let golden = bound.golden(&Silent);
    let info = CampaignInfo::new(&bound, &spec, Path::new(""), &golden);
    let done: Vec<Trial> = trials.iter().filter(|trial| trial.id % 3 == 1).copied().collect();
    let records: BTreeMap<u64, TrialRecord> =
        run(&bound, &golden, &done).into_iter().map(|record| (record.trial, record)).collect();
    let pending: Vec<Trial> = info.schedule(&records).pending().collect();
    assert_eq!(pending, trials.iter().filter(|trial| trial.id % 3 != 1).copied().collect::<Vec<_>>());
    assert_eq!(info.schedule(&BTreeMap::new()).pending().collect::<Vec<_>>(), trials);
    assert_eq!(info.schedule(&records).missing(), pending.len() as u64);
    // What could go on for ever is not gone through.
    let endless = campaign(
        "[trials.precision]\nhalf_width = 0.5\nmin = 2\nmax = 1000000000000\n[[fault]]\nmodel = 'bit-flip'\ncount = 1",
    );
    let bound = bind(&endless, &model, &data).expect("it fits");
    let endless = CampaignInfo::new(&bound, &endless, Path::new(""), &golden);
    assert_eq!(endless.schedule(&BTreeMap::new()).pending().count(), 2, "up to the first look");
    assert_eq!(endless.schedule(&BTreeMap::new()).missing(), 2);
    // Accuracies are counted up to the first gap: draws 0 to 4 of condition 0 are the trials 0, 2, 4, …
    assert_eq!(info.accuracies(&info.plan.conditions[1], &records).len(), 1);
}
