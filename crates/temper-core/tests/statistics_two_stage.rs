//! Draws on part of the images: variance components, the choice of images, and whether intervals keep their coverage after it, in
//! simulation with fixed seeds. The figures printed stand in `docs/statistics.md`.

pub mod populations;

use populations::{Population, assert_coverage, covers};
use rand::{Rng, RngExt};
use temper_core::campaign::{GoldenInfo, Outcomes};
use temper_core::fault::trial_stream;
use temper_core::statistics::{
    Decision, Guard, ImageChoice, LEAST_IMAGES, Looks, Pilot, StoppingRule, SubsampledDraw,
    VarianceComponents,
};

/// Images there are, those that are right without faults, and those that become right under faults.
const GOLDEN: GoldenInfo = GoldenInfo { images: 10_000, correct: 9_200 };
const BECAME_RIGHT: u64 = 100;
const PILOT_IMAGES: u64 = 64;

/// A draw of a chip of this accuracy, to the nearest image, on `images` of all.
fn subsample(accuracy: f64, images: u64, rng: &mut impl Rng) -> SubsampledDraw {
    let correct = (accuracy * GOLDEN.images as f64).round() as u64;
    let became_right = BECAME_RIGHT.min(correct);
    let became_wrong = GOLDEN.correct + became_right - correct;
    // The others stayed wrong.
    let mut left = [became_right, became_wrong, GOLDEN.correct - became_wrong];
    let mut found = [0; 3];
    for before in 0..images {
        let mut place = rng.random_range(0..GOLDEN.images - before);
        for (left, found) in left.iter_mut().zip(&mut found) {
            if place < *left {
                (*left, *found) = (*left - 1, *found + 1);
                break;
            }
            place -= *left;
        }
    }
    let [became_right, became_wrong, stayed] = found;
    let outcomes = Outcomes {
        images,
        correct: stayed + became_right,
        golden_correct: stayed + became_wrong,
        critical: became_wrong,
        ..Outcomes::default()
    };
    SubsampledDraw {
        estimate: GOLDEN.accuracy_under(&outcomes),
        images,
        image_variance: outcomes.image_variance(),
    }
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
    loop {
        draws.extend((draws.len()..next).map(|_| subsample(chip(population, rng), images, rng)));
        match rule.decide(&estimates(&draws)).expect("in range") {
            Decision::Continue { next_look } => {
                next = next_look;
                if choice.is_none() {
                    let components = VarianceComponents::estimate(&draws, GOLDEN.images).expect("draws");
                    let mean = estimates(&draws).iter().sum::<f64>() / draws.len() as f64;
                    let pilot = Pilot {
                        draws: pilot_draws,
                        images: PILOT_IMAGES,
                        population: GOLDEN.images,
                        mean,
                        components,
                    };
                    let chosen = pilot.choose(rule, overhead);
                    (images, choice) = (chosen.images, Some(chosen));
                }
            }
            stop @ Decision::Stop { .. } => {
                return (stop, draws.iter().map(|draw| draw.images).sum(), choice);
            }
        }
    }
}

/// Four images of ten, of which golden has six right: every subset, counted out. The estimate's mean is the accuracy, and its variance
/// that of Cochran's theorem 2.2.
#[test]
fn the_estimate_has_no_bias_and_the_variance_of_the_book() {
    let golden = GoldenInfo { images: 10, correct: 6 };
    // Right before and after, for each image: two become wrong, one becomes right.
    let before = [true, true, true, true, true, true, false, false, false, false];
    let after = [true, true, true, true, false, false, true, false, false, false];
    let (mut estimates, mut variances) = (Vec::new(), Vec::new());
    for set in 0u32..1 << 10 {
        if set.count_ones() != 4 {
            continue;
        }
        let count =
            |of: &dyn Fn(usize) -> bool| (0..10).filter(|&i| set >> i & 1 == 1 && of(i)).count() as u64;
        let outcomes = Outcomes {
            images: 4,
            correct: count(&|i| after[i]),
            golden_correct: count(&|i| before[i]),
            critical: count(&|i| before[i] && !after[i]),
            ..Outcomes::default()
        };
        estimates.push(golden.accuracy_under(&outcomes));
        variances.push(outcomes.image_variance());
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    assert_eq!(estimates.len(), 210);
    assert!((mean(&estimates) - 0.5).abs() < 1e-12);
    // Of −1, −1, 1 and seven zeros: S² = (3 − 0.1)/9.
    let image_variance = 2.9 / 9.0;
    assert!((mean(&variances) - image_variance).abs() < 1e-12);
    let squares: Vec<f64> = estimates.iter().map(|estimate| (estimate - 0.5).powi(2)).collect();
    assert!((mean(&squares) - image_variance * (1.0 / 4.0 - 1.0 / 10.0)).abs() < 1e-12);
}

/// All images give today's accuracy, bit for bit; absurd counts do not overflow.
#[test]
fn all_images_give_the_share_of_correct_ones() {
    let golden = GoldenInfo { images: 10_000, correct: 9_197 };
    for correct in 0..=10_000 {
        let outcomes = Outcomes { images: 10_000, correct, golden_correct: 9_197, ..Outcomes::default() };
        assert_eq!(golden.accuracy_under(&outcomes).to_bits(), outcomes.accuracy().to_bits());
    }
    let absurd = Outcomes { images: u64::MAX, correct: 0, golden_correct: u64::MAX, ..Outcomes::default() };
    let _ = GoldenInfo { images: u64::MAX, correct: u64::MAX }.accuracy_under(&absurd);
}

/// Components of many pilots, whose chips' variance and images' variance are known: no bias in either.
#[test]
fn components_have_no_bias() {
    let (repetitions, draws) = (4_000, 10);
    let (mut chips, mut images) = (Vec::new(), Vec::new());
    for repetition in 0..repetitions {
        let mut rng = trial_stream(500, repetition);
        // Not equally many images.
        let pilot: Vec<SubsampledDraw> = (0..draws)
            .map(|draw| {
                subsample(0.85 + 0.01 * f64::from(draw % 2), 32 + 32 * u64::from(draw % 3 == 0), &mut rng)
            })
            .collect();
        let found = VarianceComponents::estimate(&pilot, GOLDEN.images).expect("draws");
        chips.push(found.chips);
        images.push(found.images);
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let error = |values: &[f64]| {
        let squares: f64 = values.iter().map(|value| (value - mean(values)).powi(2)).sum();
        squares.sqrt() / values.len() as f64
    };
    // Five chips at 0.85 and five at 0.86: 0.005² · 10/9. 0.08 or 0.07 become wrong, 0.01 right.
    let of_chips = 2.5e-5 * 10.0 / 9.0;
    let of_images = [(0.08, 0.07), (0.07, 0.06)].map(|(wrong, lost): (f64, f64)| wrong + 0.01 - lost * lost);
    let of_images = f64::midpoint(of_images[0], of_images[1]) * 10_000.0 / 9_999.0;
    println!("chips {:.2e} ± {:.1e} for {of_chips:.2e}", mean(&chips), error(&chips));
    println!("images {:.5} ± {:.5} for {of_images:.5}", mean(&images), error(&images));
    assert!((mean(&chips) - of_chips).abs() < 4.0 * error(&chips));
    assert!((mean(&images) - of_images).abs() < 4.0 * error(&images));
    assert!(VarianceComponents::estimate(&[], 10).is_err());
}

/// The choice against the closed form and by hand.
#[test]
fn the_choice_is_the_cheapest() {
    let after = |draws: usize, chips: f64, images: f64| Pilot {
        draws,
        images: PILOT_IMAGES,
        population: GOLDEN.images,
        mean: 0.85,
        components: VarianceComponents { chips, images },
    };
    // √(overhead · images / S) is 7, 158, 500 and 141. Looks lie apart by half, so a neighbour may do as well.
    let precise = rule((1_000, 10_000_000), 0.0005, Guard::EqualDraws);
    for (overhead, of_images, expected) in
        [(0.1, 0.05, 16..=16), (50.0, 0.05, 64..=256), (500.0, 0.05, 256..=1024), (10.0, 0.2, 64..=256)]
    {
        let choice = after(1_000, 1e-4, of_images).choose(&precise, overhead);
        assert!(expected.contains(&choice.images), "{choice:?}");
        assert!(choice.is_reachable && choice.inferences < choice.inferences_with_all);
        assert_eq!(choice.inferences, 64_000 + (choice.draws as u64 - 1_000) * choice.images);
    }
    let pilot = |chips, images| after(30, chips, images);
    // Few draws allowed: more images each.
    let many = pilot(1e-4, 0.2).choose(&rule((30, 3_000), 0.012, Guard::EqualDraws), 0.1);
    let few = pilot(1e-4, 0.2).choose(&rule((30, 100), 0.012, Guard::EqualDraws), 0.1);
    assert!(many.images == LEAST_IMAGES && few.images > many.images && few.is_reachable, "{few:?}");
    assert!(few.draws <= 100);
    // Out of reach: nearly the precision of all images, not all of them at any price.
    let out = pilot(1e-2, 0.05).choose(&rule((30, 100), 0.001, Guard::EqualDraws), 0.1);
    assert!(!out.is_reachable && out.images == 64 && out.draws == 100, "{out:?}");
    // Nothing varies: as few as can be. A chips' variance below 0, or none of the images: nothing breaks.
    for (chips, of_images) in [(0.0, 0.0), (-1e-3, 0.05), (1e-3, 0.0), (f64::NAN, f64::NAN)] {
        for guard in [Guard::EqualDraws, Guard::UnseenOutcomes] {
            let choice = pilot(chips, of_images).choose(&rule((30, 3_000), 0.01, guard), 0.1);
            assert!((LEAST_IMAGES..=10_000).contains(&choice.images), "{choice:?}");
        }
    }
    assert_eq!(pilot(0.0, 0.0).choose(&rule((30, 3_000), 0.01, Guard::EqualDraws), 0.1).images, 16);
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
        chosen.extend(choice.map(|choice| choice.images));
        let Decision::Stop { estimate, .. } = decision else { panic!("it has stopped") };
        draws += estimate.draws;
        covers(estimate.interval.expect("several draws"), GOLDEN.accuracy() * case.population.mean())
    });
    chosen.sort_unstable();
    let each = |sum: f64| sum / repetitions as f64;
    println!(
        "    {:.0} draws and {:.0} inferences on average; images chosen: median {:?}",
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
