//! Optimisers through interruptions, and on hostile settings and state.

use temper_train::FieldError;
use temper_train::optimizer::{
    AdagradSpec, AdamSpec, AdamWSpec, Optimizer, OptimizerSpec, RestoreError, RmsPropSpec, SgdSpec,
};

/// One of every set of buffers.
fn specs() -> Vec<OptimizerSpec> {
    let rmsprop = RmsPropSpec { weight_decay: 0.01, ..Default::default() };
    vec![
        OptimizerSpec::Sgd(SgdSpec::default()),
        OptimizerSpec::Sgd(SgdSpec { momentum: 0.9, dampening: 0.1, ..Default::default() }),
        OptimizerSpec::Adam(AdamSpec::default()),
        OptimizerSpec::AdamW(AdamWSpec { amsgrad: true, ..Default::default() }),
        OptimizerSpec::Adagrad(AdagradSpec { initial_accumulator_value: 0.1, ..Default::default() }),
        OptimizerSpec::RmsProp(rmsprop.clone()),
        OptimizerSpec::RmsProp(RmsPropSpec { momentum: 0.9, ..rmsprop.clone() }),
        OptimizerSpec::RmsProp(RmsPropSpec { centered: true, ..rmsprop.clone() }),
        OptimizerSpec::RmsProp(RmsPropSpec { centered: true, momentum: 0.9, ..rmsprop }),
    ]
}

/// Numbers without a pattern that matters, different for each `salt`.
fn numbers(count: usize, salt: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + salt * 104_729 + 31) % 2003) as f32 / 1001.5 - 1.0).collect()
}

/// Makes the steps of that range.
fn advance(optimizer: &mut Optimizer, parameters: &mut [Vec<f32>], steps: std::ops::Range<usize>) {
    for step in steps {
        optimizer.begin_step();
        for (number, values) in parameters.iter_mut().enumerate() {
            let gradient = numbers(values.len(), step * 10 + number);
            optimizer.step(number, 0.01, None, values, &gradient);
        }
    }
}

/// Buffers of state: number of the parameter, name and values.
type Stored = Vec<(usize, String, Vec<f32>)>;

fn stored(optimizer: &Optimizer) -> Stored {
    optimizer.state().map(|(parameter, name, values)| (parameter, name.to_owned(), values.to_vec())).collect()
}

fn bits(parameters: &[Vec<f32>]) -> Vec<u32> {
    parameters.iter().flatten().map(|value| value.to_bits()).collect()
}

#[test]
fn a_restored_optimizer_goes_on_bit_for_bit() {
    let sizes = [37, 0, 5];
    for spec in specs() {
        for interrupted_at in [0, 1, 7] {
            let mut whole: Vec<Vec<f32>> = sizes.map(|size| numbers(size, 3)).to_vec();
            let mut parts = whole.clone();
            let mut optimizer = Optimizer::new(&spec, &sizes);
            advance(&mut optimizer, &mut whole, 0..12);

            let mut first = Optimizer::new(&spec, &sizes);
            advance(&mut first, &mut parts, 0..interrupted_at);
            let mut second = Optimizer::new(&spec, &sizes);
            second.restore(first.steps(), stored(&first)).expect("its own state");
            advance(&mut second, &mut parts, interrupted_at..12);
            assert_eq!(bits(&parts), bits(&whole), "{spec:?} interrupted at {interrupted_at}");
            assert_eq!(stored(&second), stored(&optimizer), "{spec:?} interrupted at {interrupted_at}");
        }
    }
}

#[test]
fn bits_depend_neither_on_threads_nor_on_neighbours() {
    let size = 300_001;
    for spec in specs() {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            let mut parameters = vec![numbers(size, 1)];
            pool.install(|| advance(&mut Optimizer::new(&spec, &[size]), &mut parameters, 0..3));
            parameters
        };
        let one = run(1);
        assert_eq!(bits(&one), bits(&run(3)), "{spec:?}");
        // Values one by one, each as a parameter of its own.
        for place in [0, 15, 16, 65_536, 150_016, size - 1] {
            let mut optimizer = Optimizer::new(&spec, &[1]);
            let mut alone = [numbers(size, 1)[place]];
            for step in 0..3 {
                optimizer.begin_step();
                let gradient = numbers(size, step * 10)[place];
                optimizer.step(0, 0.01, None, &mut alone, &[gradient]);
            }
            assert_eq!(alone[0].to_bits(), one[0][place].to_bits(), "{spec:?} at {place}");
        }
    }
}

#[test]
fn what_is_not_finite_stays_so_and_spreads_to_no_neighbour() {
    for spec in specs() {
        let mut optimizer = Optimizer::new(&spec, &[40]);
        let mut values = [vec![0.5; 40]];
        let mut gradient = vec![0.25; 40];
        (gradient[3], gradient[39]) = (f32::NAN, f32::INFINITY);
        for _ in 0..2 {
            optimizer.begin_step();
            optimizer.step(0, 0.01, None, &mut values[0], &gradient);
        }
        for (place, value) in values[0].iter().enumerate() {
            assert_eq!(value.is_finite(), place != 3 && place != 39, "{spec:?}: {value} at {place}");
        }
    }
}

#[test]
fn state_of_another_optimizer_is_refused_and_changes_nothing() {
    let spec = OptimizerSpec::Adam(AdamSpec::default());
    let mut optimizer = Optimizer::new(&spec, &[4, 2]);
    let mut parameters = vec![numbers(4, 0), numbers(2, 0)];
    advance(&mut optimizer, &mut parameters, 0..3);
    let good = stored(&optimizer);
    let mut refused = |change: &dyn Fn(&mut Stored)| {
        let mut state = good.clone();
        change(&mut state);
        let error = optimizer.restore(9, state).expect_err("not its state");
        assert_eq!((optimizer.steps(), stored(&optimizer)), (3, good.clone()));
        error
    };
    let error = refused(&|state| state[0].0 = 2);
    assert_eq!(error, RestoreError::Parameter { parameter: 2, parameters: 2 });
    let error = refused(&|state| state[0].1 = "momentum_buffer".to_owned());
    assert_eq!(
        error.to_string(),
        "stored state has a buffer \"momentum_buffer\", which this optimiser does not keep; it keeps exp_avg, exp_avg_sq"
    );
    let error = refused(&|state| state[1].2.truncate(3));
    let name = "exp_avg_sq".to_owned();
    assert_eq!(error, RestoreError::Length { parameter: 0, name: name.clone(), found: 3, expected: 4 });
    let error = refused(&|state| state.push(state[1].clone()));
    assert_eq!(error, RestoreError::Duplicate { parameter: 0, name: name.clone() });
    let error = refused(&|state| drop(state.pop()));
    assert_eq!(error, RestoreError::Missing { parameter: 1, name, steps: 9 });
    refused(&Vec::clear);
    // A momentum that only the schedule calls for is kept for all parameters or for none.
    let mut plain = Optimizer::new(&OptimizerSpec::Sgd(SgdSpec::default()), &[1, 1]);
    let buffer = |parameter| (parameter, "momentum_buffer".to_owned(), vec![0.5]);
    plain.restore(4, []).expect("no momentum");
    plain.restore(4, [buffer(0), buffer(1)]).expect("a momentum");
    let error = plain.restore(4, [buffer(1)]).expect_err("half a momentum");
    let name = "momentum_buffer".to_owned();
    assert_eq!(error, RestoreError::Missing { parameter: 0, name, steps: 4 });
}

fn read(text: &str) -> Result<OptimizerSpec, String> {
    toml::from_str(text).map_err(|error| error.to_string())
}

#[test]
fn defaults_are_pytorchs_and_names_are_checked() {
    assert_eq!(read("kind = 'sgd'"), Ok(OptimizerSpec::Sgd(SgdSpec::default())));
    assert_eq!(read("kind = 'adamw'"), Ok(OptimizerSpec::AdamW(AdamWSpec::default())));
    assert_eq!(
        read("kind = 'rmsprop'\nlr = 1\ncentered = true"),
        Ok(OptimizerSpec::RmsProp(RmsPropSpec { lr: 1.0, centered: true, ..Default::default() }))
    );
    for (text, part) in [
        ("kind = 'sgd'\nmomentun = 0.9", "unknown field `momentun`"),
        ("kind = 'adam'\nmomentum = 0.9", "unknown field `momentum`"),
        ("kind = 'lion'", "unknown variant `lion`"),
        ("lr = 0.1", "missing field `kind`"),
        ("kind = 'adam'\nbetas = [0.9]", "invalid length 1"),
    ] {
        let error = read(text).expect_err("not a specification");
        assert!(error.contains(part), "{error}");
    }
    for spec in specs() {
        let text = toml::to_string(&spec).expect("specifications can be written");
        assert_eq!(read(&text), Ok(spec));
    }
}

#[test]
fn settings_out_of_range_are_named() {
    for (text, field) in [
        ("kind = 'sgd'\nlr = -1", "lr"),
        ("kind = 'sgd'\nlr = nan", "lr"),
        ("kind = 'sgd'\nmomentum = -0.1", "momentum"),
        ("kind = 'sgd'\ndampening = inf", "dampening"),
        ("kind = 'sgd'\nnesterov = true", "momentum"),
        ("kind = 'sgd'\nnesterov = true\nmomentum = 0.9\ndampening = 0.1", "dampening"),
        ("kind = 'adam'\nlr = inf", "lr"),
        ("kind = 'adam'\nbetas = [1.0, 0.9]", "betas[0]"),
        ("kind = 'adamw'\nbetas = [0.9, -0.1]", "betas[1]"),
        ("kind = 'adamw'\neps = -1e-8", "eps"),
        ("kind = 'adamw'\nweight_decay = -1", "weight_decay"),
        ("kind = 'adagrad'\nlr_decay = -1", "lr_decay"),
        ("kind = 'adagrad'\ninitial_accumulator_value = -1", "initial_accumulator_value"),
        ("kind = 'rmsprop'\nalpha = -0.1", "alpha"),
        ("kind = 'rmsprop'\nmomentum = nan", "momentum"),
    ] {
        let error: FieldError = read(text).expect("a specification").check().expect_err("out of range");
        assert_eq!(error.field, field, "{text}: {error}");
    }
    let error = read("kind = 'sgd'\nlr = -1").expect("a specification").check().expect_err("negative");
    assert_eq!(error.to_string(), "lr is -1; expected a finite number of at least 0");
    for spec in specs() {
        spec.check().expect("in range");
    }
    read("kind = 'sgd'\nlr = 0").expect("a specification").check().expect("standing still is allowed");
}
