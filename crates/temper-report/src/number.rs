//! Numbers as people read them.

/// How numbers of a column or an axis are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A share or an accuracy, with four decimals.
    Share,
    /// A difference of shares, with its sign.
    Change,
    /// A whole number, in groups of three digits.
    Count,
    /// Any number, with four significant digits.
    Plain,
}

impl Format {
    /// A number in words; a dash for what is no number.
    pub fn text(self, value: f64) -> String {
        if value.is_nan() {
            return "–".to_owned();
        }
        if value.is_infinite() {
            return if value > 0.0 { "∞" } else { "−∞" }.to_owned();
        }
        match self {
            Self::Share => negative(format!("{value:.4}")),
            Self::Change => {
                let text = format!("{value:+.4}");
                if text[1..] == *"0.0000" { "0.0000".to_owned() } else { negative(text) }
            }
            Self::Count => grouped(value),
            Self::Plain => plain(value),
        }
    }
}

/// With a true minus sign; what rounds to zero has none.
fn negative(text: String) -> String {
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|digit| matches!(digit, '0' | '.')) => rest.to_owned(),
        Some(rest) => format!("−{rest}"),
        None => text,
    }
}

/// A whole number with thin spaces between groups of three digits.
fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    if value < -0.5 { format!("−{text}") } else { text }
}

/// Four significant digits without zeros that say nothing; powers of ten for what is very large or small.
fn plain(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        return "0".to_owned();
    }
    if !(1e-3..1e6).contains(&size) {
        let text = format!("{value:.3e}");
        let Some((digits, exponent)) = text.split_once('e') else { return text };
        let digits = trimmed(digits);
        let power = format!("10{}", superscript(exponent.parse().unwrap_or(0)));
        return match digits.as_str() {
            "1" => power,
            "-1" => format!("−{power}"),
            digits => format!("{}·{power}", negative(digits.to_owned())),
        };
    }
    let decimals = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
    negative(trimmed(&format!("{value:.decimals$}")))
}

/// Without zeros behind the last decimal that counts.
fn trimmed(text: &str) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text.to_owned()
    }
}

/// An exponent in small raised digits.
pub(crate) fn superscript(exponent: i32) -> String {
    let raised = |digit: char| match digit {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        digit => char::from_u32(0x2070 + (digit as u32 - '0' as u32)).unwrap_or(digit),
    };
    exponent.to_string().chars().map(raised).collect()
}

/// A share as per cent with so many decimals: `91.3 %`.
pub(crate) fn percent(share: f64, decimals: usize) -> String {
    if share.is_finite() {
        format!("{}\u{a0}%", negative(format!("{:.decimals$}", 100.0 * share)))
    } else {
        Format::Share.text(share)
    }
}

/// A confidence level: `95 %`, `99.9 %`.
pub(crate) fn level(confidence: f64) -> String {
    format!("{}\u{a0}%", trimmed(&format!("{:.4}", 100.0 * confidence)))
}

/// `one thing`, `1 234 things`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{}\u{a0}{}", grouped(number as f64), if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_people_write_them() {
        let cases = [
            (Format::Share, 0.91234, "0.9123"),
            (Format::Share, -0.000_01, "0.0000"),
            (Format::Change, -0.05, "−0.0500"),
            (Format::Change, 0.05, "+0.0500"),
            (Format::Change, -0.000_01, "0.0000"),
            (Format::Count, 1_234_567.0, "1\u{202f}234\u{202f}567"),
            (Format::Count, -12.0, "−12"),
            (Format::Plain, 0.0, "0"),
            (Format::Plain, 1e-6, "10⁻⁶"),
            (Format::Plain, 2.5e-6, "2.5·10⁻⁶"),
            (Format::Plain, -1e7, "−10⁷"),
            (Format::Plain, 0.1667, "0.1667"),
            (Format::Plain, 20.0, "20"),
            (Format::Plain, 123_456.0, "123456"),
            (Format::Share, f64::NAN, "–"),
            (Format::Plain, f64::NEG_INFINITY, "−∞"),
        ];
        for (format, value, expected) in cases {
            assert_eq!(format.text(value), expected, "{value}");
        }
        assert_eq!(percent(0.9134, 1), "91.3\u{a0}%");
        assert_eq!(level(0.999), "99.9\u{a0}%");
    }
}
