//! Laying the weights of a checkpoint into a network of known architecture.
//!
//! Everyone names modules differently: `fc`, `linear` and `classifier.2` are one and the same layer. Three ways are tried in turn,
//! each all or nothing: equal names; equal names after common synonyms; the same layers, of the same shapes, in the same order.

use std::collections::{BTreeMap, HashMap, HashSet};

use thiserror::Error;

use super::state_dict::{StateDict, name_list};
use crate::network::{Network, NetworkError};
use crate::tensor::Tensor;

/// A network with the weights of a checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// The network.
    pub network: Network,
    /// How names were matched, where they were not equal; one sentence each, to be shown to the user.
    pub notes: Vec<String>,
}

/// Why a checkpoint does not fit an architecture.
#[derive(Debug, Error, PartialEq)]
pub enum FitError {
    /// Neither names nor order agree.
    #[error(
        "the weights do not fit the architecture: {differences}; check --arch and its options, or describe the network in a file"
    )]
    Mismatch {
        /// What differs.
        differences: String,
    },
    /// The parameters do not make a network after all.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

/// Lays the weights of `dict` into `network`.
///
/// # Errors
/// When names, shapes or order do not agree; the error lists what differs.
pub fn fit(dict: StateDict, network: Network) -> Result<Fitted, FitError> {
    let dict = dict.strip_prefix();
    let mut notes = dict.notes().to_vec();
    let by_name = |canonical: fn(&str) -> String| {
        let found: HashMap<String, &Tensor> =
            dict.entries().iter().map(|(name, tensor)| (canonical(name), tensor)).collect();
        let paths: Vec<String> = network.parameters().map(|(path, _)| path).collect();
        let distinct: HashSet<String> = paths.iter().map(|path| canonical(path)).collect();
        let complete = [paths.len(), found.len(), distinct.len()] == [dict.len(); 3];
        let tensor = |path: String| Some(((*found.get(&canonical(&path))?).clone(), path));
        let matched: Option<Vec<_>> = paths.into_iter().map(tensor).collect();
        matched
            .filter(|_| complete)
            .map(|matched| matched.into_iter().map(|(tensor, path)| (path, tensor)).collect())
    };
    let shapes_agree = |parameters: &BTreeMap<String, Tensor>| {
        network.parameters().all(|(path, parameter)| parameters[&path].shape() == parameter.tensor.shape())
    };
    let parameters = if let Some(parameters) = by_name(str::to_owned).filter(shapes_agree) {
        parameters
    } else if let Some(parameters) = by_name(canonical).filter(shapes_agree) {
        notes.push("layers were matched by name after common synonyms (such as linear for fc)".to_owned());
        parameters
    } else if let Some(parameters) = by_order(&dict, &network) {
        notes.push(
            "layers were matched by order and shape, since their names are other ones: check the accuracy"
                .to_owned(),
        );
        parameters
    } else {
        return Err(FitError::Mismatch { differences: differences(&dict, &network) });
    };
    Ok(Fitted { network: network.with_parameters(parameters)?, notes })
}

/// A name with common synonyms made one: stages are `layer`, shortcuts `downsample`, the last linear layer `fc`.
fn canonical(name: &str) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    let (field, modules) = parts.split_last().unwrap_or((&"", &[]));
    let mut path: Vec<String> = modules
        .iter()
        .map(|&module| match module {
            "shortcut" | "downsample" | "down" | "skip" => "downsample".to_owned(),
            "linear" | "fc" | "classifier" | "head" => "fc".to_owned(),
            other => ["res", "stage", "block", "layer"]
                .iter()
                .find_map(|stage| other.strip_prefix(stage))
                .filter(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
                .map_or_else(|| other.to_owned(), |number| format!("layer{number}")),
        })
        .collect();
    // The classifier is often the last part of a sequence: `classifier.2`.
    let is_number = |part: &String| part.bytes().all(|b| b.is_ascii_digit());
    if path.len() == 2 && path[0] == "fc" && is_number(&path[1]) {
        path.pop();
    }
    path.push((*field).to_owned());
    path.join(".")
}

/// A layer's parameters: the last part of each path, with what stands there.
type Layer<T> = Vec<(String, T)>;

/// Groups parameters that share all but the last part of their path, in order.
fn layers<T>(parameters: impl Iterator<Item = (String, T)>) -> Vec<(String, Layer<T>)> {
    let mut layers: Vec<(String, Layer<T>)> = Vec::new();
    for (path, value) in parameters {
        let (layer, field) = path.rsplit_once('.').unwrap_or(("", &path));
        match layers.last_mut() {
            Some((last, fields)) if last == layer => fields.push((field.to_owned(), value)),
            _ => layers.push((layer.to_owned(), vec![(field.to_owned(), value)])),
        }
    }
    for (_, fields) in &mut layers {
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    }
    layers
}

/// The parameters, if the checkpoint has the same layers in the same order.
fn by_order(dict: &StateDict, network: &Network) -> Option<BTreeMap<String, Tensor>> {
    let found = layers(dict.entries().iter().map(|(name, tensor)| (name.clone(), tensor)));
    let needed = layers(network.parameters().map(|(path, parameter)| (path, parameter.tensor)));
    if found.len() != needed.len() {
        return None;
    }
    let mut parameters = BTreeMap::new();
    for ((_, found), (layer, needed)) in found.iter().zip(&needed) {
        if found.len() != needed.len() {
            return None;
        }
        for ((found_field, tensor), (field, blank)) in found.iter().zip(needed) {
            if found_field != field || tensor.shape() != blank.shape() {
                return None;
            }
            parameters.insert(format!("{layer}.{field}"), (*tensor).clone());
        }
    }
    Some(parameters)
}

/// What keeps a checkpoint from fitting, in one sentence.
fn differences(dict: &StateDict, network: &Network) -> String {
    let needed: BTreeMap<String, &[usize]> =
        network.parameters().map(|(path, parameter)| (path, parameter.tensor.shape())).collect();
    let shapes = dict.entries().iter().find_map(|(name, tensor)| {
        let shape = needed.get(name).filter(|shape| **shape != tensor.shape())?;
        Some(format!("\"{name}\" has shape {:?}, expected {shape:?}", tensor.shape()))
    });
    let missing: Vec<&String> = needed.keys().filter(|path| dict.get(path).is_none()).collect();
    let unexpected: Vec<&String> =
        dict.entries().iter().map(|(name, _)| name).filter(|name| !needed.contains_key(*name)).collect();
    let list = |what: &str, names: &[&String]| {
        (!names.is_empty()).then(|| format!("{} {what}: {}", names.len(), name_list(names, 3)))
    };
    let all = [shapes, list("missing", &missing), list("unexpected", &unexpected)];
    all.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::super::element::Float;
    use super::super::state_dict::Builder;
    use super::*;
    use crate::network::GraphDescription;

    /// A checkpoint of 2×2 weights, each filled with its number.
    fn weights(names: &[&str]) -> StateDict {
        let mut builder = Builder::default();
        for (number, name) in names.iter().enumerate() {
            builder.tensor((*name).to_owned(), Float::F32, Tensor::full(&[2, 2], number as f32));
        }
        builder.finish()
    }

    /// Two linear layers of those names.
    fn network(names: [&str; 2]) -> Network {
        let node = |name: &str| {
            format!(
                r#"{{"name": "{name}", "op": {{"kind": "linear", "in_features": 2, "out_features": 2, "bias": false}}}}"#
            )
        };
        let graph = format!(r#"{{"input": [2], "node": [{}, {}]}}"#, node(names[0]), node(names[1]));
        let graph: GraphDescription = serde_json::from_str(&graph).expect("valid JSON");
        graph.build().expect("a sound network")
    }

    /// The first value of each layer's weight: the number of the tensor that went there.
    fn fitted(names: &[&str], layers: [&str; 2]) -> Result<[f32; 2], FitError> {
        let fitted = fit(weights(names), network(layers))?;
        Ok(layers.map(|layer| fitted.network.tensors()[&format!("{layer}.weight")].data()[0]))
    }

    #[test]
    fn names_go_before_synonyms_and_synonyms_before_order() {
        assert_eq!(fitted(&["b.weight", "a.weight"], ["a", "b"]), Ok([1.0, 0.0]));
        assert_eq!(fitted(&["linear.weight", "res1.weight"], ["layer1", "fc"]), Ok([1.0, 0.0]));
        assert_eq!(fitted(&["x.weight", "y.weight"], ["a", "b"]), Ok([0.0, 1.0]));
    }

    #[test]
    fn no_tensor_is_used_twice() {
        // Both layers are synonyms of `fc`; only their order tells them apart.
        assert_eq!(fitted(&["fc.weight", "out.weight"], ["classifier.0", "classifier.2"]), Ok([0.0, 1.0]));
        assert!(matches!(fitted(&["a.weight"], ["a", "b"]), Err(FitError::Mismatch { .. })));
        assert!(matches!(
            fitted(&["a.weight", "b.weight", "c.weight"], ["a", "b"]),
            Err(FitError::Mismatch { .. })
        ));
    }

    #[test]
    fn synonyms_become_one_name() {
        for (name, expected) in [
            ("linear.weight", "fc.weight"),
            ("classifier.2.bias", "fc.bias"),
            ("res3.1.conv2.weight", "layer3.1.conv2.weight"),
            ("layer2.0.shortcut.0.weight", "layer2.0.downsample.0.weight"),
            ("fc1.weight", "fc1.weight"),
            ("features.0.weight", "features.0.weight"),
            ("residual.weight", "residual.weight"),
            ("weight", "weight"),
        ] {
            assert_eq!(canonical(name), expected);
        }
    }
}
