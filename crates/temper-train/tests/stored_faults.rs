//! Faults in the loop: which values are struck when, how many, and what becomes of gradients.

use burn::tensor::{Tensor as DeviceTensor, TensorData};
use temper_core::Tensor;
use temper_core::network::{GraphDescription, Network};
use temper_train::device;
use temper_train::differentiable::{Differentiable, Parameters, Pass, Statistics};
use temper_train::recipe::PhaseSpec;
use temper_train::stored::{Held, Moment, Stored};

const START: Moment = Moment { phase: 0, epoch: 0, batch: 0 };

fn phase(lines: &str) -> PhaseSpec {
    let text = format!("epochs = 1\nbatch_size = 1\noptimizer = {{ kind = \"sgd\" }}\n{lines}");
    toml::from_str(&text).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

/// Linear layers `fc1`, `fc2`, … without biases, one after another, with these weights.
fn linear(layers: &[(usize, usize, Vec<f32>)]) -> Network {
    let node = |(i, (outputs, inputs, _)): (usize, &(usize, usize, Vec<f32>))| {
        format!(
            "[[node]]\nname = \"fc{}\"\nop = {{ kind = \"linear\", in_features = {inputs}, out_features = {outputs}, bias = false }}\n",
            i + 1
        )
    };
    let nodes: String = layers.iter().enumerate().map(node).collect();
    let description: GraphDescription =
        toml::from_str(&format!("input = [{}]\n{nodes}", layers[0].1)).expect("a description");
    let tensors = layers.iter().enumerate().map(|(i, (outputs, inputs, weights))| {
        let tensor = Tensor::new(vec![*outputs, *inputs], weights.clone()).expect("the right size");
        (format!("fc{}.weight", i + 1), tensor)
    });
    description.build_with(tensors.collect()).expect("sound")
}

fn two_layers() -> Network {
    linear(&[(2, 2, vec![1.0, 2.0, 3.0, 4.0]), (2, 2, vec![1.0, -1.0, 2.0, 0.5])])
}

/// The loss `y₁ + 2·y₂` at x = (1, −2), and its gradient with respect to the weights of both layers.
fn step(lines: &str) -> (f32, Vec<Vec<f32>>) {
    let network = two_layers();
    let stored = Stored::new(1, &network, &phase(lines)).expect("sound");
    let parameters = Parameters::of(&network);
    let held = stored.hold(&network, &parameters, START, &[0]);
    let function = Differentiable::new(&network, &device::cpu());
    let touch = |tap: usize, values: &mut [f32], tracked: bool| stored.touch(&held, tap, values, tracked);
    let pass =
        Pass { hooked: &held.hooked, taps: stored.taps(), touch: &touch, ..Pass::plain(Statistics::Batch) };
    let input = function.upload(vec![1.0, -2.0], 1);
    let forward = function.forward(&held.values, &[true, true], &input, &pass);
    let device = forward.logits.device();
    let factors = DeviceTensor::<2>::from_data(TensorData::new(vec![1.0f32, 2.0], [1, 2]), &device);
    let loss = (forward.logits.clone() * factors).sum();
    let value = loss.clone().into_scalar::<f32>();
    let mut gradients = forward.gradients(&loss).parameters;
    held.pass_back(&parameters.values, &mut gradients);
    (value, gradients.into_iter().map(|gradient| gradient.expect("both train")).collect())
}

// By hand: W₁ = [1 2; 3 4] and x = (1, −2) make h = (−3, −5); W₂ = [1 −1; 2 ½] makes y = (2, −8.5). With c = (1, 2):
// ∂/∂W₂ = c·hᵀ, ∂/∂h = W₂ᵀ·c = (5, 0), ∂/∂W₁ = (W₂ᵀ·c)·xᵀ.

#[test]
fn without_faults_gradients_are_the_networks() {
    let (loss, gradients) = step("");
    assert_eq!(loss, 2.0 - 17.0);
    assert_eq!(gradients, [vec![5.0, -10.0, 0.0, 0.0], vec![-3.0, -5.0, -6.0, -10.0]]);
}

#[test]
fn a_hook_changes_the_forward_pass_of_a_layer_only() {
    let fault = "fault = [{ model = \"sign-reversal\", value_fault_rate = 1.0, layers = \"fc2\" }]\n";
    // Both compute −W₂·h; the clean backward pass goes through W₂, the faulty one through −W₂.
    let (loss, gradients) = step(&format!("{fault}fault_gradient = \"clean\""));
    assert_eq!(loss, 15.0);
    assert_eq!(gradients, [vec![5.0, -10.0, 0.0, 0.0], vec![-3.0, -5.0, -6.0, -10.0]]);
    let (loss, gradients) = step(&format!("{fault}fault_gradient = \"faulty\""));
    assert_eq!(loss, 15.0);
    assert_eq!(gradients, [vec![-5.0, 10.0, 0.0, 0.0], vec![-3.0, -5.0, -6.0, -10.0]]);
}

#[test]
fn layers_behind_a_struck_one_see_its_outputs() {
    let fault = "fault = [{ model = \"sign-reversal\", value_fault_rate = 1.0, layers = \"fc1\" }]\n";
    // h = (3, 5) reaches the second layer, whichever way gradients go.
    for gradient in ["clean", "faulty"] {
        let (loss, gradients) = step(&format!("{fault}fault_gradient = \"{gradient}\""));
        assert_eq!(loss, 15.0, "{gradient}");
        assert_eq!(gradients, [vec![5.0, -10.0, 0.0, 0.0], vec![3.0, 5.0, 6.0, 10.0]], "{gradient}");
    }
}

#[test]
fn gradients_pass_struck_activations_as_documented() {
    let fault = |model: &str, gradient: &str| {
        format!(
            "fault = [{{ target = \"activation\", layers = \"fc1\", {model}, value_fault_rate = 1.0 }}]\nfault_gradient = \"{gradient}\""
        )
    };
    let clean = vec![5.0, -10.0, 0.0, 0.0];
    for (model, h, factor) in [
        ("model = \"sign-reversal\"", [3.0, 5.0], -1.0),
        ("model = \"zeroing\"", [0.0, 0.0], 0.0),
        ("model = \"set-value\", value = 7.0", [7.0, 7.0], 0.0),
        // Without spread the noise is its mean.
        ("model = \"gaussian\", mean = 0.5, sigma = 0.0", [-2.5, -4.5], 1.0),
        ("model = \"gaussian\", mean = 0.5, sigma = 0.0, mode = \"multiplicative\"", [-4.5, -7.5], 1.5),
    ] {
        let of_second = vec![h[0], h[1], 2.0 * h[0], 2.0 * h[1]];
        let loss = 5.0 * h[0];
        assert_eq!(
            step(&fault(model, "clean")),
            (loss, vec![clean.clone(), of_second.clone()]),
            "{model}, clean"
        );
        let through = clean.iter().map(|value| factor * value).collect();
        assert_eq!(step(&fault(model, "faulty")), (loss, vec![through, of_second]), "{model}, faulty");
    }
}

#[test]
fn values_beyond_what_a_format_holds_pass_no_gradient_on() {
    // q1.2 reaches from −2 to 1.75: of W₁ = [1 2; 3 4] only the first lies within; so do all of W₂ but its 2.
    let (_, gradients) = step("storage = [{ target = \"weight\", format = \"q1.2\" }]");
    let passes = |gradient: &[f32]| gradient.iter().map(|value| *value != 0.0).collect::<Vec<_>>();
    // h = W₁'·x = (1 − 3.5, 1.75 − 3.5); ∂/∂h = W₂'ᵀ·c = (1 + 3.5, −1 + 1).
    assert_eq!(gradients[0], [4.5, 0.0, 0.0, 0.0]);
    assert_eq!(passes(&gradients[1]), [true, true, false, true]);
}

/// A layer of a thousand weights, none of them zero.
fn wide() -> Network {
    linear(&[(10, 100, (0..1000).map(|i| (i % 7) as f32 * 0.1 + 0.1).collect())])
}

/// The weights that a step finds struck.
fn struck(stored: &Stored, network: &Network, moment: Moment) -> Vec<usize> {
    let parameters = Parameters::of(network);
    let Held { values, .. } = &stored.hold(network, &parameters, moment, &[0]);
    let differs = |i: &usize| values[0][*i].to_bits() != parameters.values[0][*i].to_bits();
    (0..parameters.values[0].len()).filter(differs).collect()
}

#[test]
fn chips_are_drawn_as_often_as_the_recipe_says() {
    let network = wide();
    let stored = |draws: &str, seed: u64| {
        let fault = "fault = [{ model = \"zeroing\", count = 20 }]\nfault_gradient = \"faulty\"";
        Stored::new(seed, &network, &phase(&format!("{fault}\n{draws}"))).expect("sound")
    };
    let at = |phase, epoch, batch| Moment { phase, epoch, batch };
    let draw = |draws: &str, moment| struck(&stored(draws, 1), &network, moment);
    for (draws, of_batch, of_epoch) in [
        ("", true, true),
        ("fault_draws = \"phase\"", true, true),
        ("fault_draws = \"epoch\"", true, false),
        ("fault_draws = \"batch\"", false, false),
        // Faults that are drawn anew for every inference are, in parameters, drawn for every batch.
        ("fault = [{ model = \"zeroing\", count = 20, lifetime = \"transient\" }]", false, false),
    ] {
        let draw = |moment| match draws.strip_prefix("fault = ") {
            None => draw(draws, moment),
            Some(faults) => {
                let lines = format!("fault_gradient = \"faulty\"\nfault = {faults}");
                struck(&Stored::new(1, &network, &phase(&lines)).expect("sound"), &network, moment)
            }
        };
        let first = draw(at(0, 0, 0));
        assert_eq!(first.len(), 20, "{draws}");
        assert_eq!(draw(at(0, 0, 0)), first, "{draws}: the same step again");
        assert_eq!(draw(at(0, 0, 1)) == first, of_batch, "{draws}: another batch");
        assert_eq!(draw(at(0, 1, 0)) == first, of_epoch, "{draws}: another epoch");
        assert_ne!(draw(at(1, 0, 0)), first, "{draws}: another phase");
    }
    assert_ne!(struck(&stored("", 2), &network, START), draw("", START), "another seed");
}

#[test]
fn entries_of_faults_are_drawn_independently() {
    let network = wide();
    let two =
        "fault = [{ model = \"zeroing\", count = 20 }, { model = \"set-value\", value = 9.0, count = 20 }]";
    let stored =
        Stored::new(1, &network, &phase(&format!("{two}\nfault_gradient = \"faulty\""))).expect("sound");
    let held = stored.hold(&network, &Parameters::of(&network), START, &[0]);
    let places = |value: f32| (0..1000).filter(|&i| held.values[0][i] == value).collect::<Vec<usize>>();
    let (zero, nine) = (places(0.0), places(9.0));
    assert!(nine.len() == 20 && (15..=20).contains(&zero.len()) && zero != nine, "{zero:?} {nine:?}");
}

/// Mean and variance of counts against those of a binomial distribution, within five standard errors.
fn is_binomial(counts: &[usize], sites: usize, probability: f64) {
    let draws = counts.len() as f64;
    let mean = counts.iter().sum::<usize>() as f64 / draws;
    let variance = counts.iter().map(|&count| (count as f64 - mean).powi(2)).sum::<f64>() / (draws - 1.0);
    let expected = sites as f64 * probability * (1.0 - probability);
    assert!((mean - sites as f64 * probability).abs() < 5.0 * (expected / draws).sqrt(), "mean {mean}");
    // The excess of a binomial distribution, (1 − 6p(1 − p))/(np(1 − p)), adds to the variance's own.
    let excess = (1.0 - 6.0 * probability * (1.0 - probability)) / expected;
    let error = expected * ((2.0 + excess) / draws).sqrt();
    assert!((variance - expected).abs() < 5.0 * error, "variance {variance}, expected {expected}");
}

#[test]
fn the_number_of_struck_weights_has_its_distribution() {
    let network = wide();
    for (fault, probability) in [
        ("model = \"zeroing\", value_fault_rate = 0.03", 0.03),
        // A weight reads otherwise if any of its bits is flipped.
        ("model = \"bit-flip\", format = \"f32\", bit_error_rate = 0.002", 1.0 - 0.998f64.powi(32)),
    ] {
        let lines = format!("fault = [{{ {fault} }}]\nfault_draws = \"batch\"\nfault_gradient = \"faulty\"");
        let stored = Stored::new(5, &network, &phase(&lines)).expect("sound");
        let counts: Vec<usize> = (0..800)
            .map(|i| struck(&stored, &network, Moment { phase: 0, epoch: i / 20, batch: i % 20 }).len())
            .collect();
        is_binomial(&counts, 1000, probability);
    }
}

#[test]
fn every_image_has_transient_faults_of_its_own_wherever_it_lies_in_a_batch() {
    let network = wide();
    let lines = "fault = [{ target = \"input\", model = \"set-value\", value = 9.0, value_fault_rate = 0.1, lifetime = \"transient\" }]";
    let stored = Stored::new(5, &network, &phase(lines)).expect("sound");
    let read = |moment: Moment, images: &[usize]| {
        let held = stored.hold(&network, &Parameters::of(&network), moment, images);
        let mut values = vec![1.0; images.len() * 100];
        stored.touch(&held, 0, &mut values, true);
        values.chunks_exact(100).map(<[f32]>::to_vec).collect::<Vec<_>>()
    };
    let images: Vec<usize> = (0..600).collect();
    let whole = read(START, &images);
    let part = read(START, &[41, 7, 300]);
    assert_eq!(part, [whole[41].clone(), whole[7].clone(), whole[300].clone()]);
    assert_ne!(read(Moment { batch: 1, ..START }, &[41])[0], whole[41]);
    assert!((1..600).all(|image| whole[image] != whole[0]));
    let counts: Vec<usize> =
        whole.iter().map(|values| values.iter().filter(|value| **value == 9.0).count()).collect();
    is_binomial(&counts, 100, 0.1);
}

#[test]
fn lasting_faults_of_activations_strike_every_image_alike() {
    let network = wide();
    let lines = "fault = [{ target = \"input\", model = \"set-value\", value = 9.0, count = 5 }]";
    let stored = Stored::new(5, &network, &phase(lines)).expect("sound");
    let held = stored.hold(&network, &Parameters::of(&network), START, &[3, 1]);
    let mut values = vec![1.0; 200];
    stored.touch(&held, 0, &mut values, true);
    let places = |values: &[f32]| (0..100).filter(|&i| values[i] == 9.0).collect::<Vec<_>>();
    assert_eq!(places(&values[..100]), places(&values[100..]));
    assert_eq!(places(&values[..100]).len(), 5);
}
