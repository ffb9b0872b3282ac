//! What makes two campaigns the same.

use serde::{Deserialize, Serialize};

use super::arithmetic::Arithmetic;
use super::spec::CampaignSpec;
use super::store::FORMAT_VERSION;
use crate::data::{Dataset, Preprocessing};
use crate::fault::FaultSpec;
use crate::hash::ContentHash;
use crate::network::{GraphDescription, Network};

/// Hashes (SHA-256, the first 16 hexadecimal digits) of all that results depend on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Of the parts below and the format's version.
    pub campaign: String,
    /// Of the specification, without paths.
    pub spec: String,
    /// Of the network's graph, parameters and preprocessing.
    pub network: String,
    /// Of the images and labels used.
    pub data: String,
}

impl Identity {
    pub(super) fn new(
        spec: &CampaignSpec,
        network: &Network,
        preprocessing: &Preprocessing,
        data: &Dataset,
        calibration: Option<&Dataset>,
    ) -> Self {
        // Where the model and lists lie does not matter; what is in them is hashed.
        let faults: Vec<FaultSpec> =
            spec.faults.iter().map(|fault| FaultSpec { list: None, ..fault.clone() }).collect();
        let stored = (&spec.calibration, &spec.storage);
        let parts = (spec.seed, &spec.data, stored, faults, &spec.sweep, &spec.trials, &spec.record);
        // Of float arithmetic and no hardware nothing is added: campaigns from before there was another keep their hash.
        let arithmetic = (spec.arithmetic != Arithmetic::Float).then(|| json(&spec.arithmetic));
        let hardware = (!spec.hardware.is_empty()).then(|| json(&spec.hardware));
        let spec =
            ContentHash::of([json(&parts)].iter().chain(&arithmetic).chain(&hardware).map(Vec::as_slice));
        let network = hash_network(network, preprocessing);
        let data: Vec<String> = std::iter::once(data).chain(calibration).map(Dataset::content_hash).collect();
        let data = if let [images] = data.as_slice() {
            images.clone()
        } else {
            ContentHash::of(data.iter().map(String::as_bytes))
        };
        let version = FORMAT_VERSION.to_string();
        let campaign =
            ContentHash::of([version.as_bytes(), spec.as_bytes(), network.as_bytes(), data.as_bytes()]);
        Self { campaign, spec, network, data }
    }

    /// The parts in which two identities differ.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        [
            ("the specification", self.spec != other.spec),
            ("the network", self.network != other.network),
            ("the data", self.data != other.data),
        ]
        .into_iter()
        .filter_map(|(part, differs)| differs.then_some(part))
        .collect()
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain data is always JSON")
}

fn hash_network(network: &Network, preprocessing: &Preprocessing) -> String {
    let mut hash = ContentHash::default();
    hash.add(&json(&GraphDescription::from(network)));
    hash.add(&json(preprocessing));
    for (path, tensor) in network.tensors() {
        hash.add(path.as_bytes());
        let bytes: Vec<u8> = tensor.data().iter().flat_map(|value| value.to_le_bytes()).collect();
        hash.add(&bytes);
    }
    hash.finish()
}
