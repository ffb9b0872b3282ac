//! A network as it lies in memory.

use std::collections::BTreeMap;

use super::calibration::Calibration;
use super::places::{Found, places};
use super::selector::{Candidate, Layers, select};
use super::storage::{MemoryError, Place, StorageError, StorageSpec};
use super::target::{BatchNormVector, Class, Part, Target};
use crate::execution::{ParameterId, Tap, TapId, TapSide};
use crate::network::{Network, NodeId, ParameterKind};
use crate::number::{Codec, Granularity, NumberFormat, Quantisation, Scheme};
use crate::tensor::Tensor;

/// A tensor's place in a [`Memory`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TensorId(pub usize);

/// A tensor that lies in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredTensor {
    /// The layer it belongs to.
    pub layer: String,
    /// What it is.
    pub class: Class,
    /// Where at the layer, for activations.
    pub place: Option<Place>,
    /// Its shape; of an activation that of one image.
    pub shape: Vec<usize>,
    /// In what it is stored.
    pub format: NumberFormat,
    cells: Cells,
    quantisation: Quantisation,
    /// How values become words; for activations known only after calibration.
    codec: Option<Codec>,
}

/// Where a tensor's values are while a program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cells {
    Parameter(ParameterId),
    Activation(TapId),
}

impl StoredTensor {
    /// The parameter it is, unless it is an activation.
    pub fn parameter(&self) -> Option<ParameterId> {
        match self.cells {
            Cells::Parameter(parameter) => Some(parameter),
            Cells::Activation(_) => None,
        }
    }

    /// The tap it lies at, if it is an activation.
    pub fn tap(&self) -> Option<TapId> {
        match self.cells {
            Cells::Parameter(_) => None,
            Cells::Activation(tap) => Some(tap),
        }
    }

    /// How its values become words.
    ///
    /// # Panics
    /// For an activation before [`Memory::calibrate`].
    pub fn codec(&self) -> &Codec {
        self.codec.as_ref().expect("activations are calibrated before they run")
    }

    /// How its values are mapped to the codes of its format.
    pub fn quantisation(&self) -> &Quantisation {
        &self.quantisation
    }

    /// Number of values; of an activation for one image.
    pub fn values(&self) -> usize {
        self.shape.iter().product()
    }

    /// Number of words of a part; of an activation for one image, but its scale and zero point are the same for all.
    pub fn words(&self, part: Part) -> usize {
        match part {
            Part::Values => self.values(),
            Part::Scale | Part::ZeroPoint => self.channels_of_scales(),
        }
    }

    /// The format of the words of a part; `None` if the tensor has no such part.
    pub fn word_format(&self, part: Part) -> Option<NumberFormat> {
        match part {
            Part::Values => Some(self.format),
            Part::Scale => self.format.needs_range().then_some(NumberFormat::F32),
            Part::ZeroPoint => self.is_affine().then_some(self.format),
        }
    }

    /// Its values as channels of rows and columns, for faults that strike several at once. A parameter `[out, …]` is one channel: a
    /// matrix of `out` rows; an activation `[F]` has `F` channels of one value.
    pub fn extents(&self) -> [usize; 3] {
        let values = self.values();
        match (self.cells, self.shape.as_slice()) {
            (Cells::Parameter(_), [out, ..]) => [1, *out, values / out],
            (_, &[channels, height, width]) => [channels, height, width],
            (_, [channels, ..]) => [*channels, 1, values / channels],
            (_, []) => [1, 1, 1],
        }
    }

    /// Whether zero points lie in memory beside the scales.
    pub(super) fn is_affine(&self) -> bool {
        matches!(self.format, NumberFormat::Uint(_)) || self.quantisation.scheme == Some(Scheme::Affine)
    }

    fn channels_of_scales(&self) -> usize {
        match self.quantisation.granularity {
            Granularity::Channel => self.shape.first().copied().unwrap_or(1),
            Granularity::Tensor => 1,
        }
    }
}

/// A network as stored: its parameters are what their code words mean.
#[derive(Debug, Clone)]
pub struct Memory {
    network: Network,
    /// Of every parameter of the network.
    paths: Vec<String>,
    tensors: Vec<StoredTensor>,
    taps: Vec<Tap>,
}

impl Memory {
    /// Stores a network. Activations chosen by `storage` get taps.
    ///
    /// # Errors
    /// When an entry chooses nothing, or its format and its other choices do not go together.
    pub fn new(network: &Network, storage: &[StorageSpec]) -> Result<Self, StorageError> {
        let mut memory = Self {
            network: network.clone(),
            paths: network.parameters().map(|(path, _)| path).collect(),
            tensors: parameters(network),
            taps: Vec::new(),
        };
        for (i, spec) in storage.iter().enumerate() {
            memory.choose_format(spec).map_err(|source| StorageError { number: i + 1, source })?;
        }
        memory.store_parameters();
        Ok(memory)
    }

    /// Makes an entry's format that of the tensors it chooses.
    fn choose_format(&mut self, spec: &StorageSpec) -> Result<(), MemoryError> {
        let class = spec.target.class;
        if spec.target.part != Part::Values {
            let reason = format!("{} is stored with its tensor; expected {}", spec.target, class.name());
            return Err(MemoryError::Field { field: "target", reason });
        }
        if class.is_activation() && spec.granularity == Some(Granularity::Channel) {
            let reason = "all activations at one place share a scale; expected \"tensor\"".to_owned();
            return Err(MemoryError::Field { field: "granularity", reason });
        }
        self.add_taps(spec.target, &spec.layers, spec.place)?;
        for id in self.select(spec.target, &spec.layers, spec.place)? {
            let tensor = &mut self.tensors[id.0];
            (tensor.format, tensor.quantisation) = (spec.format, spec.quantisation());
            tensor.quantisation.check(tensor.format).map_err(|source| MemoryError::Quantisation {
                layer: tensor.layer.clone(),
                target: tensor.class.into(),
                source,
            })?;
        }
        Ok(())
    }

    /// Gives taps to the activations that a target and selectors choose; other targets need none.
    ///
    /// # Errors
    /// When a selector is malformed or matches nothing.
    pub fn add_taps(
        &mut self,
        target: Target,
        layers: &Layers,
        place: Option<Place>,
    ) -> Result<(), MemoryError> {
        if target.class.is_activation() {
            for found in places(&self.network, target.class, layers, place)? {
                self.add_tap(found);
            }
        }
        Ok(())
    }

    fn add_tap(&mut self, found: Found) {
        if self.taps.contains(&found.tap) {
            return;
        }
        let node = self.network.node(found.tap.node);
        let measured = match found.tap.side {
            TapSide::Output => found.tap.node,
            TapSide::Input => node.inputs[0],
        };
        self.tensors.push(StoredTensor {
            layer: found.layer,
            class: found.class,
            place: found.place,
            shape: self.network.shape(measured).to_vec(),
            format: NumberFormat::F32,
            cells: Cells::Activation(TapId(self.taps.len())),
            quantisation: Quantisation::default(),
            codec: None,
        });
        self.taps.push(found.tap);
    }

    /// The same network with other parameters, stored in the same formats and choices; activations keep their ranges.
    ///
    /// # Panics
    /// When the network has other parameters than this memory's.
    #[must_use]
    pub fn restored(&self, network: Network) -> Self {
        let mut memory = Self { network, ..self.clone() };
        memory.store_parameters();
        memory
    }

    /// Replaces every parameter by what its code words mean.
    fn store_parameters(&mut self) {
        let mut stored: BTreeMap<String, Tensor> = self.network.tensors().clone();
        for tensor in &mut self.tensors {
            let Cells::Parameter(id) = tensor.cells else { continue };
            let path = &self.paths[id.0];
            let values = stored[path].data();
            let channels = tensor.channels_of_scales();
            let codec = Codec::fit(tensor.format, &tensor.quantisation, values, channels)
                .expect("checked when chosen, and channels divide a tensor");
            let mut values = values.to_vec();
            codec.store(&mut values);
            let same_shape = Tensor::new(tensor.shape.clone(), values).expect("as many values as before");
            stored.insert(path.clone(), same_shape);
            tensor.codec = Some(codec);
        }
        self.network = self.network.clone().with_parameters(stored).expect("the same paths and shapes");
    }

    /// The network with its parameters as stored.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Where activations are stored or struck.
    pub fn taps(&self) -> &[Tap] {
        &self.taps
    }

    /// All tensors: parameters in the network's order, then activations in the order of their taps.
    pub fn tensors(&self) -> &[StoredTensor] {
        &self.tensors
    }

    /// Whether another memory of the same network stores the same values in the same formats.
    pub fn stores_like(&self, other: &Self) -> bool {
        let stored = |memory: &Self| -> Vec<(Option<ParameterId>, Option<Tap>, NumberFormat, Quantisation)> {
            let tensors = memory.tensors.iter().filter(|tensor| tensor.format != NumberFormat::F32);
            let mut stored: Vec<_> = tensors
                .map(|tensor| {
                    let tap = tensor.tap().map(|tap| memory.taps[tap.0]);
                    (tensor.parameter(), tap, tensor.format, tensor.quantisation)
                })
                .collect();
            stored.sort_by_key(|(parameter, tap, ..)| (*parameter, *tap));
            stored
        };
        stored(self) == stored(other)
    }

    /// One tensor.
    pub fn tensor(&self, id: TensorId) -> &StoredTensor {
        &self.tensors[id.0]
    }

    /// The weights of a layer.
    ///
    /// # Panics
    /// When it has none.
    pub(crate) fn weights_of(&self, layer: &str) -> &StoredTensor {
        let is_own = |tensor: &&StoredTensor| tensor.class == Class::Weight && tensor.layer == layer;
        self.tensors.iter().find(is_own).expect("a layer with weights")
    }

    /// The tensor at a tap.
    pub fn at_tap(&self, tap: TapId) -> TensorId {
        TensorId(self.tensors.len() - self.taps.len() + tap.0)
    }

    /// The tensor at a tap, if there is that tap.
    pub(super) fn tensor_at(&self, tap: Tap) -> Option<TensorId> {
        self.taps.iter().position(|known| *known == tap).map(|number| self.at_tap(TapId(number)))
    }

    /// The values of a parameter, as stored.
    pub fn stored_values(&self, id: TensorId) -> Option<&[f32]> {
        let parameter = self.tensor(id).parameter()?;
        Some(self.network.tensors()[&self.paths[parameter.0]].data())
    }

    /// Whether any activation is stored in a format that changes it.
    pub fn rounds_activations(&self) -> bool {
        let is_exact = |format| matches!(format, NumberFormat::F32 | NumberFormat::F64);
        self.tensors.iter().any(|tensor| tensor.tap().is_some() && !is_exact(tensor.format))
    }

    /// Whether any activation is stored in a format whose range must be found by running images.
    pub fn needs_calibration(&self) -> bool {
        self.tensors.iter().any(StoredTensor::needs_calibration)
    }

    /// Gives activations their codecs, from what was seen at each tap in a run without quantised activations.
    pub fn calibrate(&mut self, seen: Vec<Calibration>) {
        let mut seen: Vec<Vec<f32>> = seen.into_iter().map(Calibration::into_values).collect();
        for tensor in &mut self.tensors {
            let Cells::Activation(tap) = tensor.cells else { continue };
            let values = seen.get_mut(tap.0).map(std::mem::take).unwrap_or_default();
            let codec = Codec::fit(tensor.format, &tensor.quantisation, &values, 1);
            tensor.codec = Some(codec.expect("checked when chosen"));
        }
    }

    /// Gives an activation its codec, from the smallest and the largest value that it should reach; a range that the storage gives goes
    /// before it. Does nothing to a parameter.
    ///
    /// # Panics
    /// When the range has a NaN or its ends exchanged.
    pub fn set_range(&mut self, id: TensorId, range: (f32, f32)) {
        let tensor = &mut self.tensors[id.0];
        if tensor.tap().is_some() {
            let codec = Codec::from_ranges(
                tensor.format,
                &tensor.quantisation,
                &[range],
                tensor.shape.iter().product(),
            );
            tensor.codec = Some(codec.expect("checked when chosen"));
        }
    }

    /// The tensors that a target and selectors choose, in the network's order; of activations those that have taps.
    ///
    /// # Errors
    /// When a selector is malformed or matches nothing, or `place` is given for something else than activations.
    pub fn select(
        &self,
        target: Target,
        layers: &Layers,
        place: Option<Place>,
    ) -> Result<Vec<TensorId>, MemoryError> {
        if target.class.is_activation() {
            let found = places(&self.network, target.class, layers, place)?;
            let tensor = |found: &Found| self.taps.iter().position(|tap| *tap == found.tap);
            let mut ids = Vec::with_capacity(found.len());
            // Several layers may share a place, such as the end of their common activation function.
            for id in found.iter().filter_map(tensor).map(|tap| self.at_tap(TapId(tap))) {
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
            return Ok(ids);
        }
        if let Some(place) = place {
            let reason = format!("only activations have a place; found \"{}\" for {target}", place.name());
            return Err(MemoryError::Field { field: "place", reason });
        }
        let of_class: Vec<usize> =
            (0..self.tensors.len()).filter(|&id| target.class.includes(self.tensors[id].class)).collect();
        if of_class.is_empty() {
            return Err(MemoryError::NoTarget { target });
        }
        // The four vectors of a batch norm are one layer.
        let mut nodes: Vec<&str> = of_class.iter().map(|&id| self.tensors[id].layer.as_str()).collect();
        nodes.dedup();
        let candidates: Vec<Candidate<'_>> =
            nodes.iter().map(|&name| Candidate { name, kind: self.kind(name), ordinary: true }).collect();
        let chosen = select(layers, &candidates, &target.to_string())?;
        let chosen: Vec<&str> =
            nodes.iter().zip(chosen).filter(|(_, chosen)| *chosen).map(|(name, _)| *name).collect();
        let is_chosen = |id: &usize| chosen.contains(&self.tensors[*id].layer.as_str());
        Ok(of_class.into_iter().filter(is_chosen).map(TensorId).collect())
    }

    fn kind(&self, layer: &str) -> &'static str {
        self.network.find(layer).map_or("", |id| self.network.node(id).op.kind())
    }
}

impl StoredTensor {
    fn needs_calibration(&self) -> bool {
        self.tap().is_some() && self.format.needs_range()
    }
}

/// Every parameter that can be struck, in `f32`.
fn parameters(network: &Network) -> Vec<StoredTensor> {
    let mut number_in_node = 0;
    let mut last = NodeId(0);
    let tensor = |(id, (_, parameter)): (usize, (String, crate::network::Parameter<'_>))| {
        number_in_node = if parameter.node == last { number_in_node + 1 } else { 0 };
        last = parameter.node;
        let class = match parameter.kind {
            ParameterKind::Weight => Class::Weight,
            ParameterKind::Bias => Class::Bias,
            ParameterKind::BatchNorm => Class::BatchNormVector(BatchNormVector::ALL[number_in_node]),
            ParameterKind::Constant => return None,
        };
        Some(StoredTensor {
            layer: network.node(parameter.node).name.clone(),
            class,
            place: None,
            shape: parameter.tensor.shape().to_vec(),
            format: NumberFormat::F32,
            cells: Cells::Parameter(ParameterId(id)),
            quantisation: Quantisation::default(),
            codec: None,
        })
    };
    network.parameters().enumerate().filter_map(tensor).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calibration_sees_every_place_equally_often_however_images_are_grouped() {
        // 64 images of 32 · 32 values, each of which is its own place.
        let (len, images) = (1024, 64);
        let image: Vec<f32> = (0..len).map(|place| place as f32).collect();
        let kept = |group: usize| {
            let mut seen = Calibration::new(len, images, 4096);
            for start in (0..images).step_by(group) {
                seen.add(start * len, &image.repeat(group.min(images - start)));
            }
            seen.into_values()
        };
        let values = kept(1);
        assert_eq!(values.split_last_chunk::<2>().map(|(_, extremes)| *extremes), Some([0.0, 1023.0]));
        let mut seen = vec![0; len];
        values[..values.len() - 2].iter().for_each(|&place| seen[place as usize] += 1);
        let (least, most) = (seen.iter().min(), seen.iter().max());
        assert!(matches!((least, most), (Some(3), Some(4))), "{least:?} to {most:?}");
        for group in [7, 64] {
            assert_eq!(kept(group), values, "{group} images at a time");
        }
        // Few values are all kept, without their extremes once more.
        let mut all = Calibration::new(4, 2, 100);
        all.add(0, &[1.0, 2.0, 3.0, 4.0]);
        all.add(4, &[5.0, 6.0, 7.0, 8.0]);
        assert_eq!(all.into_values(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    }
}
