//! A resistive crossbar: weights are differences of two conductances, products are currents, sums are the currents of a column.
//!
//! Weight *w* of an output whose largest magnitude is *m* is programmed into a pair of devices, of which one rests at `G_min`. Inputs
//! *x* in units of *α* pass through a converter; the currents of a pair are subtracted before the column's converter reads them:
//!
//! ```text
//! G⁺ = level(G_min + max(w, 0) / m · (G_max − G_min))   and G⁻ from max(−w, 0), each as it deviates on this chip
//! y  = Σ over arrays of  adc( Σ_j (G⁺_j − G⁻_j) · dac(x_j / α) + noise ) · α · m / (G_max − G_min)
//! ```
//!
//! The words and the defaults are those of two simulators. Pairs with one device at rest: `SinglePairConductanceConverter` of aihwkit,
//! the one-sided balanced core of `CrossSim`. Scaling of inputs, converters and their bounds: aihwkit's `IOParameters` (Rasch et al., "A
//! flexible and fast `PyTorch` toolkit for simulating training and inference on analog crossbar arrays", AICAS 2021). Deviations
//! proportional to a conductance or independent of it: `CrossSim`'s generic devices. Not modelled: resistance of wires, drift.
//!
//! | drawn | how often |
//! |---|---|
//! | [`programming`](CrossbarSpec::programming), stuck devices | once for a chip, whatever is programmed into it |
//! | [`read_noise`](CrossbarSpec::read_noise) | for every product with a vector |

mod array;
mod programmed;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use array::{Crossbar, Stuck, StuckDevice};
pub use programmed::{CrossbarBuffers, ProgrammedCrossbar};

/// The finest converter: an `f32` holds every code of it.
const FINEST: u32 = 24;

/// A crossbar, as the user describes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CrossbarSpec {
    /// `G_min`, the conductance of a device at rest, in µS; at least 0, which is an infinite on/off ratio, and below `g_max`. 1 µS, if absent
    /// (Wan et al., "A compute-in-memory chip based on resistive random-access memory", Nature 2022).
    pub g_min: f64,
    /// `G_max`, the largest conductance that is programmed, in µS; above `g_min`. Only the ratio of the two counts. 40 µS, if absent (Wan et
    /// al. 2022, and aihwkit's `ReRamWan2022NoiseModel`).
    pub g_max: f64,
    /// Conductances that a device can be programmed to, at equal distances from `g_min` to `g_max`; at least 2. Any conductance, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub levels: Option<u32>,
    /// Which weights share the magnitude *m* that is programmed as `g_max`.
    pub scaling: WeightScaling,
    /// How far a device's conductance lies from the one it was programmed to. Independent of it with 5 % of `g_max`, if absent: 2 µS of
    /// 40 µS, as fitted to Wan et al. one second after programming (1.3 to 2.5 µS over the range in `CrossSim`'s `RRAMWan`, 0.3 to 2.3 µS in
    /// aihwkit's `ReRamWan2022NoiseModel`).
    pub programming: Programming,
    /// The probability that a device conducts `g_min` whatever it is programmed to; 0 (none, if absent) to 1. About a tenth of the devices of
    /// a first test chip had faults (Chen et al., "RRAM defect modeling and failure analysis based on March test and a novel squeeze-search
    /// scheme", IEEE Transactions on Computers 2015).
    pub device_stuck_at_gmin_rate: f64,
    /// The probability that a device conducts `g_max` whatever it is programmed to; 0 (none, if absent) to 1, and no more than 1 together with
    /// [`device_stuck_at_gmin_rate`](Self::device_stuck_at_gmin_rate).
    pub device_stuck_at_gmax_rate: f64,
    /// The noise of a device's current in one product. Independent of the conductance with 0.7 % of `g_max`, if absent: for a pair the
    /// 1 % of a weight's range that aihwkit advises for resistive memories (`w_noise`, additive and constant).
    pub read_noise: ReadNoise,
    /// Bits of the converter of an input, one of them the sign: 2 to 24; 7 in aihwkit (`inp_res`). Codes are symmetrical,
    /// `±(2^(bits − 1) − 1)`, and rounded to the nearest, ties to the even one. An ideal converter without bounds, if absent (as in `CrossSim`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dac_bits: Option<u32>,
    /// *α*, the input that is the converter's largest code, in the inputs' own units; above 0. A converter makes larger ones equal to it.
    /// If absent the largest magnitude among the inputs of an array, for every vector anew (aihwkit's noise management `AbsMax`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_range: Option<f64>,
    /// Bits of the converter of a sum, as those of [`dac_bits`](Self::dac_bits); 9 in aihwkit (`out_res`). An ideal converter without
    /// bounds, if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adc_bits: Option<u32>,
    /// The sum that is the converter's largest code, in products of a weight of magnitude *m* and an input of *α*; above 0. With as many as
    /// an array has inputs, no exact sum is beyond it (`CrossSim`'s `MAX`). 12, if absent (aihwkit's `out_bound`). Without meaning where
    /// [`adc_bits`](Self::adc_bits) is absent.
    pub adc_range: f64,
    /// Inputs of one array, at least 1. Longer columns are split into arrays of nearly equal size, each with converters of its own, whose
    /// sums are added digitally. 512, if absent (aihwkit's `max_input_size`).
    pub rows: usize,
}

/// Which weights share the magnitude that is programmed as the largest conductance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WeightScaling {
    /// All weights of a layer: aihwkit's default.
    #[default]
    Layer,
    /// The weights of one output, a column of the crossbar: aihwkit's `weight_scaling_columnwise`.
    Output,
}

/// How far conductances lie from what was programmed, drawn once for every device of a chip. No conductance is below 0: what is drawn
/// there becomes 0, so means and variances near 0 are not those of the distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Programming {
    /// The distribution.
    pub model: ProgrammingModel,
    /// Its *σ*, at least 0; 0: every device conducts what it was programmed to.
    pub sigma: f64,
}

/// What becomes of a programmed conductance *G*, with *z* standard normal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProgrammingModel {
    /// `G · (1 + σ z)`: `CrossSim`'s `NormalProportionalDevice`.
    Relative,
    /// `G + σ · G_max · z`: `CrossSim`'s `NormalIndependentDevice`.
    Absolute,
    /// `G · e^(σ z)`, of mean `G · e^(σ² / 2)`: the variations of `CorrectNet` (Eldebiky et al., DATE 2023), there of weights.
    Lognormal,
}

/// The noise of every device's current, drawn for every product with a vector, independent and normal with mean 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadNoise {
    /// What it is relative to.
    pub model: ReadNoiseModel,
    /// Its *σ*, at least 0; 0: no noise.
    pub sigma: f64,
}

/// The standard deviation of the current of a device of conductance *G*, at the input 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadNoiseModel {
    /// `σ · G`.
    Relative,
    /// `σ · G_max`.
    Absolute,
}

impl Default for CrossbarSpec {
    fn default() -> Self {
        Self {
            g_min: 1.0,
            g_max: 40.0,
            levels: None,
            scaling: WeightScaling::default(),
            programming: Programming { model: ProgrammingModel::Absolute, sigma: 0.05 },
            device_stuck_at_gmin_rate: 0.0,
            device_stuck_at_gmax_rate: 0.0,
            read_noise: ReadNoise { model: ReadNoiseModel::Absolute, sigma: 0.007 },
            dac_bits: None,
            input_range: None,
            adc_bits: None,
            adc_range: 12.0,
            rows: 512,
        }
    }
}

/// A crossbar that cannot be.
#[derive(Debug, Error, PartialEq)]
pub enum CrossbarError {
    /// A number out of its range.
    #[error("{field}: expected {expected}, found {found}")]
    Value {
        /// The field.
        field: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        found: f64,
    },
    /// Conductances in the wrong order.
    #[error("g_min: expected less than g_max ({g_max} µS), found {g_min} µS")]
    Conductances {
        /// The conductance at rest, in µS.
        g_min: f64,
        /// The largest conductance, in µS.
        g_max: f64,
    },
    /// More stuck devices than devices.
    #[error(
        "device_stuck_at_gmin_rate and device_stuck_at_gmax_rate: expected at most 1 together, found {sum}"
    )]
    StuckRates {
        /// The sum of the two.
        sum: f64,
    },
    /// A drawn array, as read from a file, that is none.
    #[error("{field}: expected {expected}; draw the crossbar anew")]
    Array {
        /// The field.
        field: &'static str,
        /// What it should have been.
        expected: &'static str,
    },
}

impl CrossbarSpec {
    /// A crossbar without deviations, stuck devices, noise and converters, and with continuous conductances: it computes what a digital
    /// layer would.
    #[must_use]
    pub fn ideal(self) -> Self {
        Self {
            levels: None,
            programming: Programming { sigma: 0.0, ..self.programming },
            device_stuck_at_gmin_rate: 0.0,
            device_stuck_at_gmax_rate: 0.0,
            read_noise: ReadNoise { sigma: 0.0, ..self.read_noise },
            dac_bits: None,
            adc_bits: None,
            ..self
        }
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// When one of them is out of its range.
    pub fn check(&self) -> Result<(), CrossbarError> {
        self.check_devices()?;
        let value = |field, expected, found| Err(CrossbarError::Value { field, expected, found });
        for (field, bits) in [("dac_bits", self.dac_bits), ("adc_bits", self.adc_bits)] {
            match bits {
                Some(bits) if !(2..=FINEST).contains(&bits) => {
                    return value(field, "2 to 24, or absent for an ideal converter", bits.into());
                }
                _ => {}
            }
        }
        for (field, range) in [("input_range", self.input_range), ("adc_range", Some(self.adc_range))] {
            match range {
                Some(range) if !(range.is_finite() && range > 0.0) => {
                    return value(field, "a finite number above 0", range);
                }
                _ => {}
            }
        }
        if self.rows == 0 {
            return value("rows", "at least 1", 0.0);
        }
        Ok(())
    }

    /// Checks what is about single devices.
    fn check_devices(&self) -> Result<(), CrossbarError> {
        let value = |field, expected, found| Err(CrossbarError::Value { field, expected, found });
        let [lowest, largest] = [self.g_min, self.g_max];
        for (field, number) in [
            ("g_min", lowest),
            ("g_max", largest),
            ("programming.sigma", self.programming.sigma),
            ("read_noise.sigma", self.read_noise.sigma),
        ] {
            if !(number.is_finite() && number >= 0.0) {
                return value(field, "a finite number of at least 0", number);
            }
        }
        if lowest >= largest {
            return Err(CrossbarError::Conductances { g_min: lowest, g_max: largest });
        }
        if let Some(levels @ 0..=1) = self.levels {
            return value("levels", "at least 2, or absent for any conductance", levels.into());
        }
        let rates = [
            ("device_stuck_at_gmin_rate", self.device_stuck_at_gmin_rate),
            ("device_stuck_at_gmax_rate", self.device_stuck_at_gmax_rate),
        ];
        for (field, rate) in rates {
            if !(0.0..=1.0).contains(&rate) {
                return value(field, "a probability, 0 to 1", rate);
            }
        }
        let sum = self.device_stuck_at_gmin_rate + self.device_stuck_at_gmax_rate;
        if sum > 1.0 {
            return Err(CrossbarError::StuckRates { sum });
        }
        Ok(())
    }
}
