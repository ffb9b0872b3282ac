//! Networks that train and networks that run are the same: every family of the zoo gives the same outputs by the differentiable
//! network and by the native executor, with its parameters moved there and back.

use std::collections::BTreeMap;

use temper_core::Tensor;
use temper_core::data::{Dataset, Inputs, Preprocessing, Split};
use temper_core::execution::{Program, logits, top_class};
use temper_core::network::Network;
use temper_core::network::zoo::{Architecture, Family, Nonlinearity, Pooling, Shortcut};
use temper_train::device;
use temper_train::differentiable::{Differentiable, Parameters, Pass, Statistics};
use temper_train::{Initialisation, initialise};

const IMAGES: usize = 40;

/// Noise as images of this shape.
fn images(shape: [usize; 3]) -> Dataset {
    let values = IMAGES * shape.iter().product::<usize>();
    let mut state = 1u64;
    let mut pixel = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let pixels = (0..values).map(|_| pixel()).collect();
    Dataset::new("noise", Split::Test, shape, 10, u8::MAX, pixels, vec![0; IMAGES]).expect("a data set")
}

/// The network with parameters as before training, but batch norms and biases that do something.
fn filled(architecture: &Architecture) -> Network {
    let blank = architecture.build().expect("sound");
    let network = initialise(blank, Initialisation::default(), 5);
    let vary = |(path, tensor): (&String, &Tensor)| {
        let vary = |(i, value): (usize, &f32)| {
            let wave = (i as f32 * 0.7 + path.len() as f32).sin();
            match path.rsplit('.').next() {
                Some("running_var") => 0.4 + 0.3 * wave,
                Some("running_mean") => 0.2 * wave,
                Some("bias") => value + 0.1 * wave,
                _ => *value,
            }
        };
        let data = tensor.data().iter().enumerate().map(vary).collect();
        (path.clone(), Tensor::new(tensor.shape().to_vec(), data).expect("the same shape"))
    };
    let tensors: BTreeMap<String, Tensor> = network.tensors().iter().map(vary).collect();
    network.with_parameters(tensors).expect("the same parameters")
}

/// Outputs as they are in inference, by the differentiable network.
fn differentiable(network: &Network, inputs: &Inputs<'_>) -> Vec<f32> {
    let parameters = Parameters::of(network);
    let function = Differentiable::new(network, &device::cpu());
    let mut values = vec![0.0; IMAGES * network.input_shape().iter().product::<usize>()];
    inputs.fill(0..IMAGES, &mut values);
    let input = function.upload(values, IMAGES);
    let none = vec![false; parameters.values.len()];
    function.forward(&parameters.values, &none, &input, &Pass::plain(Statistics::Running)).logits_on_host()
}

fn architectures() -> Vec<Architecture> {
    let small = |family, input: [usize; 3], widths: &[usize]| Architecture {
        input: input.to_vec(),
        widths: widths.to_vec(),
        ..Architecture::new(family)
    };
    let mlp = small(Family::Mlp, [1, 8, 8], &[12, 9]);
    let lenet = small(Family::Lenet5, [1, 28, 28], &[3, 4, 20, 12]);
    let stages = |depth| small(Family::Resnet(depth), [3, 16, 16], &[4, 5, 6, 7]);
    let vgg = |depth| small(Family::Vgg(depth), [3, 32, 32], &[3, 4, 5, 6, 7]);
    let cifar = |depth, shortcut| Architecture {
        shortcut,
        ..small(Family::CifarResnet(depth), [3, 16, 16], &[4, 6, 8])
    };
    vec![
        mlp.clone(),
        Architecture { widths: Vec::new(), ..mlp.clone() },
        Architecture { nonlinearity: Nonlinearity::Tanh, ..mlp.clone() },
        Architecture { nonlinearity: Nonlinearity::Sigmoid, ..mlp },
        lenet.clone(),
        Architecture { pooling: Pooling::Avg, nonlinearity: Nonlinearity::Tanh, ..lenet },
        vgg(13),
        vgg(16),
        stages(18),
        stages(34),
        cifar(20, Shortcut::A),
        cifar(32, Shortcut::B),
    ]
}

#[test]
fn outputs_agree_with_the_native_executor() {
    for architecture in architectures() {
        let network = filled(&architecture);
        let parameters = Parameters::of(&network);
        let back = parameters.into_network(architecture.build().expect("sound"));
        assert!(back.tensors() == network.tensors(), "{architecture:?}");

        let data = images(<[usize; 3]>::try_from(network.input_shape()).expect("images"));
        let inputs = Preprocessing::default().bind(&data, network.input_shape()).expect("the same shape");
        let (program, weights) = Program::compile(&back, &[], &[]);
        let native = logits(&program, &weights, &inputs, &|_| {});
        let found = differentiable(&network, &inputs);
        let spread = native.iter().fold(0.0f32, |most, logit| most.max(logit.abs()));
        assert!((0.01..100.0).contains(&spread), "outputs of {architecture:?} reach {spread}");
        for (found, native) in found.iter().zip(&native) {
            assert!((found - native).abs() <= 1e-4, "{architecture:?}: {found}, natively {native}");
        }
        let predictions = |logits: &[f32]| logits.chunks_exact(10).map(top_class).collect::<Vec<_>>();
        assert_eq!(predictions(&found), predictions(&native), "{architecture:?}");
    }
}
