//! Trials on part of the images: which they run, what is recorded of them, and campaigns whose pilot chooses how many.

pub mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use support::{Silent, bind, campaign, chain, digits_images, digits_model, run};
use temper_core::analysis::{AccuracyFloor, SummaryOptions, samples, summarise, yield_of};
use temper_core::campaign::{
    Campaign, CampaignDir, CampaignInfo, CampaignSpec, DrawImages, Outcomes, Shard, Trial, TrialRecord,
};
use temper_core::statistics::ByMargin;

const FAULTS: &str = "[[fault]]\nmodel = 'bit-flip'\nbits = 'exponent'\ncount = 20\n";
const TRANSIENT: &str =
    "[[fault]]\ntarget = 'activation'\nmodel = 'bit-flip'\nlifetime = 'transient'\ncount = 3\n";
const AUTO: &str = "sweep.count = [0, 20, 200]\n[trials.precision]\nhalf_width = 0.04\nmin = 6\nmax = 300\nguard = 'equal-draws'\n\
                    [[fault]]\nmodel = 'bit-flip'\nbits = 'exponent'\n";

fn info(campaign: &Campaign<'_>, spec: &CampaignSpec) -> CampaignInfo {
    CampaignInfo::new(campaign, spec, Path::new("model.safetensors"), &campaign.golden(&Silent))
}

/// The outcomes of a trial's images alone are those of the same images in a run of all of them; so are the predictions.
#[test]
fn a_part_of_the_images_has_the_outcomes_of_these() {
    let (model, data) = (digits_model(), digits_images(120));
    for faults in [FAULTS, TRANSIENT] {
        let spec =
            |images| campaign(&format!("trials.count = 12\n{images}record.predictions = true\n{faults}"));
        let (all, part) = (spec(""), spec("trials.images = 30\n"));
        let [all, part] = [&all, &part].map(|spec| bind(spec, &model, &data).expect("it fits"));
        let golden = part.golden(&Silent);
        let trials: Vec<Trial> = part.plan().trials().collect();
        let records = run(&part, &golden, &trials);
        let whole = run(&all, &golden, &all.plan().trials().collect::<Vec<_>>());
        let logits = part.golden_logits(&golden, 0);
        for ((trial, record), whole) in trials.iter().zip(&records).zip(&whole) {
            let images = part.images_of(&golden, *trial).expect("not all");
            assert_eq!((images.len(), record.outcomes.images), (30, 30));
            let label = |image: usize| usize::from(data.labels()[image]);
            let predicted = |image: usize| whole.predictions.as_ref().expect("recorded")[image];
            let expected: Vec<_> = images.iter().map(|&image| predicted(image)).collect();
            assert_eq!(record.predictions.as_ref(), Some(&expected));
            let correct =
                images.iter().filter(|&&image| predicted(image).map(usize::from) == Some(label(image)));
            assert_eq!(record.outcomes.correct, correct.count() as u64);
            let is_right = |image: &&usize| {
                let logits = &logits[**image * 10..**image * 10 + 10];
                (0..10).all(|class| logits[class] <= logits[label(**image)])
            };
            assert_eq!(record.outcomes.golden_correct, images.iter().filter(is_right).count() as u64);
            let Outcomes { masked, sdc, due, .. } = record.outcomes;
            assert_eq!(masked + sdc + due, 30);
            let near: Vec<usize> =
                images.iter().copied().filter(|&image| part.is_near(&golden, 0, image)).collect();
            let right = |image: &&usize| predicted(**image).map(usize::from) == Some(label(**image));
            let correct = near.iter().filter(right).count() as u64;
            assert_eq!(near.len(), 12);
            assert_eq!(record.near.map(|near| (near.images, near.correct)), Some((12, correct)));
            assert_eq!(part.replay(&golden, *trial, &Silent).outcomes, record.outcomes);
            // Of transient faults those of these images count, and are listed.
            let listed = part.listed_faults(*trial, Some(&images));
            assert!(
                listed.iter().all(|fault| fault.image.is_none_or(|image| images.contains(&(image as usize))))
            );
            assert_eq!(record.faults, if faults == FAULTS { 20 } else { 90 });
            assert_eq!(listed.len() as u64, record.faults);
        }
        assert!(records.iter().any(|record| record.outcomes.sdc + record.outcomes.due > 0));
        // In other company and order the same.
        let backwards: Vec<Trial> = trials.iter().rev().copied().collect();
        assert!(run(&part, &golden, &backwards).into_iter().rev().eq(records));
    }
}

#[test]
fn images_are_those_of_the_draw_under_every_condition() {
    let (model, data) = (digits_model(), digits_images(120));
    let spec = campaign(
        &format!("trials = {{ count = 5, images = 40 }}\nsweep.count = [1, 2]\n{FAULTS}")
            .replace("count = 20\n", ""),
    );
    let bound = bind(&spec, &model, &data).expect("it fits");
    let golden = bound.golden(&Silent);
    let images = |id| bound.images_of(&golden, bound.plan().find(id).expect("a trial"));
    assert!(images(0).is_some() && images(0) == images(1) && images(2) == images(3));
    assert_ne!(images(0), images(2));
    let whole = Trial { images: bound.plan().strata(), ..bound.plan().find(0).expect("a trial") };
    assert_eq!(bound.images_of(&golden, whole), None);
}

/// Runs a campaign in rounds of at most `block` trials, on so many threads, from what is recorded.
fn finish(
    bound: &Campaign<'_>,
    info: &CampaignInfo,
    mut records: BTreeMap<u64, TrialRecord>,
    block: usize,
    threads: usize,
) -> BTreeMap<u64, TrialRecord> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
    pool.install(|| {
        let golden = bound.golden(&Silent);
        loop {
            let schedule = info.schedule(&records);
            let pending: Vec<Trial> = schedule.pending().take(block).collect();
            assert_eq!(schedule.missing() == 0, pending.is_empty());
            if pending.is_empty() {
                return records;
            }
            records.extend(run(bound, &golden, &pending).into_iter().map(|record| (record.trial, record)));
        }
    })
}

#[test]
fn what_a_pilot_chooses_depends_on_its_records_alone() {
    let (model, data, spec) = (digits_model(), digits_images(250), campaign(AUTO));
    let bound = bind(&spec, &model, &data).expect("it fits");
    let info = info(&bound, &spec);
    let pilot = ByMargin { near: 25, far: 39 };
    assert_eq!((info.plan.draw_images, info.plan.first_images()), (DrawImages::Auto, pilot));
    let expected = finish(&bound, &info, BTreeMap::new(), usize::MAX, 2);
    for (block, threads) in [(1, 1), (7, 3)] {
        assert!(finish(&bound, &info, BTreeMap::new(), block, threads) == expected, "blocks of {block}");
    }
    // Interrupted anywhere, and with holes: the same again.
    for keep in [1, 5, 17, 18, 19, 40] {
        let some = expected.iter().take(keep).map(|(id, record)| (*id, record.clone())).collect();
        assert!(finish(&bound, &info, some, usize::MAX, 2) == expected, "after {keep} records");
        let holed = expected.iter().filter(|(id, _)| *id % 20 != keep as u64 % 20);
        let holed = holed.map(|(id, record)| (*id, record.clone())).collect();
        assert!(finish(&bound, &info, holed, 11, 2) == expected, "without every 20th");
    }
    let schedule = info.schedule(&expected);
    for condition in &info.plan.conditions {
        let later: Vec<ByMargin<u64>> = expected
            .values()
            .filter(|record| record.condition == condition.id && record.draw >= 6)
            .filter_map(|record| Some(record.by_margin()?.map(|outcomes| outcomes.images)))
            .collect();
        let choice = schedule.choice(condition.id);
        println!("{}: {} draws after the pilot, {choice:?}", condition.label(), later.len());
        assert!(later.iter().all(|images| Some(*images) == choice.map(|choice| choice.images)));
    }
    assert!(schedule.choice(2).is_some_and(|choice| choice.images.total() < 250), "a choice was made");
    // Trials are found with their images; those behind a pilot only once it is over.
    let last = expected.values().next_back().expect("records");
    assert_eq!(
        schedule.find(last.trial).map(|trial| trial.images),
        last.by_margin().map(|of| of.map(|outcomes| outcomes.images))
    );
    let nothing = BTreeMap::new();
    let before = info.schedule(&nothing);
    assert_eq!(before.find(17).map(|trial| trial.images), Some(pilot));
    assert_eq!(before.find(18), None);
}

#[test]
fn figures_of_single_draws_are_refused_and_means_are_not() {
    let (model, data, spec) = (digits_model(), digits_images(250), campaign(AUTO));
    let bound = bind(&spec, &model, &data).expect("it fits");
    let info = info(&bound, &spec);
    let records = finish(&bound, &info, BTreeMap::new(), usize::MAX, 2);
    let summaries = summarise(&info, &records, &SummaryOptions::default()).expect("valid");
    for summary in &summaries {
        let accuracy = summary.accuracy.expect("draws");
        let (low, high) = accuracy.interval.expect("several");
        println!("{}: {accuracy:?}, chips {:?}", summary.condition.label(), summary.chip_std);
        // The second has chips good and bad, and ends at its last draw.
        let is_precise = accuracy.mean - low <= 0.04 + 1e-12 && high - accuracy.mean <= 0.04 + 1e-12;
        assert!(low <= accuracy.mean && accuracy.mean <= high);
        assert!(is_precise || accuracy.draws == 300 && summary.condition.id == 1);
        assert!(summary.worst.is_none() && summary.accuracy_quantiles.is_none());
        assert!(summary.chip_std <= accuracy.std);
    }
    // Nothing is struck: every estimate is the golden accuracy, whatever the images.
    assert_eq!(summaries[0].accuracy.map(|accuracy| accuracy.mean), Some(summaries[0].golden_accuracy));
    assert_eq!(summaries[0].chip_std, Some(0.0));
    let sample = &samples(&info, &records).expect("valid")[2];
    let error = yield_of(sample, AccuracyFloor::AtLeast(0.5), 0.95).expect_err("not of single draws");
    assert!(error.to_string().contains("images = \"all\""), "{error}");
}

/// The estimate from part of the images agrees with the same draws on all of them.
#[test]
fn the_mean_is_that_of_all_images() {
    let (model, data) = (digits_model(), digits_images(250));
    let spec = |images: &str| campaign(&format!("trials.count = 300\n{images}{FAULTS}"));
    let estimates = ["", "trials.images = 50\n"].map(|images| {
        let spec = spec(images);
        let bound = bind(&spec, &model, &data).expect("it fits");
        let info = info(&bound, &spec);
        let records = finish(&bound, &info, BTreeMap::new(), usize::MAX, 2);
        info.accuracies(&info.plan.conditions[0], &records)
    });
    let [all, part] = estimates;
    let differences: Vec<f64> = all.iter().zip(&part).map(|(all, part)| part - all).collect();
    let mean = differences.iter().sum::<f64>() / 300.0;
    let squares: f64 = differences.iter().map(|difference| (difference - mean).powi(2)).sum();
    let error = (squares / 299.0 / 300.0).sqrt();
    println!("part less all: {mean:.5} ± {error:.5}");
    assert!(error > 0.0 && mean.abs() < 4.0 * error);
}

/// Changes a record.
type Alter = fn(&mut TrialRecord);

#[test]
fn a_directory_keeps_the_images_and_refuses_others() {
    let (model, data, spec) = (digits_model(), digits_images(250), campaign(AUTO));
    let bound = bind(&spec, &model, &data).expect("it fits");
    let info = info(&bound, &spec);
    let records = finish(&bound, &info, BTreeMap::new(), usize::MAX, 2);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dir = CampaignDir::open_or_create(&folder.path().join("a"), &info).expect("made");
    let mut log = dir.begin_attempt(Shard::WHOLE, "first").expect("begun");
    let all: Vec<TrialRecord> = records.values().cloned().collect();
    log.append(&all).expect("written");
    let again = CampaignDir::open(dir.path()).expect("a campaign");
    assert_eq!(again.info(), &info);
    assert_eq!(again.records().expect("sound").by_trial, records);
    // Another number of images behind the pilot or in it, other strata, none.
    let alterations: [(usize, Alter); 4] = [
        (0, |record| record.outcomes.images += 1),
        (all.len() - 1, |record| record.outcomes.images += 1),
        (1, |record| record.near.iter_mut().for_each(|near| near.images -= 1)),
        (2, |record| record.near = None),
    ];
    for (at, alter) in alterations {
        let mut altered = all.clone();
        alter(&mut altered[at]);
        let dir = CampaignDir::open_or_create(&folder.path().join(format!("b{at}")), &info).expect("made");
        dir.begin_attempt(Shard::WHOLE, "first").expect("begun").append(&altered).expect("written");
        let error = chain(&dir.records().expect_err("altered"));
        assert!(error.contains(&format!("trial {} ran on", altered[at].trial)), "{error}");
    }
    // A plan that is not the specification's.
    let file = dir.path().join("campaign.json");
    let text = fs::read_to_string(&file).expect("written");
    for (from, to) in
        [("\"draw_images\": \"auto\"", "\"draw_images\": 3"), ("\"images\": 250", "\"images\": 251")]
    {
        assert!(text.contains(from), "{text}");
        fs::write(&file, text.replacen(from, to, 1)).expect("written");
        CampaignDir::open(dir.path()).expect_err(to);
    }
}

#[test]
fn numbers_of_images_that_make_no_sense_are_refused() {
    let (model, data) = (digits_model(), digits_images(120));
    let head = "seed = 1\nmodel.file = 'm'\ndata.set = 'digits'\n";
    for (trials, expected) in [
        ("count = 3\nimages = 3", "[trials] images: expected at least 4, found 3"),
        ("count = 3\nimages = 'auto'", "[trials] images: \"auto\" chooses the images for a precision"),
        ("exhaustive = true\nimages = 10", "[trials] images: statistical and exhaustive campaigns"),
        ("count = 3\nimages = 'some'", "expected \"auto\", \"all\" or a number of images"),
        ("images = 10", "expected exactly one of count"),
    ] {
        let error = CampaignSpec::parse(&format!("{head}[trials]\n{trials}\n{FAULTS}")).expect_err(trials);
        assert!(chain(&error).contains(expected), "{trials}: {}", chain(&error));
    }
    let spec = |trials: &str| campaign(&format!("[trials]\n{trials}\n{FAULTS}"));
    let error = chain(&bind(&spec("count = 3\nimages = 121"), &model, &data).expect_err("too many"));
    assert!(error.contains("expected at most 120"), "{error}");
    let precision = "precision = { half_width = 0.1, min = 5, max = 9 }";
    for (trials, limit, expected) in [
        ("count = 3", 120, DrawImages::All),
        ("count = 3\nimages = 120", 120, DrawImages::All),
        ("count = 3\nimages = 60", 120, DrawImages::Count(60)),
        (precision, 120, DrawImages::Auto),
        (precision, 64, DrawImages::All),
        (&format!("{precision}\nimages = 'all'"), 120, DrawImages::All),
        (&format!("{precision}\nimages = 30"), 120, DrawImages::Count(30)),
    ] {
        let data = digits_images(limit);
        let spec = spec(trials);
        assert_eq!(bind(&spec, &model, &data).expect("it fits").plan().draw_images, expected, "{trials}");
    }
}
