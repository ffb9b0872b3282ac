//! The mean of independent draws.

use serde::Serialize;

use super::student;

/// A mean over independent draws, with its confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// Number of draws.
    pub draws: usize,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, with n − 1 in the divisor; `None` for a single draw.
    pub std: Option<f64>,
    /// Bounds of the interval; `None` for a single draw, or if the confidence level does not lie between 0 and 1.
    pub interval: Option<(f64, f64)>,
    /// The interval's confidence level.
    pub confidence: f64,
    /// The smallest draw.
    pub min: f64,
    /// The largest draw.
    pub max: f64,
}

/// Mean and Student t interval of independent draws: `mean ± t(1 − α/2, n − 1) · s / √n`, exact for normally distributed draws
/// (Student, 1908). The interval is not cut at 0 or 1. `None` if there is no draw.
///
/// The unit is the draw (a chip), not the image: all draws share one set of images, and pooling images would understate the
/// uncertainty.
pub fn t_interval(draws: &[f64], confidence: f64) -> Option<Estimate> {
    let n = draws.len();
    if n == 0 {
        return None;
    }
    let mean = draws.iter().sum::<f64>() / n as f64;
    let std = (n > 1).then(|| {
        let squares: f64 = draws.iter().map(|draw| (draw - mean).powi(2)).sum();
        (squares / (n - 1) as f64).sqrt()
    });
    let interval = std.and_then(|std| {
        let t = student::two_sided_quantile(n - 1, confidence)?;
        let half_width = t * std / (n as f64).sqrt();
        Some((mean - half_width, mean + half_width))
    });
    let min = draws.iter().copied().fold(f64::INFINITY, f64::min);
    let max = draws.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Some(Estimate { draws: n, mean, std, interval, confidence, min, max })
}
