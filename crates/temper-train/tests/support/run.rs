//! Small trainings on the digits that are part of the program.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use temper_train::device;
use temper_train::recipe::RecipeSpec;
use temper_train::training::{Ended, Folder, Observer, Prepared, TrainError, Training};

/// A recipe that learns a little in milliseconds: 4 batches an epoch.
pub const SMALL: &str = r#"
seed = 7

[data]
set = "digits"
train_limit = 200
test_limit = 100

[network]
architecture = "mlp"
widths = [16]

[[phase]]
epochs = 2
batch_size = 50
optimizer = { kind = "sgd", lr = 0.1 }
"#;

/// What a recipe needs; paths start at `base`.
///
/// # Errors
/// When it is refused.
pub fn prepare_in(base: &Path, text: &str) -> Result<Prepared, TrainError> {
    Prepared::new(RecipeSpec::parse(text)?, base, base)
}

/// The same of a recipe that names no file.
///
/// # Errors
/// When it is refused.
pub fn prepare(text: &str) -> Result<Prepared, TrainError> {
    prepare_in(Path::new("nowhere"), text)
}

/// An error with its causes, as the program prints it.
pub fn chain(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {}", chain(source)))
}

/// Asks for a stop after every so many batches.
pub struct StopAfter {
    batches: usize,
    seen: AtomicUsize,
}

impl StopAfter {
    /// After the first so many.
    pub fn batches(batches: usize) -> Self {
        Self { batches, seen: AtomicUsize::new(0) }
    }

    /// Never.
    pub fn never() -> Self {
        Self::batches(usize::MAX)
    }
}

impl Observer for StopAfter {
    fn batch(&self, _: usize, _: usize, _: f64, _: f64) {
        self.seen.fetch_add(1, Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        self.seen.load(Ordering::Relaxed) >= self.batches
    }
}

/// Trains, or goes on training, in a folder.
///
/// # Errors
/// When the folder, its checkpoint or a file of the run is refused.
pub fn train(prepared: &Prepared, dir: &Path, observer: &dyn Observer) -> Result<Ended, TrainError> {
    let folder = Folder::open(dir, &prepared.recipe)?;
    let mut training = Training::new(prepared, &device::cpu())?;
    if folder.has_checkpoint() {
        training.resume(&folder)?;
    }
    training.run(&folder, observer)
}

/// What a finished training leaves, but for the times: by file name, networks as they are and texts as JSON.
pub fn results(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for folder in [dir.to_owned(), dir.join("models")] {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(dir).expect("inside").to_string_lossy().into_owned();
            if path.is_file() && name != "checkpoint.safetensors" {
                let bytes = std::fs::read(&path).expect("readable");
                found.insert(name.clone(), if name.contains(".json") { timeless(&bytes) } else { bytes });
            }
        }
    }
    found
}

/// JSON values, one after another, without the times.
fn timeless(bytes: &[u8]) -> Vec<u8> {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.remove("seconds");
                map.values_mut().for_each(strip);
            }
            Value::Array(values) => values.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let values = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
    let lines = values.map(|value| {
        let mut value = value.expect("JSON");
        strip(&mut value);
        value.to_string() + "\n"
    });
    lines.collect::<String>().into_bytes()
}
