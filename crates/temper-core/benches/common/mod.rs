//! What several benchmarks run.

use temper_core::network::Network;
use temper_core::network::zoo::{Architecture, Family};

/// A network whose weights are not zero, so that no multiplication is by a constant.
pub(crate) fn network(name: &str) -> Network {
    let family: Family = name.parse().expect("a known family");
    let widths: &[usize] = if name == "mlp" { &[300, 100] } else { &[] };
    let blank = Architecture { widths: widths.to_vec(), ..Architecture::new(family) }.build();
    let blank = blank.expect("a sound architecture");
    let mut parameters = blank.tensors().clone();
    for (path, tensor) in &mut parameters {
        let fan_in: usize = tensor.shape().iter().skip(1).product();
        if path.ends_with("weight") && tensor.shape().len() > 1 {
            for (i, value) in tensor.data_mut().iter_mut().enumerate() {
                *value = ((i * 2_654_435_761 % 1000) as f32 / 500.0 - 1.0) / (fan_in as f32).sqrt();
            }
        }
    }
    blank.with_parameters(parameters).expect("the same shapes")
}
