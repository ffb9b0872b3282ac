//! Layers on hardware in the loop: what the forward pass computes, what gradients go through, which chip and which noise.

use burn::tensor::{Tensor as DeviceTensor, TensorData};
use temper_core::Tensor;
use temper_core::data::Inputs;
use temper_core::hardware::{Hardware, HardwareModel, HardwareSpec, SandwichRamSpec};
use temper_core::memory::Layers;
use temper_core::network::{GraphDescription, Network};
use temper_train::device;
use temper_train::differentiable::{Differentiable, Parameters, Statistics};
use temper_train::recipe::PhaseSpec;
use temper_train::stored::{Moment, Stored};

#[path = "support/run.rs"]
pub mod run;

use run::{chain, prepare};

const START: Moment = Moment { phase: 0, epoch: 0, batch: 0 };

fn phase(lines: &str) -> PhaseSpec {
    let text = format!("epochs = 1\nbatch_size = 1\noptimizer = {{ kind = \"sgd\" }}\n{lines}");
    toml::from_str(&text).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

/// `fc1` with weights [1 2; 3 4] and `fc2` with [1 −1; 2 ½] and the biases (0.5, −1).
fn two_layers() -> Network {
    let description: GraphDescription = toml::from_str(
        "input = [2]\n\
         [[node]]\nname = \"fc1\"\nop = { kind = \"linear\", in_features = 2, out_features = 2, bias = false }\n\
         [[node]]\nname = \"fc2\"\nop = { kind = \"linear\", in_features = 2, out_features = 2 }\n",
    )
    .expect("a description");
    let tensor =
        |shape: &[usize], values: &[f32]| Tensor::new(shape.to_vec(), values.to_vec()).expect("sound");
    let tensors = [
        ("fc1.weight", tensor(&[2, 2], &[1.0, 2.0, 3.0, 4.0])),
        ("fc2.weight", tensor(&[2, 2], &[1.0, -1.0, 2.0, 0.5])),
        ("fc2.bias", tensor(&[2], &[0.5, -1.0])),
    ];
    let tensors = tensors.map(|(path, tensor)| (path.to_owned(), tensor));
    description.build_with(tensors.into()).expect("sound")
}

/// The loss `y₁ + 2·y₂` at x = (1, −2), and its gradient with respect to the weights of both layers.
fn step(lines: &str) -> (f32, Vec<Vec<f32>>) {
    let network = two_layers();
    let stored = Stored::new(1, &network, &phase(lines)).expect("sound");
    let parameters = Parameters::of(&network);
    let held = stored.hold(&network, &parameters, START, &[0]);
    let function = Differentiable::new(&network, &device::cpu());
    let input = function.upload(vec![1.0, -2.0], 1);
    let forward = stored.forward(&function, &held, &[true; 3], &input, Statistics::Batch, &[]);
    let factors = TensorData::new(vec![1.0f32, 2.0], [1, 2]);
    let factors = DeviceTensor::<2>::from_data(factors, &forward.logits.device());
    let loss = (forward.logits.clone() * factors).sum();
    let value = loss.clone().into_scalar::<f32>();
    let gradients = forward.gradients(&loss).parameters;
    (value, gradients.into_iter().take(2).map(|gradient| gradient.expect("all train")).collect())
}

/// `fc2` on a crossbar of two conductances without noise, whose weights become [0 0; 2 0].
const COARSE: &str = "hardware = [{ layers = \"fc2\", model = { kind = \"crossbar\", levels = 2, \
    programming = { model = \"absolute\", sigma = 0.0 }, read_noise = { model = \"absolute\", sigma = 0.0 } } }]\n";

// By hand: h = W₁·x = (−3, −5); on the crossbar y = (0, −6) + (0.5, −1); without it y = (2, −8.5) + (0.5, −1). With c = (1, 2):
// ∂/∂W₂ = c·hᵀ and ∂/∂W₁ = (Wᵀ·c)·xᵀ, where Wᵀ·c is (5, 0) of the clean weights and (4, 0) of the crossbar's.
#[test]
fn a_hook_leaves_gradients_those_of_the_clean_layer() {
    let of_second = vec![-3.0, -5.0, -6.0, -10.0];
    assert_eq!(step(""), (-16.5, vec![vec![5.0, -10.0, 0.0, 0.0], of_second.clone()]));
    let clean = step(&format!("{COARSE}fault_gradient = \"clean\""));
    assert_eq!(clean, (-13.5, vec![vec![5.0, -10.0, 0.0, 0.0], of_second.clone()]));
    let faulty = step(&format!("{COARSE}fault_gradient = \"faulty\""));
    assert_eq!(faulty, (-13.5, vec![vec![4.0, -8.0, 0.0, 0.0], of_second]));
}

/// A recipe on the digits whose second phase lies on hardware.
fn recipe(second: &str) -> String {
    format!(
        "{}\n[[phase]]\nname = \"on a chip\"\nepochs = 2\nbatch_size = 50\noptimizer = {{ kind = \"sgd\", lr = 0.1 }}\n{second}",
        run::SMALL
    )
}

const STORAGE: &str = "[[phase.storage]]\ntarget = \"weight\"\nformat = \"binary\"\n\
    [[phase.storage]]\ntarget = \"activation\"\nplace = \"input\"\nformat = \"uint8\"\n";

#[test]
fn gradients_through_a_device_meet_its_cells() {
    // Weights of one output on one row: each is seen multiplied with its cell's M over the row's Q.
    let prepared = prepare(&recipe(&format!(
        "{STORAGE}[[phase.hardware]]\nmodel = {{ kind = \"sandwich-ram\", noise = {{ sigma = 0.0 }} }}\n"
    )))
    .expect("sound");
    let clean = &prepared.recipe.phases[1];
    let faulty = PhaseSpec {
        fault_gradient: temper_train::recipe::FaultGradient::Faulty,
        chip: Some(3),
        ..clean.clone()
    };
    let network = &prepared.network;
    let function = Differentiable::new(network, &device::cpu());
    let parameters = Parameters::of(network);
    let images: Vec<usize> = (0..8).collect();
    let gradients = |phase: &PhaseSpec| {
        let stored = Stored::new(7, network, phase).expect("sound");
        let held = stored.hold(network, &parameters, START, &images);
        let inputs = prepared.preprocessing.bind(&prepared.train, network.input_shape()).expect("it fits");
        let input = function.upload(inputs.gather(&images), images.len());
        let wanted = vec![true; parameters.values.len()];
        let forward = stored.forward(&function, &held, &wanted, &input, Statistics::Batch, &[]);
        let loss = forward.logits.clone().sum();
        forward.gradients(&loss).parameters
    };
    // The last layer's weights: the sum of the logits has the same gradient everywhere behind them.
    let last = parameters.infos().iter().position(|info| info.path == "fc2.weight").expect("two layers");
    let [clean, through] = [PhaseSpec { chip: Some(3), ..clean.clone() }, faulty]
        .map(|phase| gradients(&phase)[last].clone().expect("it trains"));
    let entry = HardwareSpec {
        layers: Layers::default(),
        model: HardwareModel::SandwichRam(SandwichRamSpec::default()),
    };
    let chip = Hardware::new(network, &[entry]).expect("sound").draw(3);
    let temper_core::hardware::Array::SandwichRam(array) = &chip.layers[1].array else {
        panic!("one device")
    };
    let [_, quantiser, modulator] = array.components();
    let inputs = clean.len() / 10;
    for (place, (through, clean)) in through.iter().zip(&clean).enumerate() {
        let expected = clean * modulator[place % inputs] / quantiser[0];
        assert!(
            (through - expected).abs() <= 1e-5 * expected.abs().max(1.0),
            "{place}: {through} {expected}"
        );
    }
    assert!(clean.iter().any(|gradient| *gradient != 0.0));
}

/// Inputs of some images, one after another.
trait Gather {
    fn gather(&self, images: &[usize]) -> Vec<f32>;
}

impl Gather for Inputs<'_> {
    fn gather(&self, images: &[usize]) -> Vec<f32> {
        let mut values = vec![0.0; images.len() * 64];
        self.fill(images.iter().copied(), &mut values);
        values
    }
}

#[test]
fn training_and_inference_compute_on_the_same_chip() {
    let crossbar = "hardware = [{ model = { kind = \"crossbar\", read_noise = { model = \"absolute\", sigma = 0.0 } } }]\nchip = 5\n";
    let prepared = prepare(run::SMALL).expect("sound");
    let network = &prepared.network;
    let stored = Stored::new(7, network, &phase(crossbar)).expect("sound");
    let inputs = prepared.preprocessing.bind(&prepared.test, network.input_shape()).expect("it fits");
    let images: Vec<usize> = (0..inputs.len()).collect();
    let inference = stored.deployed(network.clone(), START).logits(&inputs);
    let held = stored.hold(network, &Parameters::of(network), START, &images);
    let function = Differentiable::new(network, &device::cpu());
    let input = function.upload(inputs.gather(&images), images.len());
    let nothing = vec![false; held.values.len()];
    let training = stored.forward(&function, &held, &nothing, &input, Statistics::Running, &[]);
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&training.logits_on_host()), bits(&inference));
    let another = Stored::new(7, network, &phase(&crossbar.replace("chip = 5", "chip = 6"))).expect("sound");
    assert_ne!(bits(&another.deployed(network.clone(), START).logits(&inputs)), bits(&inference));
}

#[test]
fn chips_are_drawn_as_often_as_asked_for() {
    let prepared = prepare(run::SMALL).expect("sound");
    let network = &prepared.network;
    let inputs = prepared.preprocessing.bind(&prepared.test, network.input_shape()).expect("it fits");
    let quiet = "hardware = [{ model = { kind = \"crossbar\", read_noise = { model = \"absolute\", sigma = 0.0 } } }]\n";
    for (draws, same_epoch, same_batch) in
        [("phase", true, true), ("epoch", false, true), ("batch", false, false)]
    {
        let stored =
            Stored::new(7, network, &phase(&format!("{quiet}fault_draws = \"{draws}\""))).expect("sound");
        let at =
            |epoch, batch| stored.deployed(network.clone(), Moment { epoch, batch, ..START }).logits(&inputs);
        assert_eq!(at(0, 0) == at(1, 0), same_epoch, "{draws}");
        assert_eq!(at(1, 0) == at(1, 1), same_batch, "{draws}");
        assert_eq!(at(2, 3), at(2, 3), "{draws}");
    }
    // Noise belongs to the evaluation, whatever the chip.
    let noisy =
        Stored::new(7, network, &phase("hardware = [{ model = { kind = \"crossbar\" } }]\n")).expect("sound");
    let at = |epoch| noisy.deployed(network.clone(), Moment { epoch, ..START }).logits(&inputs);
    assert!(at(0) == at(0) && at(0) != at(1));
}

#[test]
fn an_ideal_device_trains_like_the_stored_network() {
    let ideal = "[[phase.hardware]]\nmodel = { kind = \"sandwich-ram\", generator = { sigma = 0.0 }, modulator = { sigma = 0.0 }, \
        quantiser = { sigma = 0.0 }, noise = { sigma = 0.0 } }\n";
    let loss = |second: &str| {
        let prepared = prepare(&recipe(second)).expect("sound");
        let dir = tempfile::tempdir().expect("a folder");
        run::train(&prepared, dir.path(), &run::StopAfter::never()).expect("it trains");
        let history = std::fs::read_to_string(dir.path().join("history.jsonl")).expect("a history");
        let last: serde_json::Value =
            serde_json::from_str(history.lines().last().expect("epochs")).expect("JSON");
        last["train_loss"].as_f64().expect("a number")
    };
    let (stored, on_device) = (loss(STORAGE), loss(&format!("{STORAGE}{ideal}")));
    assert!((stored - on_device).abs() < 1e-3 * stored, "{stored} {on_device}");
}

#[test]
fn what_cannot_lie_on_a_device_is_refused() {
    let refused = |second: &str| chain(&prepare(&recipe(second)).expect_err("refused"));
    let sandwich = "[[phase.hardware]]\nmodel = { kind = \"sandwich-ram\" }\n";
    assert_eq!(
        refused(sandwich),
        "phase 2: hardware 1: the weights of fc1 are stored in f32; the device holds binary"
    );
    assert_eq!(
        refused(&format!("{STORAGE}{sandwich}{sandwich}")),
        "phase 2: hardware 2: fc1 lies on the hardware of an earlier entry already"
    );
    assert_eq!(
        refused("[[phase.hardware]]\nmodel = { kind = \"crossbar\", levels = 1 }\n"),
        "phase 2: hardware 1: model: levels: expected at least 2, or absent for any conductance, found 1"
    );
    let zeroed = "[[phase.fault]]\ntarget = \"weight\"\nmodel = \"zeroing\"\ncount = 1\n";
    let error = refused(&format!("{STORAGE}{sandwich}{zeroed}"));
    assert!(error.starts_with("phase 2: fault 1: model: fc1 lies on a device"), "{error}");
    let flipped = "[[phase.fault]]\ntarget = \"weight\"\nmodel = \"bit-flip\"\ncount = 1\n";
    prepare(&recipe(&format!("{STORAGE}{sandwich}{flipped}"))).expect("a flipped sign is a weight");
    let unknown = refused("[[phase.hardware]]\nmodel = { kind = \"crossbar\", level = 4 }\n");
    assert!(unknown.contains("unknown field `level`"), "{unknown}");
}
