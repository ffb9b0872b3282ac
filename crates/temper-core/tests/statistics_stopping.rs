//! Whether stopping by precision keeps the interval's coverage, in simulation with fixed seeds. The figures printed stand in
//! `docs/statistics.md`.

pub mod populations;

use populations::{Population, assert_coverage, covers};
use temper_core::fault::trial_stream;
use temper_core::statistics::{Decision, Guard, Looks, StoppingRule};

struct Case {
    population: Population,
    looks: (usize, usize),
    half_width: f64,
    guard: Guard,
    expected: std::ops::RangeInclusive<f64>,
}

/// Runs the rule on one population again and again; prints the mean number of draws too.
fn check(seed: u64, case: &Case) {
    let looks = Looks::new(case.looks.0, case.looks.1).expect("valid");
    let rule = StoppingRule::new(looks, case.half_width, 0.95, case.guard).expect("valid");
    let (repetitions, mut draws_made) = (1_000, 0);
    let name = format!(
        "{:?}, {:?}, {:?} draws, half-width {}",
        case.population, case.guard, case.looks, case.half_width
    );
    assert_coverage(&name, repetitions, case.expected.clone(), |repetition| {
        let mut rng = trial_stream(seed, repetition);
        let mut draws = Vec::new();
        let mut next = 0;
        loop {
            draws.extend((draws.len()..next).map(|_| case.population.draw(&mut rng)));
            match rule.clone().planned(&draws).decide(&draws).expect("fractions") {
                Decision::Continue { next_look } => next = next_look,
                Decision::Stop { estimate, is_precise } => {
                    let (low, high) = estimate.interval.expect("several draws");
                    let reach = f64::max(estimate.mean - low, high - estimate.mean);
                    assert_eq!(is_precise, reach <= case.half_width);
                    draws_made += estimate.draws;
                    return covers((low, high), case.population.mean());
                }
            }
        }
    });
    println!("    {:.0} draws on average", draws_made as f64 / repetitions as f64);
}

/// Bonferroni's inequality keeps the level where the t interval is right, and makes up for some of what skewness costs it.
#[test]
fn coverage_is_kept() {
    let plain = |population, half_width| Case {
        population,
        looks: (10, 500),
        half_width,
        guard: Guard::EqualDraws,
        expected: 0.95..=1.0,
    };
    check(1, &plain(Population::Normal, 0.005));
    check(2, &plain(Population::Skewed, 0.05));
    check(3, &plain(Population::Exponential, 0.02));
}

/// One chip in fifty is ruined and the first draws seldom show one: the plain rule stops at once, on an interval that is wrong.
/// More draws before the first look help; the guard holds.
#[test]
fn rare_ruin_needs_the_guard() {
    let population = Population::Mixture { ruined: 0.02 };
    let case = |looks, guard, expected| Case { population, looks, half_width: 0.02, guard, expected };
    check(4, &case((10, 2000), Guard::EqualDraws, 0.0..=0.5));
    check(5, &case((100, 2000), Guard::EqualDraws, 0.6..=0.95));
    check(6, &case((10, 2000), Guard::UnseenOutcomes, 0.95..=1.0));
}

/// Two outcomes and nothing between: draws that are all equal stop only when their number certifies it, whatever the share.
#[test]
fn equal_draws_are_not_trusted() {
    for (seed, ruined) in (7u64..).zip([0.005, 0.02, 0.1]) {
        let exactly = Population::TwoValues { ruined };
        check(
            seed,
            &Case {
                population: exactly,
                looks: (10, 2000),
                half_width: 0.02,
                guard: Guard::EqualDraws,
                expected: 0.9..=1.0,
            },
        );
    }
}
