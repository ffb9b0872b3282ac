//! Progress on a terminal, silence elsewhere; Ctrl-C.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use temper_core::campaign::Observer;

use crate::output::table::grouped;

/// Set by the first Ctrl-C.
static CANCELLED: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C asks the running command to stop at its next safe point; a second one ends the process at once.
pub(crate) fn stop_on_ctrl_c() {
    // Without a handler Ctrl-C just ends the process, which loses nothing but the records in flight.
    drop(ctrlc::set_handler(|| {
        if CANCELLED.swap(true, Ordering::SeqCst) {
            std::process::exit(i32::from(crate::exit::INCOMPLETE));
        }
        eprintln!("stopping: trials in flight will run again; press Ctrl-C again to stop at once");
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
        let bar = ProgressBar::new(total).with_style(style).with_message(what);
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
