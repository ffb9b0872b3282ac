//! Progress on a terminal, silence elsewhere; Ctrl-C.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use temper_core::campaign::Observer;
use temper_train::recipe::PhaseSpec;
use temper_train::study::{Study, StudyCondition, StudyObserver, StudyRecord};
use temper_train::training::EpochRecord;

use crate::output::table::grouped;

/// Set by the first Ctrl-C.
static CANCELLED: AtomicBool = AtomicBool::new(false);

/// All bars: there is one terminal, and several trainings and campaigns may run at a time.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// A line on standard error, above all bars.
pub(crate) fn say(line: &str) {
    BARS.suspend(|| eprintln!("{line}"));
}

/// From now on Ctrl-C asks the running command to stop at its next safe point; a second one ends the process at once.
/// `meanwhile` says what happens first.
pub(crate) fn stop_on_ctrl_c(meanwhile: &'static str) {
    // Without a handler Ctrl-C just ends the process, which loses nothing but the records in flight.
    drop(ctrlc::set_handler(move || {
        if CANCELLED.swap(true, Ordering::SeqCst) {
            std::process::exit(i32::from(crate::exit::INCOMPLETE));
        }
        eprintln!("{meanwhile}; press Ctrl-C again to stop at once");
    }));
}

/// A bar that counts inferences.
pub(crate) struct Inferences {
    bar: ProgressBar,
}

impl Inferences {
    /// A bar for so many inferences; drawn only if standard error is a terminal.
    pub(crate) fn new(what: &'static str, total: u64) -> Self {
        let template = "{msg} {wide_bar} {percent}% {rate}, {eta} left";
        let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            // A failed write leaves a gap in the bar, no more.
            let _ = write!(out, "{} images/s", grouped(state.per_sec() as u64));
        };
        let style =
            ProgressStyle::with_template(template).expect("the template is sound").with_key("rate", rate);
        let bar = BARS.add(ProgressBar::new(total).with_style(style).with_message(what));
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self { bar }
    }

    /// Takes the bar off the screen.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for Inferences {
    fn inferences(&self, count: usize) {
        self.bar.inc(count as u64);
    }

    fn is_cancelled(&self) -> bool {
        CANCELLED.load(Ordering::SeqCst)
    }
}

/// A bar for each epoch of a training, and a line for each that is done.
pub(crate) struct Epochs {
    /// What its lines begin with.
    prefix: String,
    bar: ProgressBar,
    all: usize,
}

impl Epochs {
    /// Bars for so many epochs of so many images; drawn only if standard error is a terminal. Lines begin with `name`, if it is not empty.
    pub(crate) fn new(name: &str, all: usize, images: usize) -> Self {
        let template = "{msg} {wide_bar} {percent}% {eta} left";
        let style = ProgressStyle::with_template(template).expect("the template is sound");
        let prefix = if name.is_empty() { String::new() } else { format!("{name}: ") };
        Self { prefix, bar: BARS.add(ProgressBar::new(images as u64).with_style(style)), all }
    }

    /// Takes the bar off the screen.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl temper_train::training::Observer for Epochs {
    fn phase(&self, number: usize, spec: &PhaseSpec) {
        say(&format!("{}{}: {} epochs", self.prefix, spec.title(number), spec.epochs));
    }

    fn batch(&self, epoch: usize, images: usize, loss: f64, accuracy: f64) {
        self.bar.set_message(format!(
            "{}epoch {epoch}/{}  loss {loss:.4}  accuracy {accuracy:.4}",
            self.prefix, self.all
        ));
        self.bar.set_position(images as u64);
    }

    fn epoch(&self, record: &EpochRecord) {
        let validation = record
            .validation_accuracy
            .map_or(String::new(), |accuracy| format!("  validation {accuracy:.4}"));
        let EpochRecord { epoch, lr, train_loss, train_accuracy, test_accuracy, seconds, .. } = record;
        say(&format!(
            "{}epoch {epoch:>3}  lr {lr:<8.3e}  loss {train_loss:.4}  train {train_accuracy:.4}{validation}  \
             test {test_accuracy:.4}  {seconds:.1} s",
            self.prefix
        ));
        self.bar.reset();
    }

    fn is_cancelled(&self) -> bool {
        CANCELLED.load(Ordering::SeqCst)
    }
}

/// The bars of a study: one for each epoch of the golden network, then one for all epochs on chips, and a line for each thing measured.
pub(crate) struct Chips {
    golden: Epochs,
    bar: ProgressBar,
}

impl Chips {
    /// Bars for a study; drawn only if standard error is a terminal.
    pub(crate) fn new(study: &Study) -> Self {
        let golden = Epochs::new("", study.spec().golden.epochs(), study.golden().train.len());
        let template = "{msg} {wide_bar} {pos}/{len} epochs, {eta} left";
        let style = ProgressStyle::with_template(template).expect("the template is sound");
        let bar =
            BARS.add(ProgressBar::new(study.epochs() as u64).with_style(style).with_message("on chips"));
        Self { golden, bar }
    }

    /// Takes the bars off the screen.
    pub(crate) fn finish(&self) {
        self.golden.finish();
        self.bar.finish_and_clear();
    }
}

impl StudyObserver for Chips {
    fn golden(&self) -> &dyn temper_train::training::Observer {
        &self.golden
    }

    fn epoch(&self) {
        self.golden.finish();
        self.bar.inc(1);
    }

    fn recorded(&self, condition: &StudyCondition, record: &StudyRecord) {
        self.golden.finish();
        let StudyRecord { chip, repair, accuracy, .. } = record;
        let label = &condition.label;
        say(&format!("chip {chip:>3}  {repair:<22}  accuracy {accuracy:.4}  {label}"));
    }

    fn is_cancelled(&self) -> bool {
        CANCELLED.load(Ordering::SeqCst)
    }
}
