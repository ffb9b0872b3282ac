//! How many trials make a block.

/// Inferences of the first block.
const FIRST_INFERENCES: usize = 16_384;

/// Trials of a block at least and at most.
const TRIALS: (usize, usize) = (4, 1 << 16);

/// Seconds that a block should take at least: less would spend much on handing over.
const SECONDS: f64 = 2.0;

/// Seconds that a block should take at most: so much is lost when the process is killed.
const MOST_SECONDS: f64 = 60.0;

/// How much longer than the golden activations, which are computed anew for each block, its trials should take.
const GOLDEN_SHARE: f64 = 8.0;

/// Finds the number of trials in a block from the time that the last one took. Results do not depend on it.
pub(super) struct Pace {
    trials: usize,
}

impl Pace {
    /// The pace of trials of so many images.
    pub(super) fn new(images: usize) -> Self {
        Self { trials: (FIRST_INFERENCES / images.max(1)).clamp(TRIALS.0, 256) }
    }

    /// Trials of the next block.
    pub(super) fn trials(&self) -> usize {
        self.trials
    }

    /// Learns that a block of so many trials took so long, some of it for golden activations.
    pub(super) fn update(&mut self, trials: usize, seconds: f64, golden_seconds: f64) {
        let target = (GOLDEN_SHARE * golden_seconds).clamp(SECONDS, MOST_SECONDS);
        let per_trial = ((seconds - golden_seconds) / trials as f64).max(1e-9);
        let wanted = (target / per_trial) as usize;
        // A single block may have been an exception.
        self.trials = wanted.clamp(self.trials / 4, self.trials.saturating_mul(8)).clamp(TRIALS.0, TRIALS.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_take_a_few_seconds_and_outlast_their_golden_activations() {
        let mut pace = Pace::new(1_000);
        assert_eq!(pace.trials(), 16);
        for _ in 0..10 {
            pace.update(pace.trials(), pace.trials() as f64 * 1e-3, 0.0);
        }
        assert_eq!(pace.trials(), 2_000);
        for _ in 0..10 {
            pace.update(pace.trials(), 1.0 + pace.trials() as f64 * 1e-3, 1.0);
        }
        assert_eq!(pace.trials(), 8_000);
        for _ in 0..10 {
            pace.update(pace.trials(), pace.trials() as f64 * 100.0, 0.0);
        }
        assert_eq!(pace.trials(), 4);
    }
}
