//! Threads that do not go to sleep between the parallel parts of a step.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long a thread looks for work in vain before it may sleep. Two trainings that share a pool can each keep a thread from finishing
/// what the other waits for, but no longer than this.
const PATIENCE: Duration = Duration::from_micros(500);

/// While it lives, the other threads of the pool look for work without going to sleep: a part of a small network's step takes as long as
/// waking a thread up.
pub(super) struct Awake {
    over: Arc<AtomicBool>,
}

impl Awake {
    pub(super) fn new() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (seen, own) = (over.clone(), rayon::current_thread_index());
        rayon::spawn_broadcast(move |thread| {
            if Some(thread.index()) != own {
                work_until(&seen);
            }
        });
        Self { over }
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

fn work_until(over: &AtomicBool) {
    let mut worked = Instant::now();
    while !over.load(Ordering::Relaxed) && worked.elapsed() < PATIENCE {
        if rayon::yield_now() == Some(rayon::Yield::Executed) {
            worked = Instant::now();
        } else {
            thread::yield_now();
        }
    }
}
