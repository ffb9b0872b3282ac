//! The model file: a network, its parameters and its preprocessing in one safetensors file. `docs/file-formats.md` specifies it.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use ::safetensors::tensor::Dtype;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::description::GraphDescription;
use super::graph::{Network, NetworkError};
use super::import::{SafeTensorsError, safetensors};
use crate::atomic::write_atomically;
use crate::data::{Preprocessing, PreprocessingError};
use crate::tensor::Tensor;

/// The only version of the format.
const FORMAT: &str = "1";
const FORMAT_KEY: &str = "temper_format";
const GRAPH_KEY: &str = "graph";
const PREPROCESSING_KEY: &str = "preprocessing";

/// A network with the preprocessing its inputs need: all there is to a trained model.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The network with its parameters.
    pub network: Network,
    /// How images become its inputs.
    pub preprocessing: Preprocessing,
}

/// Why a model file cannot be read or written.
#[derive(Debug, Error)]
pub enum ModelError {
    /// Reading a file failed.
    #[error("cannot load the model {}", path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<ModelError>,
    },
    /// Writing a file failed.
    #[error("cannot save the model {}", path.display())]
    Save {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The system refuses to read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The file is not a safetensors file.
    #[error(transparent)]
    SafeTensors(#[from] SafeTensorsError),
    /// A safetensors file without a network.
    #[error("the file holds plain weights and no network; make a model of it with `temper model import`")]
    PlainWeights,
    /// A version this program does not know.
    #[error(
        "the model file is of format version \"{found}\", expected \"{FORMAT}\"; a newer temper wrote it"
    )]
    FormatVersion {
        /// The version.
        found: String,
    },
    /// A part of the header is absent.
    #[error("the model file's header has no \"{key}\"; save the model again")]
    Missing {
        /// The part.
        key: &'static str,
    },
    /// A part of the header does not have the form that the format asks for.
    #[error("\"{key}\" in the model file's header is malformed")]
    Json {
        /// The part.
        key: &'static str,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// A parameter is not stored as `f32`.
    #[error("parameter \"{name}\" has elements of type {found}, expected F32")]
    ElementType {
        /// The parameter.
        name: String,
        /// Its element type.
        found: String,
    },
    /// Graph and parameters do not make a network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The preprocessing makes no sense.
    #[error(transparent)]
    Preprocessing(#[from] PreprocessingError),
}

/// A tensor's entry in the header, as safetensors has it.
#[derive(Serialize)]
struct Entry<'a> {
    dtype: &'static str,
    shape: &'a [usize],
    data_offsets: [usize; 2],
}

/// The header: metadata first, then the tensors in the order of their names.
#[derive(Serialize)]
struct Header<'a> {
    #[serde(rename = "__metadata__")]
    metadata: BTreeMap<&'static str, String>,
    #[serde(flatten)]
    tensors: BTreeMap<&'a str, Entry<'a>>,
}

impl Model {
    /// Reads a model file.
    ///
    /// # Errors
    /// When the file cannot be read or is not a model file; the error names it.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        std::fs::read(path)
            .map_err(ModelError::Io)
            .and_then(|bytes| Self::from_bytes(&bytes))
            .map_err(|source| ModelError::Load { path: path.to_owned(), source: Box::new(source) })
    }

    /// Writes a model file: into a temporary file beside it that then takes its place, so that no half-written model is ever seen.
    ///
    /// # Errors
    /// When the file cannot be written; the error names it.
    pub fn save(&self, path: &Path) -> Result<(), ModelError> {
        let bytes = self.to_bytes()?;
        write_atomically(path, &bytes).map_err(|source| ModelError::Save { path: path.to_owned(), source })
    }

    /// The model in a model file's bytes.
    ///
    /// # Errors
    /// When they are not a safetensors file, hold no network, are of an unknown format version, or contradict themselves.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelError> {
        let (tensors, header) = safetensors::parse(bytes)?;
        let metadata = header.metadata().as_ref().ok_or(ModelError::PlainWeights)?;
        let version = metadata.get(FORMAT_KEY).ok_or(ModelError::PlainWeights)?;
        if version != FORMAT {
            return Err(ModelError::FormatVersion { found: version.clone() });
        }
        let graph: GraphDescription = parse(metadata, GRAPH_KEY)?;
        let preprocessing: Preprocessing = parse(metadata, PREPROCESSING_KEY)?;
        preprocessing.check_values()?;
        let mut parameters = BTreeMap::new();
        for raw in tensors {
            if raw.dtype != Dtype::F32 {
                return Err(ModelError::ElementType { found: raw.dtype.to_string(), name: raw.name });
            }
            let tensor = raw.f32_tensor()?;
            parameters.insert(raw.name, tensor);
        }
        Ok(Self { network: graph.build_with(parameters)?, preprocessing })
    }

    /// The bytes of the model file: the same for equal models, always.
    ///
    /// # Errors
    /// When the preprocessing holds a value that cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ModelError> {
        self.preprocessing.check_values()?;
        let header = self.header()?;
        let values = self.network.tensors().values().flat_map(Tensor::data);
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header);
        bytes.extend(values.flat_map(|value| value.to_le_bytes()));
        Ok(bytes)
    }

    /// The header in JSON, padded with spaces so that the data are aligned to 8 bytes.
    fn header(&self) -> Result<Vec<u8>, ModelError> {
        let graph = GraphDescription::from(&self.network);
        let metadata = BTreeMap::from([
            (FORMAT_KEY, FORMAT.to_owned()),
            (GRAPH_KEY, write(GRAPH_KEY, &graph)?),
            (PREPROCESSING_KEY, write(PREPROCESSING_KEY, &self.preprocessing)?),
        ]);
        let mut end = 0;
        let tensors = self.network.tensors().iter().map(|(name, tensor)| {
            let start = end;
            end += size_of_val(tensor.data());
            (name.as_str(), Entry { dtype: "F32", shape: tensor.shape(), data_offsets: [start, end] })
        });
        let tensors = tensors.collect();
        let mut header = write(GRAPH_KEY, &Header { metadata, tensors })?.into_bytes();
        header.resize(header.len().next_multiple_of(8), b' ');
        Ok(header)
    }
}

fn write(key: &'static str, part: &impl Serialize) -> Result<String, ModelError> {
    serde_json::to_string(part).map_err(|source| ModelError::Json { key, source })
}

fn parse<T: DeserializeOwned>(
    metadata: &HashMap<String, String>,
    key: &'static str,
) -> Result<T, ModelError> {
    let text = metadata.get(key).ok_or(ModelError::Missing { key })?;
    serde_json::from_str(text).map_err(|source| ModelError::Json { key, source })
}
