//! Times training steps as `temper train` makes them: inputs from stored pixels, forwards, backwards, SGD with momentum. 128 images.
//!
//! ```text
//! cargo bench -p temper-train --bench step -- [NETWORK [THREADS [SECONDS]]]
//! ```
//!
//! Prints a line of JSON: the seconds of each step after the first few, and the largest resident set of the process so far.

use std::sync::Mutex;
use std::time::{Duration, Instant};
use std::{env, fs};

use temper_core::data::{Dataset, Preprocessing, Split};
use temper_kernels::LargePages;
use temper_train::device;
use temper_train::initialise;
use temper_train::recipe::{NetworkSource, RecipeSpec};
use temper_train::training::{Folder, Observer, Prepared, Training};

// As the program has it.
#[global_allocator]
static ALLOCATOR: LargePages = LargePages;

const BATCH: usize = 128;
const BATCHES_PER_EPOCH: usize = 32;
/// Steps that are not counted, and the fewest that are.
const WARM_UP: usize = 2;
const FEWEST: usize = 4;

fn main() {
    // Cargo adds `--bench`.
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let number = |place: usize, default: f64| {
        arguments.get(place).map_or(default, |text| text.parse().expect("a number of threads or seconds"))
    };
    let networks = arguments.first().map_or(vec!["mlp", "lenet5", "resnet18"], |name| vec![name]);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(number(1, 1.0) as usize).build();
    let pool = pool.expect("threads can be started");
    for network in networks {
        let limit = Duration::from_secs_f64(number(2, 3.0));
        let steps = pool.install(|| step_seconds(network, limit));
        let line = serde_json::json!({
            "network": network, "images": BATCH, "step_seconds": steps, "peak_memory_bytes": peak_memory(),
        });
        println!("{line}");
    }
}

/// Trains on noise for that long; returns the seconds of each step.
fn step_seconds(network: &str, limit: Duration) -> Vec<f64> {
    let prepared = prepared(network);
    let directory = tempfile::tempdir().expect("a folder can be made");
    let folder = Folder::open(directory.path(), &prepared.recipe).expect("the folder is empty");
    let mut training = Training::new(&prepared, &device::cpu()).expect("the recipe fits the network");
    let clock = Clock { limit, steps: Mutex::new(Steps { previous: None, seconds: Vec::new() }) };
    training.run(&folder, &clock).expect("the folder can be written to");
    clock.steps.into_inner().expect("no step panicked").seconds.split_off(WARM_UP)
}

fn prepared(network: &str) -> Prepared {
    let recipe = format!(
        r#"
seed = 1
data.set = "noise"
network = {{ architecture = "{network}"{} }}

[[phase]]
epochs = 1_000_000
batch_size = {BATCH}
optimizer = {{ kind = "sgd", lr = 0.01, momentum = 0.9 }}
"#,
        if network == "mlp" { ", widths = [300, 100]" } else { "" }
    );
    let recipe = RecipeSpec::parse(&recipe).expect("a sound recipe");
    let shape = if network.starts_with("resnet") { [3, 32, 32] } else { [1, 28, 28] };
    let source = recipe.network.source(shape, 10).expect("a known family");
    let NetworkSource::Architecture(architecture) = source else { unreachable!("a family is given") };
    let network = architecture.build().expect("the images fit");
    let network = initialise(network, recipe.network.initialisation, recipe.seed);
    Prepared {
        recipe,
        network,
        preprocessing: Preprocessing::default(),
        train: noise(Split::Train, shape, BATCH * BATCHES_PER_EPOCH),
        validation: None,
        test: noise(Split::Test, shape, BATCH),
    }
}

fn noise(split: Split, shape: [usize; 3], images: usize) -> Dataset {
    let pixels = (0..images * shape.iter().product::<usize>()).map(|i| (i * 48_271 % 65_537) as u8);
    let labels = (0..images).map(|image| (image % 10) as u8);
    Dataset::new("noise", split, shape, 10, u8::MAX, pixels.collect(), labels.collect())
        .expect("as many pixels as images take")
}

/// Notes the time between the ends of two steps of the same epoch, and stops the training.
struct Clock {
    limit: Duration,
    steps: Mutex<Steps>,
}

struct Steps {
    /// When the step before ended, and its epoch.
    previous: Option<(usize, Instant)>,
    seconds: Vec<f64>,
}

impl Observer for Clock {
    fn batch(&self, epoch: usize, _images: usize, _loss: f64, _accuracy: f64) {
        let now = Instant::now();
        let mut steps = self.steps.lock().expect("no step panicked");
        if let Some((before, ended)) = steps.previous
            && before == epoch
        {
            steps.seconds.push((now - ended).as_secs_f64());
        }
        steps.previous = Some((epoch, now));
    }

    fn is_cancelled(&self) -> bool {
        let steps = self.steps.lock().expect("no step panicked");
        let counted = steps.seconds.get(WARM_UP..).unwrap_or_default();
        counted.len() >= FEWEST && counted.iter().sum::<f64>() >= self.limit.as_secs_f64()
    }
}

/// The largest resident set of this process so far, in bytes, where the system tells it.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}
