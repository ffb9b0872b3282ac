//! The arguments of ONNX's `Slice`.

use super::call::Call;
use super::dense::resolve_axis;

/// The indices `start, start + step, …` of one dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    start: i64,
    /// Never zero.
    pub(super) step: i64,
    /// How many indices.
    count: usize,
    /// The dimension's extent.
    extent: usize,
}

impl Range {
    /// All of a dimension.
    fn whole(extent: usize) -> Self {
        Self { start: 0, step: 1, count: extent, extent }
    }

    /// From `start` to before `end`, both counted from the end if negative and then limited to the dimension.
    fn new(start: i64, end: i64, step: i64, extent: usize) -> Result<Self, String> {
        let n = i64::try_from(extent).map_err(|_| "the dimension is too large")?;
        let from_end = |at: i64| if at < 0 { at.saturating_add(n) } else { at };
        let (low, high) = if step > 0 { (0, n) } else { (-1, n - 1) };
        let start = from_end(start).clamp(low.max(0).min(high), high);
        let end = from_end(end).clamp(low, high);
        let count = match step {
            0 => return Err("a step of a slice is 0".to_owned()),
            1.. => (end - start).max(0).unsigned_abs().div_ceil(step.unsigned_abs()),
            _ => (start - end).max(0).unsigned_abs().div_ceil(step.unsigned_abs()),
        };
        Ok(Self { start, step, count: count as usize, extent })
    }

    /// The indices, all of which exist.
    pub(super) fn indices(&self) -> Vec<usize> {
        (0..self.count).map(|i| (self.start + i as i64 * self.step) as usize).collect()
    }

    /// Whether every `step`-th index is there, from the first to the end.
    pub(super) fn starts_at_zero_and_covers(&self) -> bool {
        self.start == 0 && self.step > 0 && self.count == self.extent.div_ceil(self.step as usize)
    }
}

/// What a slice takes of each dimension of `shape`.
pub(super) fn ranges(call: &mut Call<'_>, shape: &[usize]) -> Result<Vec<Range>, String> {
    call.arity(1, 5)?;
    let starts = call.list(1, "starts")?.ok_or("it has no starts")?;
    let ends = call.list(2, "ends")?.ok_or("it has no ends")?;
    let axes = call.list(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = call.list(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(format!(
            "it has {} starts, {} ends, {} axes and {} steps; expected as many of each",
            starts.len(),
            ends.len(),
            axes.len(),
            steps.len()
        ));
    }
    let mut ranges: Vec<Option<Range>> = vec![None; shape.len()];
    for (i, axis) in axes.iter().enumerate() {
        let axis = resolve_axis(*axis, shape.len())?;
        let range = Range::new(starts[i], ends[i], steps[i], shape[axis])?;
        if ranges[axis].replace(range).is_some() {
            return Err(format!("it slices axis {axis} twice"));
        }
    }
    Ok(ranges.into_iter().zip(shape).map(|(range, &extent)| range.unwrap_or(Range::whole(extent))).collect())
}

#[cfg(test)]
mod tests {
    use super::Range;

    fn indices(start: i64, end: i64, step: i64, extent: usize) -> Vec<usize> {
        Range::new(start, end, step, extent).unwrap().indices()
    }

    #[test]
    fn indices_are_numpys() {
        // numpy.arange(5)[start:end:step]
        assert_eq!(indices(0, 5, 2, 5), [0, 2, 4]);
        assert_eq!(indices(-2, i64::MAX, 1, 5), [3, 4]);
        assert_eq!(indices(1, -1, 3, 5), [1]);
        assert_eq!(indices(3, 1, 1, 5), Vec::<usize>::new());
        assert_eq!(indices(-1, i64::MIN, -1, 5), [4, 3, 2, 1, 0]);
        assert_eq!(indices(i64::MAX, 0, -2, 5), [4, 2]);
        assert_eq!(indices(0, 5, i64::MAX, 5), [0]);
        assert_eq!(indices(4, i64::MIN, i64::MIN, 5), [4]);
        assert_eq!(indices(0, i64::MAX, 1, 0), Vec::<usize>::new());
        assert_eq!(indices(0, i64::MIN, -1, 0), Vec::<usize>::new());
        assert!(Range::new(0, 5, 0, 5).is_err());
    }

    #[test]
    fn covering_means_every_step_from_the_first() {
        let covers = |start, end, step, extent| {
            Range::new(start, end, step, extent).unwrap().starts_at_zero_and_covers()
        };
        assert!(covers(0, i64::MAX, 2, 5) && covers(0, 5, 1, 5) && covers(-5, 5, 1, 5));
        // Taking 0..5 of 6 by twos leaves nothing out that 0..6 would take.
        assert!(covers(0, 5, 2, 6));
        assert!(
            !covers(1, 5, 1, 5) && !covers(0, 4, 1, 5) && !covers(0, 4, 2, 5) && !covers(-1, i64::MIN, -1, 5)
        );
    }
}
