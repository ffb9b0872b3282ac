//! What a checkpoint holds of a training, and going on from it.

use temper_core::data::Dataset;

use super::checkpoint::{Checkpoint, CheckpointError, Header};
use super::error::TrainError;
use super::folder::Folder;
use super::phase::Phase;
use super::{Prepared, Training};

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
        for (path, values) in checkpoint.take(PARAMETER) {
            let place = parameters.infos().iter().position(|info| info.path == path);
            let target = place.map(|place| &mut parameters.values[place]);
            let target = target.filter(|target| target.len() == values.len());
            *target.ok_or_else(|| malformed("its parameters are not the network's"))? = values;
        }
        let header = checkpoint.header;
        if header.phase >= self.prepared.recipe.phases.len() || header.progress.epochs != header.history.len()
        {
            return Err(malformed("its header contradicts itself").into());
        }
        let mut phase = Phase::new(self.prepared, header.phase)?;
        phase.optimizer.restore(header.optimizer_steps, state)?;
        phase.schedule.restore(header.schedule).map_err(|error| malformed(&error.to_string()))?;
        let range = |(low, high): (u32, u32)| (f32::from_bits(low), f32::from_bits(high));
        let ranges: Vec<_> = header.ranges.into_iter().map(|bits| bits.map(range)).collect();
        phase.stored.set_ranges(&ranges);
        self.phase = phase;
        self.parameters = parameters;
        (self.progress, self.history, self.starts) = (header.progress, header.history, header.starts);
        Ok(())
    }
}

/// What a checkpoint belongs to: the recipe, and the images by their checksum.
fn identity(prepared: &Prepared) -> String {
    let recipe = toml::to_string(&prepared.recipe).expect("a recipe that was read can be written");
    let checksum = |data: &Dataset| {
        let mut hasher = crc32fast::Hasher::new();
        for index in 0..data.len() {
            hasher.update(data.image(index));
        }
        hasher.update(data.labels());
        hasher.finalize()
    };
    format!("{:08x} {:08x}\n{recipe}", checksum(&prepared.train), checksum(&prepared.test))
}
