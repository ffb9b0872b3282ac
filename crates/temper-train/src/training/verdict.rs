//! Whether a training worked.

use serde::{Deserialize, Serialize};

use super::record::EpochRecord;

/// What became of a training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The last network is clearly better than naming the most frequent class.
    Learned,
    /// At no epoch was the network clearly better than naming the most frequent class.
    DidNotLearn,
    /// It had learned, and lost it again.
    Diverged,
    /// The loss became infinite or no number; training stopped there.
    NotFinite,
}

impl Verdict {
    /// In a word or two.
    pub fn short(self) -> &'static str {
        self.describe().split(':').next().unwrap_or_default()
    }

    /// In words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Learned => "learned",
            Self::DidNotLearn => {
                "did not learn: no epoch is clearly better than naming the most frequent class"
            }
            Self::Diverged => "diverged: the network had learned, and lost it again",
            Self::NotFinite => "not finite: the loss became infinite or no number",
        }
    }
}

/// Judges a training by its records. `chance` is the share of the most frequent class among `images` images, those whose accuracy
/// chooses the best epoch.
///
/// Clearly better means by more than four standard deviations of a binomial share of that size, and by a tenth of the way to 1: the
/// first rules out luck, the second a network that tells one class from the others and no more. Lost means below that line.
pub fn judge(records: &[EpochRecord], chance: f64, images: usize) -> Verdict {
    let deviation = (chance * (1.0 - chance) / images.max(1) as f64).sqrt();
    let line = (chance + 4.0 * deviation).max(chance + 0.1 * (1.0 - chance));
    if records.iter().any(|record| !record.train_loss.is_finite()) {
        return Verdict::NotFinite;
    }
    let learned = |record: &EpochRecord| record.choosing_accuracy() > line;
    match records.last() {
        Some(last) if learned(last) => Verdict::Learned,
        _ if records.iter().any(learned) => Verdict::Diverged,
        _ => Verdict::DidNotLearn,
    }
}
