//! Schedules against PyTorch (`fixtures/training`), through interruptions, and on hostile settings.

mod support;

use serde::Deserialize;
use temper_train::optimizer::{AdagradSpec, OptimizerSpec, SgdSpec};
use temper_train::schedule::{PlateauSpec, Schedule, ScheduleKind, ScheduleSpec, ScheduleState};

use support::fixture;

#[derive(Deserialize)]
struct Fixture {
    by_epoch: Vec<ByEpoch>,
    one_cycle: Vec<OneCycle>,
    metrics: Vec<Option<f64>>,
    plateau: Vec<ByEpoch>,
}

#[derive(Deserialize)]
struct ByEpoch {
    spec: ScheduleSpec,
    base_lr: f64,
    lr: Vec<f64>,
}

#[derive(Deserialize)]
struct OneCycle {
    spec: ScheduleSpec,
    epochs: usize,
    batches_per_epoch: usize,
    lr: Vec<f64>,
    momentum: Option<Vec<f64>>,
}

fn sgd() -> OptimizerSpec {
    OptimizerSpec::Sgd(SgdSpec::default())
}

/// Whether two rates agree to 12 digits. Rates far below the largest, `base`, are what is left of a difference from it.
fn agree(found: f64, expected: f64, base: f64) -> bool {
    (found - expected).abs() <= 1e-12 * expected.abs().max(1e-3 * base)
}

#[test]
fn rates_of_200_epochs_are_pytorchs() {
    let Fixture { by_epoch, .. } = fixture("schedules.json");
    assert_eq!(by_epoch.len(), 15);
    for ByEpoch { spec, base_lr, lr } in by_epoch {
        assert_eq!(lr.len(), 200);
        spec.check(200, &sgd()).expect("PyTorch takes it");
        let schedule = Schedule::new(&spec, base_lr, 200, 10);
        for (epoch, expected) in lr.into_iter().enumerate() {
            let found = schedule.lr(epoch, 3);
            assert!(
                agree(found, expected, base_lr),
                "{spec:?}: {found:e}, expected {expected:e} in epoch {epoch}"
            );
            assert_eq!(schedule.momentum(epoch, 3), None);
        }
    }
}

#[test]
fn one_cycles_rates_and_momenta_are_pytorchs() {
    let Fixture { one_cycle, .. } = fixture("schedules.json");
    assert_eq!(one_cycle.len(), 7);
    for OneCycle { spec, epochs, batches_per_epoch, lr, momentum } in one_cycle {
        spec.check(epochs, &sgd()).expect("PyTorch takes it");
        let schedule = Schedule::new(&spec, 77.0, epochs, batches_per_epoch);
        let largest = lr.iter().copied().fold(0.0, f64::max);
        for (step, expected) in lr.into_iter().enumerate() {
            let (epoch, batch) = (step / batches_per_epoch, step % batches_per_epoch);
            let found = schedule.lr(epoch, batch);
            assert!(
                agree(found, expected, largest),
                "{spec:?}: {found:e}, expected {expected:e} in step {step}"
            );
            let (found, expected) = (schedule.momentum(epoch, batch), momentum.as_ref().map(|all| all[step]));
            assert_eq!(found.is_some(), expected.is_some());
            let (found, expected) = (found.unwrap_or(0.0), expected.unwrap_or(0.0));
            assert!(
                agree(found, expected, 1.0),
                "{spec:?}: momentum {found}, expected {expected} in step {step}"
            );
        }
    }
}

#[test]
fn plateaus_are_pytorchs_through_any_interruption() {
    let Fixture { plateau, metrics, .. } = fixture("schedules.json");
    assert_eq!(plateau.len(), 7);
    for ByEpoch { spec, base_lr, lr } in plateau {
        spec.check(lr.len(), &sgd()).expect("PyTorch takes it");
        let mut schedule = Schedule::new(&spec, base_lr, lr.len(), 10);
        for (epoch, (expected, metric)) in lr.into_iter().zip(&metrics).enumerate() {
            let found = schedule.lr(epoch, 0);
            assert_eq!(
                found.to_bits(),
                expected.to_bits(),
                "{spec:?}: {found}, expected {expected} in epoch {epoch}"
            );
            schedule.after_epoch(epoch, metric.unwrap_or(f64::NAN));
            // As a checkpoint does: through text into a fresh schedule.
            let text = serde_json::to_string(schedule.state()).expect("state can be written");
            schedule = Schedule::new(&spec, base_lr, 200, 10);
            schedule.restore(serde_json::from_str(&text).expect("and read")).expect("its own state");
        }
    }
}

#[test]
fn a_plateau_after_a_warm_up_does_not_count_its_epochs() {
    let spec = ScheduleSpec {
        warmup_epochs: 4,
        warmup_start_factor: 0.2,
        kind: ScheduleKind::ReduceOnPlateau(PlateauSpec { patience: 1, ..Default::default() }),
    };
    let mut schedule = Schedule::new(&spec, 1.0, 10, 1);
    let mut rates = Vec::new();
    for epoch in 0..8 {
        rates.push(schedule.lr(epoch, 0));
        schedule.after_epoch(epoch, 1.0);
    }
    let expected = [0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0, 0.1];
    assert!(rates.iter().zip(expected).all(|(&rate, expected)| agree(rate, expected, 1.0)), "{rates:?}");
}

#[test]
fn a_cosine_ends_with_the_phase_also_after_a_warm_up() {
    for warmup_epochs in [0, 3] {
        let kind = ScheduleKind::Cosine { t_max: None, eta_min: 0.0 };
        let schedule = Schedule::new(&ScheduleSpec { warmup_epochs, kind, ..Default::default() }, 0.1, 13, 1);
        assert_eq!(schedule.lr(warmup_epochs, 0), 0.1);
        assert!(schedule.lr(12, 0) > 0.0);
        assert_eq!(schedule.lr(13, 0), 0.0);
    }
}

#[test]
fn a_rise_of_one_batch_starts_at_the_top() {
    let spec = read("kind = 'one-cycle'\nmax_lr = 0.5\npct_start = 0.25").expect("a specification");
    let schedule = Schedule::new(&spec, 0.1, 1, 4);
    assert_eq!((schedule.lr(0, 0), schedule.momentum(0, 0)), (0.5, Some(0.85)));
    assert!((0..4).all(|batch| schedule.lr(0, batch).is_finite()));
}

fn read(text: &str) -> Result<ScheduleSpec, String> {
    toml::from_str(text).map_err(|error| error.to_string())
}

#[test]
fn names_are_checked_and_specifications_read_back() {
    assert_eq!(read("kind = 'constant'"), Ok(ScheduleSpec::default()));
    for (text, part) in [
        ("kind = 'constant'\ngamma = 0.1", "unknown field `gamma`"),
        ("kind = 'cosine'\nt_mux = 3", "unknown field `t_mux`"),
        ("kind = 'one-cycle'\nmax_lr = 0.1\nwarm = 1", "unknown field `warm`"),
        ("kind = 'one-cycle'", "missing field `max_lr`"),
        ("kind = 'reduce-on-plateau'\nmode = 'least'", "unknown variant `least`"),
        ("kind = 'reduce-on-plateau'\npatience = -1", "invalid value: integer `-1`"),
        ("kind = 'linear'", "unknown variant `linear`"),
        ("warmup_epochs = 3", "missing field `kind`"),
    ] {
        let error = read(text).expect_err("not a specification");
        assert!(error.contains(part), "{error}");
    }
    let Fixture { by_epoch, one_cycle, plateau, .. } = fixture("schedules.json");
    let specs = by_epoch.into_iter().chain(plateau).map(|row| row.spec);
    for spec in specs.chain(one_cycle.into_iter().map(|row| row.spec)) {
        let text = toml::to_string(&spec).expect("specifications can be written");
        assert_eq!(read(&text), Ok(spec));
    }
}

#[test]
fn settings_out_of_range_are_named() {
    for (text, field) in [
        ("kind = 'step'\nstep_size = 0", "step_size"),
        ("kind = 'step'\nstep_size = 1\ngamma = -0.1", "gamma"),
        ("kind = 'multi-step'\nmilestones = []", "milestones"),
        ("kind = 'multi-step'\nmilestones = [3]\ngamma = nan", "gamma"),
        ("kind = 'exponential'\ngamma = inf", "gamma"),
        ("kind = 'cosine'\nt_max = 0", "t_max"),
        ("kind = 'cosine'\neta_min = -1", "eta_min"),
        ("kind = 'cosine-warm-restarts'\nt_0 = 0", "t_0"),
        ("kind = 'cosine-warm-restarts'\nt_0 = 1\nt_mult = 0", "t_mult"),
        ("kind = 'one-cycle'\nmax_lr = -1", "max_lr"),
        ("kind = 'one-cycle'\nmax_lr = 1\npct_start = 1.1", "pct_start"),
        ("kind = 'one-cycle'\nmax_lr = 1\ndiv_factor = 0", "div_factor"),
        ("kind = 'one-cycle'\nmax_lr = 1\nfinal_div_factor = nan", "final_div_factor"),
        ("kind = 'one-cycle'\nmax_lr = 1\nmax_momentum = 1", "max_momentum"),
        ("kind = 'one-cycle'\nmax_lr = 1\nwarmup_epochs = 2", "warmup_epochs"),
        ("kind = 'reduce-on-plateau'\nfactor = 1.0", "factor"),
        ("kind = 'reduce-on-plateau'\nthreshold = nan", "threshold"),
        ("kind = 'reduce-on-plateau'\nmin_lr = -1", "min_lr"),
        ("kind = 'reduce-on-plateau'\neps = -1", "eps"),
        ("kind = 'constant'\nwarmup_epochs = 10", "warmup_epochs"),
        ("kind = 'constant'\nwarmup_start_factor = 0", "warmup_start_factor"),
    ] {
        let spec = read(text).expect("a specification");
        let error = spec.check(10, &sgd()).expect_err("out of range");
        assert_eq!(error.field, field, "{text}: {error}");
    }
    let adagrad = OptimizerSpec::Adagrad(AdagradSpec::default());
    let spec = read("kind = 'one-cycle'\nmax_lr = 1").expect("a specification");
    let error = spec.check(10, &adagrad).expect_err("Adagrad has no momentum");
    assert_eq!(
        error.to_string(),
        "cycle_momentum is true; expected false with an optimiser that has no momentum"
    );
    let spec = read("kind = 'one-cycle'\nmax_lr = 1\ncycle_momentum = false").expect("a specification");
    spec.check(10, &adagrad).expect("the rate alone");
    let mut schedule = Schedule::new(&ScheduleSpec::default(), 0.1, 1, 1);
    let state = ScheduleState { lr: f64::NAN, best: None, bad_epochs: 0, cooldown_left: 0 };
    assert_eq!(schedule.restore(state).expect_err("not a rate").field, "lr");
}

#[test]
fn restarts_far_away_do_not_overflow() {
    let kind = ScheduleKind::CosineWarmRestarts { t_0: usize::MAX / 2, t_mult: 3, eta_min: 0.0 };
    let schedule = Schedule::new(&ScheduleSpec { kind, ..Default::default() }, 0.1, 1, 1);
    assert!(schedule.lr(usize::MAX, 0).is_finite());
}
