//! Which values share a buffer.

/// The life of a value: from the step that makes it to the last step that reads it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    /// The step that makes it; `None` for the network's input.
    pub(super) made: Option<usize>,
    /// The last step that reads it; `usize::MAX` for the network's output.
    pub(super) last_read: usize,
}

/// Assigns a buffer to each value so that values alive at the same time have different ones; returns each value's buffer.
/// `lives` must be in the order in which the values are made.
pub(super) fn assign(lives: &[Life]) -> Vec<usize> {
    // For each buffer, the last step that needs its present content.
    let mut busy_until: Vec<usize> = Vec::new();
    lives
        .iter()
        .map(|life| {
            let free = busy_until.iter().position(|&until| life.made.is_some_and(|made| until < made));
            let buffer = free.unwrap_or_else(|| {
                busy_until.push(0);
                busy_until.len() - 1
            });
            // A value that nothing reads still occupies its buffer while it is made.
            busy_until[buffer] = life.last_read.max(life.made.unwrap_or(0));
            buffer
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_alive_together_never_share() {
        // A chain with a residual connection: value 1 lives from step 0 to step 3.
        let life = |made, last_read| Life { made, last_read };
        let lives =
            [life(None, 0), life(Some(0), 3), life(Some(1), 2), life(Some(2), 3), life(Some(3), usize::MAX)];
        let buffers = assign(&lives);
        for (i, a) in lives.iter().enumerate() {
            for (j, b) in lives.iter().enumerate().skip(i + 1) {
                let overlap = b.made.is_none_or(|made| a.last_read >= made);
                assert!(
                    !(overlap && buffers[i] == buffers[j]),
                    "values {i} and {j} share a buffer: {buffers:?}"
                );
            }
        }
        assert_eq!(buffers.iter().max(), Some(&2), "three buffers are enough: {buffers:?}");
    }
}
