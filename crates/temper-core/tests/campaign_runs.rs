//! Running campaigns: records do not depend on threads, order, company or interruption; blocks, plans, observers, and what is
//! refused before anything runs.

pub mod support;

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::{Silent, bind, campaign, chain, digits_images, digits_model, run};
use temper_core::analysis::{SummaryOptions, summarise};
use temper_core::campaign::{
    Campaign, CampaignError, CampaignInfo, CampaignSpec, Condition, Observer, Outcomes, RunError, RunOptions,
    Swept, SweptValue, Trial, TrialRecord,
};
use temper_core::data::{Dataset, Split};
use temper_core::network::Model;
use temper_core::network::zoo::{Architecture, Family};
use temper_core::statistics::ByMargin;

/// Three conditions of faults in every layer, of very different cost and outcome.
const SWEPT: &str = "trials.count = 40\nsweep.count = [0, 2, 60]\n[[fault]]\nmodel = 'bit-flip'";

#[test]
fn records_are_the_same_for_any_number_of_threads() {
    let (model, data, spec) = (digits_model(), digits_images(60), campaign(SWEPT));
    let campaign = bind(&spec, &model, &data).expect("it fits");
    let trials: Vec<Trial> = campaign.plan().trials().collect();
    let run_on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| {
            let golden = campaign.golden(&Silent);
            let logits = campaign.golden_logits(&golden, 0).to_vec();
            (logits, campaign.golden_correct(&golden, 0), run(&campaign, &golden, &trials))
        })
    };
    let expected = run_on(1);
    assert_eq!(expected.2.len(), 120);
    for threads in [2, 3, 5] {
        assert!(run_on(threads) == expected, "{threads} threads");
    }
}

#[test]
fn records_are_the_same_in_any_order_and_company_and_after_a_restart() {
    let (model, data, spec) = (digits_model(), digits_images(40), campaign(SWEPT));
    let campaign = bind(&spec, &model, &data).expect("it fits");
    let golden = campaign.golden(&Silent);
    let trials: Vec<Trial> = campaign.plan().trials().collect();
    let expected = run(&campaign, &golden, &trials);

    let backwards: Vec<Trial> = trials.iter().rev().copied().collect();
    let found = run(&campaign, &golden, &backwards);
    assert!(found.iter().rev().eq(&expected), "backwards, in the order they were given");

    let third: Vec<Trial> = trials.iter().skip(1).step_by(3).copied().collect();
    assert!(run(&campaign, &golden, &third).iter().eq(expected.iter().skip(1).step_by(3)));
    for at in [0, 1, 59, 119] {
        assert_eq!(run(&campaign, &golden, &trials[at..=at]), expected[at..=at], "trial {at} alone");
    }

    // Another process: everything made anew.
    let (first, second) = trials.split_at(47);
    let mut halves = run(&campaign, &golden, first);
    let again = bind(&spec, &model, &data).expect("it fits");
    assert_eq!(again.identity(), campaign.identity());
    halves.extend(run(&again, &again.golden(&Silent), second));
    assert_eq!(halves, expected);
    assert_eq!(run(&campaign, &golden, &[]), []);
}

#[test]
fn another_seed_gives_other_trials_and_another_identity() {
    let (model, data, spec) = (digits_model(), digits_images(40), campaign(SWEPT));
    let other = CampaignSpec { seed: 12, ..spec.clone() };
    let [(a, draws_a), (b, draws_b)] = [&spec, &other].map(|spec| {
        let campaign = bind(spec, &model, &data).expect("it fits");
        let faulty = campaign.plan().trials().filter(|trial| trial.condition == 2);
        let draws: Vec<_> = faulty.map(|trial| campaign.permanent_sites(trial)).collect();
        (campaign.identity().clone(), draws)
    });
    assert_eq!(a.differences(&b), ["the specification"]);
    assert_ne!(a.campaign, b.campaign);
    assert!(draws_a.iter().zip(&draws_b).all(|(a, b)| a != b));
}

#[test]
fn the_plan_goes_draw_by_draw_through_the_conditions() {
    let (model, data, spec) = (digits_model(), digits_images(10), campaign(SWEPT));
    let campaign = bind(&spec, &model, &data).expect("it fits");
    let plan = campaign.plan();
    assert_eq!((plan.len(), plan.is_empty(), plan.conditions[1].draws), (120, false, 40));
    let swept: Vec<_> = plan.conditions.iter().map(|condition| condition.swept.clone()).collect();
    let expected =
        [0, 2, 60].map(|n| vec![Swept { axis: "count".to_owned(), value: SweptValue::Integer(n) }]);
    assert_eq!(swept, expected);
    let labels: Vec<String> = plan.conditions.iter().map(Condition::label).collect();
    assert_eq!(labels, ["count = 0", "count = 2", "count = 60"]);
    assert!(plan.conditions.iter().enumerate().all(|(id, condition)| condition.id == id));
    for (id, trial) in plan.trials().enumerate() {
        let id = id as u64;
        assert_eq!(
            trial,
            Trial { id, condition: (id % 3) as usize, draw: id / 3, images: ByMargin { near: 2, far: 8 } }
        );
    }
    assert_eq!(plan.trials().count(), 120);
    let found: Vec<_> = (0..130).map(|id| plan.find(id)).collect();
    assert!(
        found[..120].iter().copied().eq(plan.trials().map(Some)) && found[120..].iter().all(Option::is_none)
    );
    // 144 + 4608 + 8192 + 640 weights of 32 bits.
    assert_eq!(plan.conditions[1].sites, 13_584 * 32);
}

#[test]
fn no_faults_give_the_golden_run() {
    let (model, data, spec) = (digits_model(), digits_images(500), campaign(SWEPT));
    let campaign = bind(&spec, &model, &data).expect("it fits");
    let golden = campaign.golden(&Silent);
    let none: Vec<Trial> = campaign.plan().trials().filter(|trial| trial.condition == 0).take(5).collect();
    let expected = Outcomes {
        images: 500,
        correct: campaign.golden_correct(&golden, 0),
        golden_correct: campaign.golden_correct(&golden, 0),
        masked: 500,
        masked_exact: Some(500),
        ..Outcomes::new(true)
    };
    for record in run(&campaign, &golden, &none) {
        assert_eq!((record.faults, record.outcomes), (0, expected));
    }
    let info = CampaignInfo::new(&campaign, &spec, &spec.model.file, &golden);
    let records = run(&campaign, &golden, &none).into_iter().map(|record| (record.trial, record)).collect();
    let summary = summarise(&info, &records, &SummaryOptions::default()).expect("fractions");
    let accuracy = summary[0].accuracy.expect("five draws");
    assert_eq!((accuracy.draws, accuracy.mean, accuracy.std), (5, 0.966, Some(0.0)));
    assert_eq!((summary[0].mean_faults, summary[1].accuracy), (0.0, None));
}

/// Counts inferences and stops after a number of questions.
struct Watch {
    inferences: AtomicUsize,
    questions: AtomicUsize,
    patience: usize,
}

impl Watch {
    fn new(patience: usize) -> Self {
        Self { inferences: AtomicUsize::new(0), questions: AtomicUsize::new(0), patience }
    }

    fn seen(&self) -> usize {
        self.inferences.load(Ordering::Relaxed)
    }
}

impl Observer for Watch {
    fn inferences(&self, count: usize) {
        self.inferences.fetch_add(count, Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        self.questions.fetch_add(1, Ordering::Relaxed) >= self.patience
    }
}

/// The sizes of the blocks handed over, stopping behind `limit` of them.
fn blocks(
    campaign: &Campaign<'_>,
    trials: &[Trial],
    watch: &Watch,
    limit: usize,
) -> (Vec<usize>, Option<usize>) {
    let golden = campaign.golden(&Silent);
    let mut sizes = Vec::new();
    let mut expected = trials.iter().map(|trial| trial.id);
    let stopped = campaign.run(
        &golden,
        trials.iter().copied(),
        &RunOptions::default(),
        watch,
        |block: Vec<TrialRecord>| {
            assert!(block.iter().all(|record| Some(record.trial) == expected.next()), "in the given order");
            assert!(block.iter().all(|record| record.cpu_seconds >= 0.0 && record.cpu_seconds.is_finite()));
            sizes.push(block.len());
            if sizes.len() == limit { ControlFlow::Break(limit) } else { ControlFlow::Continue(()) }
        },
    );
    (sizes, stopped.expect("enough memory"))
}

#[test]
fn records_come_in_order_and_a_run_can_be_stopped_between_blocks() {
    let (model, spec) = (digits_model(), campaign(SWEPT));
    // The first block has 16 384 inferences: 32 trials of 500 images.
    let data = digits_images(500);
    let campaign = bind(&spec, &model, &data).expect("it fits");
    let trials: Vec<Trial> = campaign.plan().trials().take(70).collect();
    let watch = Watch::new(usize::MAX);
    let (sizes, stopped) = blocks(&campaign, &trials, &watch, usize::MAX);
    assert_eq!((sizes[0], sizes.iter().sum::<usize>(), stopped), (32, 70, None));
    assert_eq!(watch.seen(), 70 * 500);
    let watch = Watch::new(usize::MAX);
    campaign.golden(&watch);
    assert_eq!(watch.seen(), 500);

    let watch = Watch::new(usize::MAX);
    assert_eq!(blocks(&campaign, &trials, &watch, 1), (vec![32], Some(1)));
    assert_eq!(watch.seen(), 32 * 500, "nothing runs behind the stop");
    // A cancelled block is dropped.
    assert_eq!(blocks(&campaign, &trials, &Watch::new(1), usize::MAX), (vec![], None));
    assert_eq!(blocks(&campaign, &trials, &Watch::new(0), usize::MAX), (vec![], None));
}

#[test]
fn memory_bounds_what_runs_together_and_changes_no_record() {
    let (model, spec, data) = (digits_model(), campaign(SWEPT), digits_images(40));
    let campaign = bind(&spec, &model, &data).expect("it fits");
    let golden = campaign.golden(&Silent);
    let trials: Vec<Trial> = campaign.plan().trials().take(30).collect();
    let expected = run(&campaign, &golden, &trials);
    let run_in = |memory: u64| {
        let mut records = Vec::new();
        let options = RunOptions { memory, ..RunOptions::default() };
        campaign
            .run(&golden, trials.iter().copied(), &options, &Silent, |block| {
                records.extend(block.into_iter().map(|record| TrialRecord { cpu_seconds: 0.0, ..record }));
                ControlFlow::<()>::Continue(())
            })
            .map(|_| records)
    };
    let error = run_in(10).expect_err("ten bytes");
    let RunError::Memory { needed, given: 10, .. } = error else { panic!("{error}") };
    assert!(error.to_string().contains(&format!("{needed} bytes, but only 10 are allowed")), "{error}");
    assert!(run_in(needed - 1).is_err());
    for memory in [needed, 3 * needed, 100 * needed] {
        assert_eq!(run_in(memory).as_ref(), Ok(&expected), "{memory} bytes");
    }
}

fn refused(toml: &str, data: &Dataset) -> CampaignError {
    let model = digits_model();
    bind(&campaign(toml), &model, data).expect_err(toml)
}

#[test]
fn a_fault_that_does_not_fit_is_named_with_its_condition() {
    let data = digits_images(10);
    let toml = "trials.count = 1\nsweep.count = [1, 10, 641]\n[[fault]]\nmodel = 'zeroing'\n\
                [[fault]]\nmodel = 'zeroing'\nlayers = 'fc2'";
    let message = chain(&refused(toml, &data));
    assert_eq!(
        message,
        "fault 2, count = 641: count: 641 faults do not fit: there are only 640 different sites"
    );
    let toml = "trials.count = 1\nsweep.bit_error_rate = [1e-6, nan]\n[[fault]]\nmodel = 'bit-flip'";
    let message = chain(&refused(toml, &data));
    assert!(message.starts_with("fault 1, bit_error_rate = NaN: bit_error_rate: NaN"), "{message}");
    let toml = "trials.count = 1\nsweep.bit = [31, 32]\n[[fault]]\nmodel = 'bit-flip'\ncount = 1";
    let message = chain(&refused(toml, &data));
    assert!(message.starts_with("fault 1, bit = 32: bits: bit 32"), "{message}");
    let toml = "trials.count = 1\nsweep.count = [1]\n[[fault]]\nmodel = 'bit-flip'\nbit_error_rate = 0.1";
    let message = chain(&refused(toml, &data));
    assert!(message.contains("found count and bit_error_rate"), "{message}");
    let toml = "trials.count = 1\n[[fault]]\nmodel = 'bit-flip'\ncount = 1\nlayers = 'layer9'";
    let message = chain(&refused(toml, &data));
    assert!(message.starts_with("fault 1: layers: \"layer9\""), "{message}");
}

#[test]
fn images_and_classes_that_do_not_fit_are_refused() {
    let large = Dataset::new("large", Split::Test, [1, 9, 9], 10, 16, vec![0; 81], vec![3]).expect("sound");
    let error = refused(SWEPT, &large);
    assert!(matches!(error, CampaignError::Data(_)), "{error}");
    assert!(error.to_string().contains("[1, 9, 9]"), "{error}");

    let (model, data) = (digits_model(), digits_images(10));
    let architecture =
        Architecture { input: vec![1, 8, 8], classes: 7, widths: vec![5], ..Architecture::new(Family::Mlp) };
    let network = architecture.build().expect("a sound architecture");
    let error = bind(&campaign(SWEPT), &Model { network, ..model }, &data).expect_err("7 classes");
    assert_eq!(error.to_string(), "the network has 7 outputs, but digits has 10 classes");
}
