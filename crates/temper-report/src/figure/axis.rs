//! Where values stand on an axis, and which of them are written.

use crate::chart::{Axis, Scale};
use crate::number::{Format, superscript};

/// A value that is written on an axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tick {
    /// Its place, in the axis's own measure.
    pub(super) at: f64,
    /// How it is written.
    pub(super) label: String,
}

/// An axis with the range of its values.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ruler {
    scale: Scale,
    /// The ends, in the axis's own measure: values, or their decimal logarithms.
    pub(super) low: f64,
    pub(super) high: f64,
    /// Where zero stands on a logarithmic axis.
    zero: Option<f64>,
    /// What is written.
    pub(super) ticks: Vec<Tick>,
}

impl Ruler {
    /// An axis for these values with about so many ticks, with some room at its ends.
    pub(super) fn new(axis: &Axis, values: impl Iterator<Item = f64> + Clone, ticks: usize) -> Self {
        match axis.scale {
            Scale::Linear => Self::linear(axis, values, ticks),
            Scale::Logarithmic => Self::logarithmic(&values, ticks),
        }
    }

    fn linear(axis: &Axis, values: impl Iterator<Item = f64>, ticks: usize) -> Self {
        let (least, most) = axis.limits.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
        let cut = values.filter(|value| value.is_finite()).map(|value| value.clamp(least, most));
        let (mut low, mut high) =
            cut.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
        if low > high {
            (low, high) = (least.max(0.0), most.min(1.0));
        }
        // Without a difference there is still something to see.
        if high - low < 1e-9 * (1.0 + high.abs()) {
            let around = if high == 0.0 { 0.5 } else { 0.05 * high.abs() };
            (low, high) = (low - around, high + around);
        }
        let margin = 0.06 * (high - low);
        let (low, high) = ((low - margin).max(least), (high + margin).min(most));
        let step = steps((high - low) / ticks as f64)
            .find(|step| (high / step).floor() - (low / step).ceil() >= 2.0)
            .unwrap_or(high - low);
        let decimals = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
        let first = (low / step).ceil() as i64;
        let last = (high / step + 1e-9).floor() as i64;
        let whole = axis.format == Format::Count;
        let values = (first..=last).map(|i| i as f64 * step).filter(|at| !whole || at.fract() == 0.0);
        let label = |at: f64| match axis.format {
            Format::Count => Format::Count.text(at),
            _ if at.abs() >= 1e5 || (step < 1e-5 && at != 0.0) => Format::Plain.text(at),
            _ => format!("{:.decimals$}", if at == 0.0 { 0.0 } else { at }).replace('-', "−"),
        };
        let ticks = values.map(|at| Tick { at, label: label(at) }).collect();
        Self { scale: Scale::Linear, low, high, zero: None, ticks }
    }

    fn logarithmic(values: &(impl Iterator<Item = f64> + Clone), ticks: usize) -> Self {
        let positive = values.clone().filter(|value| value.is_finite() && *value > 0.0).map(f64::log10);
        let (mut low, mut high) =
            positive.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
        if low > high {
            (low, high) = (-1.0, 0.0);
        }
        if high - low < 0.2 {
            (low, high) = (low - 0.5, high + 0.5);
        }
        let margin = 0.04 * (high - low);
        let has_zero = values.clone().any(|value| value == 0.0);
        // Zero stands apart, as far as a tenth of the rest.
        let zero = has_zero.then(|| low - (0.1 * (high - low)).max(0.4));
        let ends = (zero.unwrap_or(low) - margin, high + margin);
        let decades = (low - 1e-9).ceil() as i32..=(high + 1e-9).floor() as i32;
        let every = decades.clone().count().div_ceil(ticks).max(1) as i32;
        let mut found: Vec<Tick> = zero.map(|at| Tick { at, label: "0".to_owned() }).into_iter().collect();
        // One way of writing for all.
        let by_power = *decades.start() < -3 || *decades.end() > 5;
        let label = |value: f64| match value.log10().round() {
            power if by_power && (value / 10f64.powf(power) - 1.0).abs() < 1e-9 => {
                format!("10{}", superscript(power as i32))
            }
            _ => Format::Plain.text(value),
        };
        let last = *decades.end();
        let shown = decades.clone().filter(|decade| (last - decade) % every == 0);
        found.extend(shown.map(|decade| Tick { at: f64::from(decade), label: label(10f64.powi(decade)) }));
        if decades.count() < 3 {
            let between = (low.floor() as i32..=high.ceil() as i32)
                .flat_map(|decade| [2.0, 5.0].map(|digit| digit * 10f64.powi(decade)));
            let inside = between.filter(|value| (low - 1e-9..=high + 1e-9).contains(&value.log10()));
            found.extend(inside.map(|value| Tick { at: value.log10(), label: label(value) }));
            found.sort_by(|a, b| a.at.total_cmp(&b.at));
        }
        Self { scale: Scale::Logarithmic, low: ends.0, high: ends.1, zero, ticks: found }
    }

    /// Where a value stands, cut at the ends; `None` for what has no place.
    pub(super) fn place(&self, value: f64) -> Option<f64> {
        let at = match self.scale {
            Scale::Linear => value,
            Scale::Logarithmic if value == 0.0 => self.zero?,
            Scale::Logarithmic if value > 0.0 => value.log10(),
            Scale::Logarithmic => return None,
        };
        at.is_finite().then(|| at.clamp(self.low, self.high))
    }
}

/// Steps of 1, 2 or 5 times a power of ten: the one that is at least this, then ever smaller ones.
fn steps(least: f64) -> impl Iterator<Item = f64> {
    let power = least.log10().ceil() as i32;
    let all = (0..4).flat_map(move |i| [1.0, 0.5, 0.2].map(|digit| digit * 10f64.powi(power - i)));
    let smaller = all.clone().skip(1).chain([0.0]);
    all.zip(smaller).skip_while(move |(_, next)| *next >= least * 0.999).map(|(step, _)| step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis, values: &[f64], ticks: usize) -> Vec<String> {
        Ruler::new(axis, values.iter().copied(), ticks).ticks.into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn ticks_are_round_and_written_alike() {
        assert_eq!(
            labels(&Axis::share("accuracy"), &[0.0, 1.0], 5),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(
            labels(&Axis::share("accuracy"), &[0.901, 0.909], 4),
            ["0.902", "0.904", "0.906", "0.908"]
        );
        let change = Axis::plain("change", Scale::Linear);
        assert_eq!(labels(&change, &[-0.3, 0.1], 4), ["−0.3", "−0.2", "−0.1", "0.0", "0.1"]);
    }

    #[test]
    fn nothing_one_value_and_no_numbers_have_an_axis() {
        for values in [&[][..], &[0.5], &[0.0], &[f64::NAN, f64::INFINITY], &[1e300, -1e300]] {
            for scale in [Scale::Linear, Scale::Logarithmic] {
                let ruler = Ruler::new(&Axis::plain("x", scale), values.iter().copied(), 5);
                assert!(ruler.low < ruler.high && ruler.ticks.len() < 20, "{values:?}: {ruler:?}");
            }
        }
    }

    #[test]
    fn zero_has_a_place_of_its_own_among_logarithms() {
        let axis = Axis::plain("bit error rate", Scale::Logarithmic);
        let values = [0.0, 1e-6, 1e-4];
        assert_eq!(labels(&axis, &values, 6), ["0", "10⁻⁶", "10⁻⁵", "10⁻⁴"]);
        let ruler = Ruler::new(&axis, values.into_iter(), 6);
        assert!(ruler.place(0.0) < ruler.place(1e-6));
        assert_eq!((ruler.place(-1.0), ruler.place(f64::NAN)), (None, None));
    }

    #[test]
    fn few_decades_show_what_lies_between() {
        let axis = Axis::plain("count", Scale::Logarithmic);
        assert_eq!(labels(&axis, &[1.0, 40.0], 6), ["1", "2", "5", "10", "20"]);
    }
}
