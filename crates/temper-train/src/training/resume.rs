//! What a checkpoint holds of a training, and going on from it.

use sha2::{Digest, Sha256};
use temper_core::network::GraphDescription;

use super::checkpoint::{Checkpoint, CheckpointError, Header};
use super::error::TrainError;
use super::folder::Folder;
use super::phase::Phase;
use super::{Prepared, Progress, Training};

/// What tensors of a checkpoint are called.
const PARAMETER: &str = "parameter/";
const OPTIMIZER: &str = "optimizer/";

impl Training<'_> {
    pub(super) fn write_checkpoint(&self, folder: &Folder) -> Result<(), TrainError> {
        let parameters = self.parameters.infos().iter().zip(&self.parameters.values);
        let parameters =
            parameters.map(|(info, values)| (format!("{PARAMETER}{}", info.path), values.clone()));
        let state = self.phase.optimizer.state();
        let state =
            state.map(|(place, name, values)| (format!("{OPTIMIZER}{place}/{name}"), values.to_vec()));
        let bits = |(low, high): (f32, f32)| (low.to_bits(), high.to_bits());
        let header = Header {
            format: Header::current(),
            identity: identity(self.prepared),
            phase: self.phase.number,
            progress: self.progress,
            starts: self.starts.clone(),
            optimizer_steps: self.phase.optimizer.steps(),
            schedule: self.phase.schedule.state().clone(),
            ranges: self.phase.stored.ranges().iter().map(|range| range.map(bits)).collect(),
            history: self.history.clone(),
        };
        Checkpoint { header, tensors: parameters.chain(state).collect() }.write(&folder.checkpoint())?;
        Ok(())
    }

    /// Goes on from a folder's checkpoint.
    ///
    /// # Errors
    /// When it cannot be read, is damaged, or belongs to another recipe or to other data.
    pub fn resume(&mut self, folder: &Folder) -> Result<(), TrainError> {
        let path = folder.checkpoint();
        let mut checkpoint = Checkpoint::read(&path)?;
        if checkpoint.header.identity != identity(self.prepared) {
            return Err(CheckpointError::Foreign { path }.into());
        }
        let malformed =
            |reason: &str| CheckpointError::Malformed { path: path.clone(), reason: reason.to_owned() };
        let state = checkpoint.take(OPTIMIZER).into_iter().map(|(name, values)| {
            let (place, name) = name.split_once('/')?;
            Some((place.parse().ok()?, name.to_owned(), values))
        });
        let state: Option<Vec<(usize, String, Vec<f32>)>> = state.collect();
        let state = state.ok_or_else(|| malformed("a buffer of the optimiser has no number"))?;
        let mut parameters = self.parameters.clone();
        let mut missing = parameters.infos().len();
        for (path, values) in checkpoint.take(PARAMETER) {
            let place = parameters.infos().iter().position(|info| info.path == path);
            let target = place.map(|place| &mut parameters.values[place]);
            let target = target.filter(|target| target.len() == values.len());
            *target.ok_or_else(|| malformed("its parameters are not the network's"))? = values;
            missing -= 1;
        }
        let header = checkpoint.header;
        if missing > 0 || !checkpoint.tensors.is_empty() {
            return Err(malformed("its parameters are not the network's").into());
        }
        if !is_sound(&header, self.prepared) {
            return Err(malformed("its header contradicts itself").into());
        }
        let mut phase = Phase::new(self.prepared, header.phase)?;
        phase.optimizer.restore(header.optimizer_steps, state)?;
        phase.schedule.restore(header.schedule).map_err(|error| malformed(&error.to_string()))?;
        let range = |(low, high): (u32, u32)| (f32::from_bits(low), f32::from_bits(high));
        let ranges: Vec<_> = header.ranges.into_iter().map(|bits| bits.map(range)).collect();
        if !phase.stored.set_ranges(&ranges) {
            return Err(malformed("its ranges are not those of the network's activations").into());
        }
        self.phase = phase;
        self.parameters = parameters;
        (self.progress, self.history, self.starts) = (header.progress, header.history, header.starts);
        Ok(())
    }
}

/// Whether a header's counts name a place in this recipe's training, of which so many batches make an epoch.
fn is_sound(header: &Header, prepared: &Prepared) -> bool {
    let phases = &prepared.recipe.phases;
    let Some(phase) = phases.get(header.phase) else { return false };
    let Progress { epochs, batches, images, .. } = header.progress;
    let before: usize = phases[..header.phase].iter().map(|phase| phase.epochs).sum();
    let in_phase = (before..=before + phase.epochs).contains(&epochs) && epochs == header.history.len();
    // An epoch that is begun has seen images, and is not at its end.
    let per_epoch = prepared.batches(phase).map_or(0, |cut| cut.per_epoch());
    let in_epoch = batches < per_epoch && images == batches * phase.batch_size;
    // The phase's start is measured before its first step, so that only a checkpoint of before that lacks it.
    in_phase && in_epoch && header.starts.len() == header.phase + 1
}

/// What a checkpoint belongs to, as a digest: the recipe, the images, and the network with the parameters that training starts from.
fn identity(prepared: &Prepared) -> String {
    let mut hasher = Sha256::new();
    let mut add = |part: &[u8]| {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    };
    let plain = "plain data can be written";
    add(toml::to_string(&prepared.recipe).expect(plain).as_bytes());
    add(&serde_json::to_vec(&prepared.preprocessing).expect(plain));
    add(&serde_json::to_vec(&GraphDescription::from(&prepared.network)).expect(plain));
    for tensor in prepared.network.tensors().values() {
        add(&tensor.data().iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>());
    }
    for data in
        [Some(&prepared.train), prepared.validation.as_ref(), Some(&prepared.test)].into_iter().flatten()
    {
        add(data.labels());
        (0..data.len()).for_each(|index| add(data.image(index)));
    }
    // Half of the digest tells trainings apart well enough.
    let mut half = [0; 16];
    half.copy_from_slice(&hasher.finalize()[..16]);
    format!("{:032x}", u128::from_be_bytes(half))
}
