//! At how many draws a campaign may stop, and what each such look may spend of the error.

use serde::Serialize;

use super::error::StatisticsError;

/// The share of the error that the first look spends. Little: it is there to plan the others.
const FIRST_SHARE: f64 = 0.125;

/// The numbers of draws at which a campaign may stop: `min`, then each half as many again (rounded up), last `max`. What the first
/// look has seen may [put the second](Self::with_second) where it is expected to be the last.
///
/// The first look spends an eighth of the error probability, each further one half of what is left, the last one all of it. So all
/// intervals hold at once with the wanted confidence (Bonferroni's inequality), however many looks there are, and the second, where
/// most campaigns stop, is nearly as narrow as a single one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Looks {
    draws: Vec<usize>,
}

impl Looks {
    /// The looks from `min` to `max` draws.
    ///
    /// # Errors
    /// If `min` is less than 2, which leaves no interval, or more than `max`.
    pub fn new(min: usize, max: usize) -> Result<Self, StatisticsError> {
        if min < 2 {
            return Err(StatisticsError::TooFew {
                name: "draws before the first look",
                found: min as u64,
                needed: 2,
            });
        }
        super::proportion::check_part(("draws at least", min as u64), ("draws at most", max as u64))?;
        Ok(Self { draws: vec![min, max] }.with_second(half_more(min)))
    }

    /// The same first and last look, the second at so many draws, and others after it.
    #[must_use]
    pub fn with_second(&self, second: usize) -> Self {
        let (first, last) = self.ends();
        let further = std::iter::successors(Some(second.max(first)), |&draws| Some(half_more(draws)));
        let mut draws = vec![first];
        draws.extend(further.skip_while(|&draws| draws == first).take_while(|&draws| draws < last));
        if last > first {
            draws.push(last);
        }
        Self { draws }
    }

    /// The numbers of draws, ascending.
    pub fn draws(&self) -> &[usize] {
        &self.draws
    }

    /// The level of the interval of the look at so many draws (of the next one, if there is none; of the last, beyond it), with
    /// which all of them hold at once with a probability of `confidence`. So the interval at the look where one stops holds too,
    /// whatever made one stop there.
    pub fn level(&self, draws: usize, confidence: f64) -> f64 {
        let last = self.draws.len() - 1;
        let place = self.draws.partition_point(|&look| look < draws).min(last);
        let share = match place {
            0 if last == 0 => 1.0,
            0 => FIRST_SHARE,
            _ => {
                let halvings = if place == last { place - 1 } else { place };
                (1.0 - FIRST_SHARE) * 0.5f64.powi(i32::try_from(halvings).unwrap_or(i32::MAX))
            }
        };
        1.0 - (1.0 - confidence) * share
    }

    /// Where the second look may be: the first one's draws, then a sixteenth more each time, last `max`.
    pub(super) fn possible(&self) -> impl Iterator<Item = usize> + use<> {
        let (first, last) = self.ends();
        let more = |draws: &usize| Some(draws.saturating_add(draws.div_ceil(16)));
        let before_last = std::iter::successors(Some(first), more).take_while(move |&draws| draws < last);
        before_last.chain(std::iter::once(last))
    }

    fn ends(&self) -> (usize, usize) {
        (self.draws[0], self.draws[self.draws.len() - 1])
    }
}

fn half_more(draws: usize) -> usize {
    draws.saturating_add(draws.div_ceil(2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn looks_by_hand() {
        let looks = |min, max| Looks::new(min, max).expect("valid");
        assert_eq!(looks(10, 100).draws(), [10, 15, 23, 35, 53, 80, 100]);
        assert_eq!(looks(2, 9).draws(), [2, 3, 5, 8, 9]);
        assert_eq!(looks(30, 30).draws(), [30]);
        assert_eq!(looks(30, 45).draws(), [30, 45]);
        assert_eq!(looks(usize::MAX - 1, usize::MAX).draws(), [usize::MAX - 1, usize::MAX]);
        assert_eq!(looks(10, 100).with_second(40).draws(), [10, 40, 60, 90, 100]);
        assert_eq!(looks(10, 100).with_second(100).draws(), [10, 100]);
        assert_eq!(looks(10, 100).with_second(1_000).draws(), [10, 100]);
        assert_eq!(looks(10, 100).with_second(3).draws(), looks(10, 100).draws());
        assert_eq!(looks(30, 30).with_second(40).draws(), [30]);
        for (min, max) in [(0, 5), (1, 5), (6, 5)] {
            assert!(Looks::new(min, max).is_err());
        }
    }

    #[test]
    fn levels_by_hand() {
        let looks = Looks::new(10, 100).expect("valid").with_second(40);
        // Of 8 %: 1 %, 3.5 %, 1.75 %, 0.875 % and again 0.875 %. Between looks that of the next one.
        for (draws, error) in
            [(10, 1.0), (11, 3.5), (40, 3.5), (60, 1.75), (90, 0.875), (100, 0.875), (200, 0.875)]
        {
            assert!((looks.level(draws, 0.92) - (1.0 - error / 100.0)).abs() < 1e-15, "{draws}");
        }
        assert_eq!(Looks::new(30, 30).expect("valid").level(30, 0.95), 0.95);
    }

    proptest! {
        #[test]
        fn the_error_is_spent_and_no_more(min in 2usize..50, more in 0usize..5_000, second in 0usize..6_000) {
            let looks = Looks::new(min, min + more).expect("valid").with_second(second);
            prop_assert!(looks.draws().is_sorted_by(|a, b| a < b));
            prop_assert_eq!((looks.draws()[0], looks.draws().last()), (min, Some(&(min + more))));
            let spent: f64 = looks.draws().iter().map(|&draws| 1.0 - looks.level(draws, 0.9)).sum();
            prop_assert!((spent - 0.1).abs() < 1e-12, "{spent}");
            let possible: Vec<usize> = looks.possible().collect();
            prop_assert!(possible.is_sorted_by(|a, b| a < b));
            prop_assert_eq!((possible[0], possible.last()), (min, Some(&(min + more))));
        }
    }
}
