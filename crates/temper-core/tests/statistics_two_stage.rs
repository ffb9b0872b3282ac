//! Draws on part of the images: variance components, the choice of images, and whether intervals keep their coverage after it, in
//! simulation with fixed seeds. The figures printed stand in `docs/statistics.md`.

pub mod populations;

use populations::{Population, assert_coverage, covers};
use rand::{Rng, RngExt};
use temper_core::campaign::{GoldenInfo, Outcomes, TrialRecord};
use temper_core::fault::trial_stream;
use temper_core::statistics::{
    ByMargin, Decision, Guard, ImageChoice, LEAST_IMAGES, Looks, Pilot, StoppingRule, SubsampledDraw,
    VarianceComponents,
};

/// Images there are, and those that are right without faults.
const GOLDEN: GoldenInfo = GoldenInfo { images: 10_000, correct: 9_200 };
/// The same of the two strata: near images are right as often as not.
const POPULATION: ByMargin<u64> = ByMargin { near: 1_000, far: 9_000 };
const NEAR_RIGHT: u64 = 500;
/// Images that become right under faults.
const BECAME_RIGHT: ByMargin<u64> = ByMargin { near: 80, far: 20 };
const PILOT_IMAGES: ByMargin<u64> = ByMargin { near: 32, far: 32 };

/// The outcomes of `images` images, drawn without replacement from `population` of which `right` are right without faults, and of these
/// `lost` become wrong, and of the others `won` become right.
fn outcomes(images: u64, population: u64, [right, lost, won]: [u64; 3], rng: &mut impl Rng) -> Outcomes {
    // Became right, became wrong, stayed right; the others stayed wrong.
    let mut left = [won, lost, right - lost];
    let mut found = [0; 3];
    for before in 0..images {
        let mut place = rng.random_range(0..population - before);
        for (left, found) in left.iter_mut().zip(&mut found) {
            if place < *left {
                (*left, *found) = (*left - 1, *found + 1);
                break;
            }
            place -= *left;
        }
    }
    let [became_right, became_wrong, stayed] = found;
    Outcomes {
        images,
        correct: stayed + became_right,
        golden_correct: stayed + became_wrong,
        critical: became_wrong,
        ..Outcomes::default()
    }
}

/// A trial with these outcomes of near and far images.
fn record(near: Outcomes, far: Outcomes) -> TrialRecord {
    let mut both = near;
    both += far;
    TrialRecord {
        campaign: String::new(),
        trial: 0,
        condition: 0,
        draw: 0,
        faults: 0,
        outcomes: both,
        near: Some(near),
        predictions: None,
        masked_proven: 0,
        cpu_seconds: 0.0,
    }
}

/// A record as a sample of images.
fn sampled(record: &TrialRecord) -> SubsampledDraw {
    let by_margin = record.by_margin().expect("part of the images");
    SubsampledDraw {
        estimate: GOLDEN.accuracy_of(record),
        images: by_margin.map(|outcomes| outcomes.images),
        image_variances: by_margin.map(|outcomes| outcomes.image_variance()),
    }
}

/// A draw of a chip of this accuracy, to the nearest image. Three of four images that become wrong are near ones, as long as there are
/// any.
fn subsample(accuracy: f64, images: ByMargin<u64>, rng: &mut impl Rng) -> SubsampledDraw {
    let correct = (accuracy * GOLDEN.images as f64).round() as u64;
    let won_near = BECAME_RIGHT.near.min(correct);
    let won_far = BECAME_RIGHT.far.min(correct - won_near);
    let lost = GOLDEN.correct + won_near + won_far - correct;
    let lost_near = (lost * 3 / 4).min(NEAR_RIGHT);
    let near = outcomes(images.near, POPULATION.near, [NEAR_RIGHT, lost_near, won_near], rng);
    let far_right = GOLDEN.correct - NEAR_RIGHT;
    let far = outcomes(images.far, POPULATION.far, [far_right, lost - lost_near, won_far], rng);
    sampled(&record(near, far))
}

/// The accuracy of a chip: that of the population, of which golden accuracy is the highest.
fn chip(population: Population, rng: &mut impl Rng) -> f64 {
    GOLDEN.accuracy() * population.draw(rng)
}

fn estimates(draws: &[SubsampledDraw]) -> Vec<f64> {
    draws.iter().map(|draw| draw.estimate).collect()
}

fn rule(looks: (usize, usize), half_width: f64, guard: Guard) -> StoppingRule {
    let looks = Looks::new(looks.0, looks.1).expect("valid");
    let (low, high) = GOLDEN.range(false);
    StoppingRule::new(looks, half_width, 0.95, guard).expect("valid").with_range(low, high)
}

/// The whole of what a campaign does: a pilot, the choice, looks until it stops.
fn stop(
    rule: &StoppingRule,
    population: Population,
    overhead: f64,
    rng: &mut impl Rng,
) -> (Decision, u64, Option<ImageChoice>) {
    let pilot_draws = rule.looks().draws()[0];
    let mut draws: Vec<SubsampledDraw> = Vec::new();
    let (mut next, mut images, mut choice) = (pilot_draws, PILOT_IMAGES, None);
    let mut rule = rule.clone();
    loop {
        draws.extend((draws.len()..next).map(|_| subsample(chip(population, rng), images, rng)));
        match rule.decide(&estimates(&draws)).expect("in range") {
            Decision::Continue { next_look } => {
                next = next_look;
                if choice.is_none() {
                    let components = VarianceComponents::estimate(&draws, POPULATION).expect("draws");
                    let mean = estimates(&draws).iter().sum::<f64>() / draws.len() as f64;
                    let pilot = Pilot {
                        draws: pilot_draws,
                        images: PILOT_IMAGES,
                        population: POPULATION,
                        mean,
                        components,
                    };
                    let chosen = pilot.choose(&rule, overhead);
                    (images, choice) = (chosen.images, Some(chosen));
                    rule = rule.with_second_look(chosen.draws);
                    next = chosen.draws;
                }
            }
            stop @ Decision::Stop { .. } => {
                return (stop, draws.iter().map(|draw| draw.images.total()).sum(), choice);
            }
        }
    }
}

/// Two of three near images and three of seven far ones: every part, counted out. The estimate's mean is the accuracy, and its variance
/// that of Cochran's theorem 5.3.
#[test]
fn the_estimate_has_no_bias_and_the_variance_of_the_book() {
    // Right before and after, for each image; the first three are near.
    let before = [true, false, true, true, true, true, true, true, false, false];
    let after = [false, true, true, true, true, true, true, false, false, false];
    let golden = GoldenInfo { images: 10, correct: 7 };
    let outcomes = |set: u32, places: std::ops::Range<usize>| {
        let count = |of: &dyn Fn(usize) -> bool| {
            places.clone().filter(|&i| set >> i & 1 == 1 && of(i)).count() as u64
        };
        Outcomes {
            images: count(&|_| true),
            correct: count(&|i| after[i]),
            golden_correct: count(&|i| before[i]),
            critical: count(&|i| before[i] && !after[i]),
            ..Outcomes::default()
        }
    };
    // The strata of ten images have two and eight; these have three and seven.
    let weights = ByMargin { near: 3u64, far: 7 }.shares();
    let (mut estimates, mut variances) = (Vec::new(), Vec::new());
    for set in 0u32..1 << 10 {
        let by_margin = ByMargin { near: outcomes(set, 0..3), far: outcomes(set, 3..10) };
        if by_margin.map(|outcomes| outcomes.images) != (ByMargin { near: 2, far: 3 }) {
            continue;
        }
        let drops = weights.zip(by_margin).map(|(weight, outcomes)| {
            weight * (outcomes.golden_correct as f64 - outcomes.correct as f64) / outcomes.images as f64
        });
        estimates.push(golden.accuracy() - drops.near - drops.far);
        variances.push(by_margin.map(|outcomes| outcomes.image_variance()));
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    assert_eq!(estimates.len(), 3 * 35);
    assert!((mean(&estimates) - 0.6).abs() < 1e-12);
    // Of 1, −1, 0, and of 1 and six zeros.
    let image_variances = ByMargin { near: 1.0, far: (1.0 - 1.0 / 7.0) / 6.0 };
    let found = |of: fn(&ByMargin<f64>) -> f64| mean(&variances.iter().map(of).collect::<Vec<_>>());
    assert!((found(|variances| variances.near) - image_variances.near).abs() < 1e-12);
    assert!((found(|variances| variances.far) - image_variances.far).abs() < 1e-12);
    let squares: Vec<f64> = estimates.iter().map(|estimate| (estimate - 0.6).powi(2)).collect();
    let expected = 0.09 * image_variances.near * (1.0 / 2.0 - 1.0 / 3.0)
        + 0.49 * image_variances.far * (1.0 / 3.0 - 1.0 / 7.0);
    assert!((mean(&squares) - expected).abs() < 1e-12);
}

/// By hand: of 4 near images one is lost and one won, of 12 far ones one is lost; N has 1 000 near images and 9 000 far ones.
#[test]
fn estimates_by_hand() {
    let near =
        Outcomes { images: 4, correct: 2, golden_correct: 2, critical: 1, sdc: 2, ..Outcomes::default() };
    let far =
        Outcomes { images: 12, correct: 10, golden_correct: 11, critical: 1, sdc: 3, ..Outcomes::default() };
    let record = record(near, far);
    let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    close(GOLDEN.accuracy_drop_of(&record), 0.9 / 12.0);
    close(GOLDEN.accuracy_of(&record), 0.92 - 0.075);
    close(GOLDEN.share(&record, |outcomes| outcomes.sdc as f64), 0.1 * 0.5 + 0.9 * 0.25);
    close(near.image_variance(), 2.0 / 3.0);
    close(far.image_variance(), (1.0 - 1.0 / 12.0) / 11.0);
    // All images: their share, bit for bit.
    let all = Outcomes { images: 10_000, correct: 9_137, golden_correct: 9_200, ..Outcomes::default() };
    let record = TrialRecord { outcomes: all, near: None, ..record };
    assert_eq!(GOLDEN.accuracy_of(&record).to_bits(), 0.9137f64.to_bits());
    assert_eq!(record.by_margin(), None);
}

/// Components of many pilots, whose chips' variance and images' variances are known: no bias in any.
#[test]
fn components_have_no_bias() {
    let (mut chips, mut near, mut far) = (Vec::new(), Vec::new(), Vec::new());
    for repetition in 0..4_000 {
        let mut rng = trial_stream(500, repetition);
        // Not equally many images.
        let draw = |draw: u32| {
            let images = ByMargin { near: 32 + 32 * u64::from(draw.is_multiple_of(3)), far: 32 };
            subsample(0.85 + 0.01 * f64::from(draw % 2), images, &mut rng)
        };
        let pilot: Vec<SubsampledDraw> = (0..10).map(draw).collect();
        let found = VarianceComponents::estimate(&pilot, POPULATION).expect("draws");
        chips.push(found.chips);
        near.push(found.images.near);
        far.push(found.images.far);
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let error = |values: &[f64]| {
        let squares: f64 = values.iter().map(|value| (value - mean(values)).powi(2)).sum();
        squares.sqrt() / values.len() as f64
    };
    // Five chips at 0.85 and five at 0.86 lose 800 and 700 images, of which 500 are near, and win 80 near and 20 far ones.
    let of_stratum = |images: f64, lost: [f64; 2], won: f64| {
        let variance = |lost: f64| (lost + won - (lost - won).powi(2) / images) / (images - 1.0);
        f64::midpoint(variance(lost[0]), variance(lost[1]))
    };
    let expected = [
        ("chips", &chips, 2.5e-5 * 10.0 / 9.0),
        ("near", &near, of_stratum(1_000.0, [500.0, 500.0], 80.0)),
        ("far", &far, of_stratum(9_000.0, [300.0, 200.0], 20.0)),
    ];
    for (name, found, expected) in expected {
        println!("{name}: {:.3e} ± {:.1e} for {expected:.3e}", mean(found), error(found));
        assert!((mean(found) - expected).abs() < 4.0 * error(found), "{name}");
    }
    assert!(VarianceComponents::estimate(&[], POPULATION).is_err());
}

/// The choice against the closed form and by hand.
#[test]
fn the_choice_is_the_cheapest() {
    let after = |draws: usize, chips: f64, near: f64, far: f64| Pilot {
        draws,
        images: PILOT_IMAGES,
        population: POPULATION,
        mean: 0.85,
        components: VarianceComponents { chips, images: ByMargin { near, far } },
    };
    // √(overhead / S) · Σ Wₕ √imagesₕ is 8, 177 and 560, and with images that all change alike 141; near ones have the share Wₕ √imagesₕ of the
    // sum: 40, 40, 40 and 10 %. Draws lie apart by a sixteenth, so a neighbour may do as well.
    let precise = rule((1_000, 10_000_000), 0.0005, Guard::EqualDraws);
    for (overhead, near, far, totals, shares) in [
        (0.1, 1.0, 0.0278, 16..=32, 0.25..=0.5),
        (50.0, 1.0, 0.0278, 64..=256, 0.25..=0.5),
        (500.0, 1.0, 0.0278, 256..=1024, 0.25..=0.5),
        (10.0, 0.2, 0.2, 64..=256, 0.25..=0.25),
        (10.0, 0.2, 0.0, 16..=64, 0.75..=0.875),
    ] {
        let choice = after(1_000, 1e-4, near, far).choose(&precise, overhead);
        println!("{choice:?}");
        assert!(totals.contains(&choice.images.total()), "{choice:?}");
        assert!(shares.contains(&choice.images.shares().near), "{choice:?}");
        assert!(choice.is_reachable && choice.inferences < choice.inferences_with_all);
        let further = (choice.draws as u64 - 1_000) * choice.images.total();
        assert_eq!(choice.inferences, 64_000 + further);
    }
    let pilot = |chips, near, far| after(30, chips, near, far);
    // Few draws allowed: more images each.
    let rule_of = |draws: usize, half_width| rule((30, draws), half_width, Guard::EqualDraws);
    let many = pilot(1e-4, 0.2, 0.2).choose(&rule_of(3_000, 0.02), 0.1);
    let few = pilot(1e-4, 0.2, 0.2).choose(&rule_of(60, 0.02), 0.1);
    assert!(many.images.total() <= 32 && few.images.total() > 32 && few.is_reachable, "{many:?} {few:?}");
    assert!(few.draws <= 60);
    // Without any variance of chips, all images would do at the first look.
    let alike = pilot(-1e-5, 0.2, 0.01).choose(&rule_of(3_000, 0.02), 0.1);
    assert_eq!(alike.inferences_with_all, 30 * 10_000);
    // Out of reach: nearly the precision of all images, not all of them at any price.
    let out = pilot(1e-2, 0.05, 0.05).choose(&rule_of(100, 0.001), 0.1);
    assert!(!out.is_reachable && (32..=128).contains(&out.images.total()) && out.draws == 100, "{out:?}");
    // Nothing varies: as few as can be. A chips' variance below 0, or none of the images: nothing breaks.
    for (chips, near, far) in
        [(0.0, 0.0, 0.0), (-1e-3, 0.05, 0.0), (1e-3, 0.0, 0.0), (f64::NAN, f64::NAN, f64::NAN)]
    {
        for guard in [Guard::EqualDraws, Guard::UnseenOutcomes] {
            let choice = pilot(chips, near, far).choose(&rule((30, 3_000), 0.01, guard), 0.1);
            assert!((LEAST_IMAGES..=10_000).contains(&choice.images.total()), "{choice:?}");
        }
    }
    assert_eq!(pilot(0.0, 0.0, 0.0).choose(&rule_of(3_000, 0.01), 0.1).images.total(), 16);
}

struct Case {
    population: Population,
    looks: (usize, usize),
    half_width: f64,
    guard: Guard,
    overhead: f64,
    expected: std::ops::RangeInclusive<f64>,
}

/// Runs a campaign again and again; the truth is the mean accuracy over all images.
fn check(seed: u64, case: &Case) {
    let rule = rule(case.looks, case.half_width, case.guard);
    let repetitions = 1_000;
    let (mut inferences, mut draws, mut chosen) = (0, 0, Vec::new());
    let name = format!(
        "{:?}, {:?}, {:?} draws, half-width {}, overhead {}",
        case.population, case.guard, case.looks, case.half_width, case.overhead
    );
    assert_coverage(&name, repetitions, case.expected.clone(), |repetition| {
        let mut rng = trial_stream(seed, repetition);
        let (decision, run, choice) = stop(&rule, case.population, case.overhead, &mut rng);
        inferences += run;
        chosen.extend(choice.map(|choice| (choice.images.total(), choice.images.near)));
        let Decision::Stop { estimate, .. } = decision else { panic!("it has stopped") };
        draws += estimate.draws;
        covers(estimate.interval.expect("several draws"), GOLDEN.accuracy() * case.population.mean())
    });
    chosen.sort_unstable();
    let each = |sum: f64| sum / repetitions as f64;
    println!(
        "    {:.0} draws and {:.0} inferences on average; images chosen, and near ones: median {:?}",
        each(draws as f64),
        each(inferences as f64),
        chosen.get(chosen.len() / 2)
    );
}

/// The images are chosen by the very draws that count, and these have fewer or more images than others: coverage is kept.
#[test]
fn coverage_is_kept_after_the_choice() {
    let populations =
        [(Population::Normal, 0.005), (Population::Skewed, 0.05), (Population::Exponential, 0.02)];
    for (stream, (population, half_width)) in (600u64..).zip(populations) {
        for (more, overhead) in (0u64..).zip([0.1, 100.0]) {
            let case = Case {
                population,
                looks: (10, 1000),
                half_width,
                guard: Guard::EqualDraws,
                overhead,
                expected: 0.95..=1.0,
            };
            check(stream + 10 * more, &case);
        }
    }
}

/// Draws on few images are many for the same half-width, so that the plain rule meets rare ruin that it misses with all images (it covers
/// 17 % of these, `statistics_stopping.rs`); the guard holds as it does there.
#[test]
fn rare_ruin_is_met_and_the_guard_holds() {
    let population = Population::Mixture { ruined: 0.02 };
    let case = |guard, expected| Case {
        population,
        looks: (10, 2000),
        half_width: 0.02,
        guard,
        overhead: 0.1,
        expected,
    };
    check(620, &case(Guard::EqualDraws, 0.9..=1.0));
    check(621, &case(Guard::UnseenOutcomes, 0.95..=1.0));
    for (seed, ruined) in (622u64..).zip([0.005, 0.02, 0.1]) {
        let population = Population::TwoValues { ruined };
        check(seed, &Case { population, ..case(Guard::UnseenOutcomes, 0.95..=1.0) });
    }
}
