//! What a fault does to a value: error models, and the damage they amount to once everything random is decided.

use serde::{Deserialize, Serialize};

use crate::memory::Departure;

/// How a fault changes what it strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorModel {
    /// A bit is inverted.
    BitFlip,
    /// A bit reads zero.
    #[serde(rename = "stuck-at-0")]
    StuckAt0,
    /// A bit reads one.
    #[serde(rename = "stuck-at-1")]
    StuckAt1,
    /// A bit reads zero or one, both equally probable: the site is the bit with its polarity.
    StuckAt,
    /// All bits of a word are random.
    RandomWord,
    /// A value reads zero.
    Zeroing,
    /// A value reads `value`.
    SetValue,
    /// A value's sign is inverted.
    SignReversal,
    /// A value reads a number uniform in `low..high`.
    RandomValue,
    /// Gaussian noise of `mean` and `sigma`: added, or multiplied as `1 + noise`.
    Gaussian,
    /// A value is multiplied by `e^θ`, θ normal with `mean` and `sigma`.
    Lognormal,
    /// Noise uniform in `low..high`: added, or multiplied as `1 + noise`.
    Uniform,
}

impl ErrorModel {
    /// Every error model.
    pub const ALL: [Self; 12] = [
        Self::BitFlip,
        Self::StuckAt0,
        Self::StuckAt1,
        Self::StuckAt,
        Self::RandomWord,
        Self::Zeroing,
        Self::SetValue,
        Self::SignReversal,
        Self::RandomValue,
        Self::Gaussian,
        Self::Lognormal,
        Self::Uniform,
    ];

    /// Whether it strikes single bits, not whole values.
    pub const fn strikes_bits(self) -> bool {
        matches!(self, Self::BitFlip | Self::StuckAt0 | Self::StuckAt1 | Self::StuckAt)
    }

    /// Whether a site says all there is to say of a fault, so that the faults can be counted.
    pub const fn is_enumerable(self) -> bool {
        !matches!(
            self,
            Self::RandomWord | Self::RandomValue | Self::Gaussian | Self::Lognormal | Self::Uniform
        )
    }

    /// The name as written in a specification.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BitFlip => "bit-flip",
            Self::StuckAt0 => "stuck-at-0",
            Self::StuckAt1 => "stuck-at-1",
            Self::StuckAt => "stuck-at",
            Self::RandomWord => "random-word",
            Self::Zeroing => "zeroing",
            Self::SetValue => "set-value",
            Self::SignReversal => "sign-reversal",
            Self::RandomValue => "random-value",
            Self::Gaussian => "gaussian",
            Self::Lognormal => "lognormal",
            Self::Uniform => "uniform",
        }
    }
}

/// How noise acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The noise is added to the value.
    #[default]
    Additive,
    /// The value is multiplied by one plus the noise.
    Multiplicative,
}

/// The unit of additive noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelativeTo {
    /// One.
    #[default]
    One,
    /// The largest magnitude in the struck tensor, as stored.
    MaxAbs,
    /// The standard deviation of the struck tensor, as stored.
    Std,
}

/// What one fault does to one value. Masks hold the struck bits of the value's word.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Damage {
    /// These bits are inverted.
    Flip(u64),
    /// These bits read zero.
    StuckAt0(u64),
    /// These bits read one.
    StuckAt1(u64),
    /// The value reads this number.
    Set(f32),
    /// The sign is inverted.
    Negate,
    /// This number is added.
    Add(f32),
    /// The value is multiplied by this number.
    Scale(f32),
}

/// What is read of a value in memory, and the word behind it as long as there is one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// What is read.
    pub value: f32,
    /// The word it was read from; `None` if it has not been asked for, or no word stands for the value.
    pub word: Option<u64>,
}

impl Reading {
    /// A value whose word is not known yet.
    pub fn of(value: f32) -> Self {
        Self { value, word: None }
    }

    /// Reads a changed word; one that stays as it is leaves the value as it is.
    fn strike(
        &mut self,
        change: impl Fn(u64) -> u64,
        encode: impl Fn(f32) -> u64,
        decode: impl Fn(u64) -> f32,
    ) {
        let word = self.word.unwrap_or_else(|| encode(self.value));
        let struck = change(word);
        self.word = Some(struck);
        if struck != word {
            self.value = decode(struck);
        }
    }
}

impl Damage {
    /// How far it takes values away from the codes they are stored as.
    pub fn departure(self) -> Departure {
        match self {
            Self::Flip(_) | Self::StuckAt0(_) | Self::StuckAt1(_) => Departure::Word,
            Self::Set(0.0) => Departure::Zero,
            Self::Negate => Departure::Negative,
            Self::Set(_) | Self::Add(_) | Self::Scale(_) => Departure::Value,
        }
    }

    /// Changes what is read. Damage to bits acts on the word behind the value (which `encode` makes, where there is none), and
    /// `decode` says what the struck word means; other damage acts on the value that is read, which no word need be able to hold.
    pub fn apply(self, reading: &mut Reading, encode: impl Fn(f32) -> u64, decode: impl Fn(u64) -> f32) {
        let value = reading.value;
        match self {
            Self::Flip(mask) => reading.strike(|word| word ^ mask, encode, decode),
            Self::StuckAt0(mask) => reading.strike(|word| word & !mask, encode, decode),
            Self::StuckAt1(mask) => reading.strike(|word| word | mask, encode, decode),
            Self::Set(value) => *reading = Reading::of(value),
            // Of the bits, not of the arithmetic: NaN has a sign too.
            Self::Negate => *reading = Reading::of(f32::from_bits(value.to_bits() ^ (1 << 31))),
            Self::Add(noise) => *reading = Reading::of(value + noise),
            Self::Scale(factor) => *reading = Reading::of(value * factor),
        }
    }
}
