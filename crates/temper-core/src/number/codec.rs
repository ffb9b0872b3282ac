//! Values to code words and back.

use super::fit::codes;
use super::float::{BF16, F8E4M3, F8E5M2, F16, decode_f64, encode_f64};
use super::format::NumberFormat;
use super::grid::{Codes, Grid};
use super::quantise::{Choice, Granularity, Quantisation, QuantisationError, Scheme};

/// A number format with what is needed to use it: the scales, where it has any.
///
/// Code words lie in the low [`bit_width`](NumberFormat::bit_width) bits of a `u64`. Encoding takes any value and decoding any word,
/// whatever faults did to the grids. Values are those of one tensor in row-major order; an `index` is a place in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Codec {
    format: NumberFormat,
    scheme: Scheme,
    /// The codes that values are stored as; without meaning for floating-point formats.
    codes: Codes,
    /// One for each channel, or one for all; none in formats without a scale.
    grids: Vec<Grid>,
    /// How many values in a row share a grid.
    channel_size: usize,
}

impl Codec {
    /// A codec whose grids fit `values`, the tensor to be stored.
    ///
    /// `channels` is the leading dimension of the tensor, each channel `values.len() / channels` values in a row; it counts only
    /// per channel. Formats without a scale take the values as they are.
    ///
    /// # Errors
    /// When the quantisation does not go with the format, or the values cannot be divided into the channels.
    pub fn fit(
        format: NumberFormat,
        quantisation: &Quantisation,
        values: &[f32],
        channels: usize,
    ) -> Result<Self, QuantisationError> {
        let Some(choice) = quantisation.resolve(format)? else { return Ok(Self::without_scale(format)) };
        let channel_size = match quantisation.granularity {
            Granularity::Tensor => usize::MAX,
            Granularity::Channel if channels > 0 && values.len().is_multiple_of(channels) => {
                values.len() / channels
            }
            Granularity::Channel => {
                return Err(QuantisationError::Channels { values: values.len(), channels });
            }
        };
        let ranges = match quantisation.granularity {
            Granularity::Tensor => vec![choice.range(values)],
            Granularity::Channel => (0..channels)
                .map(|channel| choice.range(&values[channel * channel_size..][..channel_size]))
                .collect(),
        };
        Ok(Self::with_ranges(format, choice, &ranges, channel_size))
    }

    /// A codec for tensors that are not known yet, such as activations, from calibrated `(low, high)` ranges: one for the tensor,
    /// or one for each channel, of `channel_size` values in a row (`H · W` for `[N, C, H, W]` or `[C, H, W]`; it counts only per
    /// channel). Channels repeat for every image.
    ///
    /// Symmetric and binary formats take the larger magnitude of a range; infinite ends count as the largest that a range can
    /// have. A range that the quantisation gives itself goes before the calibrated ones.
    ///
    /// # Errors
    /// When the quantisation does not go with the format, a range has a NaN or its ends exchanged, or the number of ranges does
    /// not go with the granularity.
    pub fn from_ranges(
        format: NumberFormat,
        quantisation: &Quantisation,
        ranges: &[(f32, f32)],
        channel_size: usize,
    ) -> Result<Self, QuantisationError> {
        let Some(choice) = quantisation.resolve(format)? else { return Ok(Self::without_scale(format)) };
        let granularity = quantisation.granularity;
        let (fits, channel_size) = match granularity {
            Granularity::Tensor => (ranges.len() == 1, usize::MAX),
            Granularity::Channel => (!ranges.is_empty() && channel_size > 0, channel_size),
        };
        if !fits {
            return Err(QuantisationError::RangeCount { found: ranges.len(), granularity });
        }
        let range = |(channel, &(low, high)): (usize, &(f32, f32))| {
            if low <= high {
                Ok(choice.given().unwrap_or((low.into(), high.into())))
            } else {
                Err(QuantisationError::Range { channel, low, high })
            }
        };
        let ranges = ranges.iter().enumerate().map(range).collect::<Result<Vec<_>, _>>()?;
        Ok(Self::with_ranges(format, choice, &ranges, channel_size))
    }

    fn without_scale(format: NumberFormat) -> Self {
        let scheme = Scheme::Symmetric;
        let codes = codes(format, scheme).unwrap_or(Codes { low: 0, high: 0 });
        Self { format, scheme, codes, grids: Vec::new(), channel_size: usize::MAX }
    }

    fn with_ranges(format: NumberFormat, choice: Choice, ranges: &[(f64, f64)], channel_size: usize) -> Self {
        let codec = Self { scheme: choice.scheme, channel_size, ..Self::without_scale(format) };
        let codes = codes(format, choice.scheme).unwrap_or(codec.codes);
        let grids = ranges.iter().map(|range| choice.grid(codes, *range)).collect();
        Self { codes, grids, ..codec }
    }

    /// The format.
    pub const fn format(&self) -> NumberFormat {
        self.format
    }

    /// The grid of each channel, or the one of the tensor; none in formats without a scale.
    pub fn grids(&self) -> &[Grid] {
        &self.grids
    }

    /// The grid of a channel, to be struck in place; `None` where there is no such channel.
    pub fn grid_mut(&mut self, channel: usize) -> Option<&mut Grid> {
        self.grids.get_mut(channel)
    }

    /// The scale of a channel.
    ///
    /// # Panics
    /// Where there is no such channel.
    pub fn scale(&self, channel: usize) -> f32 {
        self.grids[channel].scale
    }

    /// The zero point of a channel.
    ///
    /// # Panics
    /// Where there is no such channel.
    pub fn zero_point(&self, channel: usize) -> i32 {
        self.grids[channel].zero_point
    }

    /// The codec with another scale for a channel.
    ///
    /// # Panics
    /// Where there is no such channel.
    #[must_use]
    pub fn with_scale(mut self, channel: usize, scale: f32) -> Self {
        self.grids[channel].scale = scale;
        self
    }

    /// The codec with another zero point for a channel; without effect on sign-magnitude and binary formats.
    ///
    /// # Panics
    /// Where there is no such channel.
    #[must_use]
    pub fn with_zero_point(mut self, channel: usize, zero_point: i32) -> Self {
        self.grids[channel].zero_point = zero_point;
        self
    }

    /// The grids over signed codes, −128..=127, of a format whose words are [small integers](NumberFormat::is_small_integer): for each channel,
    /// or the one of the tensor. The codes of `uintN` are shifted down by 128, with their zero point; what reads the magnitude and
    /// the sign has no zero point. `None` for all other formats.
    pub fn signed_grids(&self) -> Option<Vec<Grid>> {
        if !self.format.is_small_integer() {
            return None;
        }
        let signed = |grid: &Grid| match self.format {
            NumberFormat::Uint(_) => Grid { zero_point: grid.zero_point - 128, ..*grid },
            NumberFormat::Int(_) => *grid,
            _ => Grid { zero_point: 0, ..*grid },
        };
        Some(match self.format {
            NumberFormat::Fixed { fraction, .. } => vec![Grid::fixed(fraction)],
            _ => self.grids.iter().map(signed).collect(),
        })
    }

    /// Whether a zero point lies in memory beside the scale: in affine schemes. Sign-magnitude and binary formats have none, and
    /// no value depends on it there.
    pub fn stores_zero_point(&self) -> bool {
        self.scheme == Scheme::Affine
    }

    /// Which grid holds for the value at `index`; 0 where there is one or none.
    pub fn channel_of(&self, index: usize) -> usize {
        // Channels of no values: any grid would do.
        index.checked_div(self.channel_size).unwrap_or(0) % self.grids.len().max(1)
    }

    fn grid(&self, index: usize) -> Grid {
        match self.format {
            NumberFormat::Fixed { fraction, .. } => Grid::fixed(fraction),
            _ => self.grids[self.channel_of(index)],
        }
    }

    /// The code word of a value.
    ///
    /// Floats round to nearest even and keep NaN; what is too large becomes infinity, in `f8e4m3` the largest number. Integers,
    /// fixed point: nearest step, ties to even; what is too large becomes the outermost code, NaN the code of zero. Binary: a set
    /// bit for values below zero.
    pub fn encode(&self, index: usize, value: f32) -> u64 {
        match self.format {
            NumberFormat::F64 => encode_f64(value),
            NumberFormat::F32 => value.to_bits().into(),
            NumberFormat::F16 => F16.encode(value),
            NumberFormat::Bf16 => BF16.encode(value),
            NumberFormat::F8E4M3 => F8E4M3.encode(value),
            NumberFormat::F8E5M2 => F8E5M2.encode(value),
            NumberFormat::Int(_) | NumberFormat::Uint(_) | NumberFormat::Fixed { .. } => {
                self.grid(index).code(self.codes, value) as u64 & self.mask()
            }
            NumberFormat::Sint(width) => {
                let (negative, magnitude) = self.grid(index).sign_magnitude(self.codes.high, value);
                u64::from(negative) << (width - 1) | magnitude as u64
            }
            NumberFormat::Binary => self.grid(index).is_negative(value).into(),
        }
    }

    /// The value of a code word; bits beyond the width are ignored.
    ///
    /// Every word has one, those that no value is stored as too: the most negative code of a symmetric `intN` is one step beyond
    /// the others. `f64` words are rounded to nearest even.
    pub fn decode(&self, index: usize, word: u64) -> f32 {
        match self.format {
            NumberFormat::F64 => decode_f64(word),
            NumberFormat::F32 => f32::from_bits(word as u32),
            NumberFormat::F16 => F16.decode(word),
            NumberFormat::Bf16 => BF16.decode(word),
            NumberFormat::F8E4M3 => F8E4M3.decode(word),
            NumberFormat::F8E5M2 => F8E5M2.decode(word),
            NumberFormat::Int(_) | NumberFormat::Fixed { .. } => {
                let unused = 64 - self.format.bit_width();
                self.grid(index).value((word << unused) as i64 >> unused)
            }
            NumberFormat::Uint(_) => self.grid(index).value((word & self.mask()) as i64),
            NumberFormat::Sint(width) => {
                let sign = 1 << (width - 1);
                self.grid(index).signed_value(word & sign != 0, (word & (sign - 1)) as i64)
            }
            NumberFormat::Binary => self.grid(index).signed_value(word & 1 == 1, 1),
        }
    }

    /// The bits of a word; not for `f64`.
    const fn mask(&self) -> u64 {
        (1 << self.format.bit_width()) - 1
    }

    /// Every value of a tensor as it reads once stored: [`decode`](Self::decode) of [`encode`](Self::encode), in one pass. The first
    /// value is that at index 0; per channel, a tensor may hold several images.
    pub fn store(&self, values: &mut [f32]) {
        self.store_from(0, values);
    }

    /// [`store`](Self::store) for a part of a tensor, whose first value is that at index `first`.
    pub fn store_from(&self, first: usize, values: &mut [f32]) {
        match self.format {
            // Exact.
            NumberFormat::F64 | NumberFormat::F32 => {}
            NumberFormat::F16 => map(values, |value| F16.decode(F16.encode(value))),
            NumberFormat::Bf16 => map(values, |value| BF16.decode(BF16.encode(value))),
            NumberFormat::F8E4M3 => map(values, |value| F8E4M3.decode(F8E4M3.encode(value))),
            NumberFormat::F8E5M2 => map(values, |value| F8E5M2.decode(F8E5M2.encode(value))),
            NumberFormat::Fixed { fraction, .. } => Grid::fixed(fraction).store(self.codes, values),
            NumberFormat::Int(_) | NumberFormat::Uint(_) => {
                self.each_channel(first, values, |grid, values| grid.store(self.codes, values));
            }
            NumberFormat::Sint(_) => {
                self.each_channel(first, values, |grid, values| {
                    grid.store_sign_magnitude(self.codes.high, values);
                });
            }
            NumberFormat::Binary => self.each_channel(first, values, Grid::store_binary),
        }
    }

    /// The values in runs that share a grid; the first value is that at index `first`.
    fn each_channel(&self, first: usize, values: &mut [f32], store: impl Fn(Grid, &mut [f32])) {
        let size = self.channel_size.max(1);
        let (mut at, mut rest) = (first, values);
        while !rest.is_empty() {
            let (run, later) = rest.split_at_mut((size - at % size).min(rest.len()));
            store(self.grids[self.channel_of(at)], run);
            at += run.len();
            rest = later;
        }
    }
}

/// One loop for each format, in which its constants are known.
fn map(values: &mut [f32], stored: impl Fn(f32) -> f32) {
    for value in values {
        *value = stored(*value);
    }
}
