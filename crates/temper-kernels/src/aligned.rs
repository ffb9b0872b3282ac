//! Memory for vectors.

/// A growable slice that starts at a cache line, so that no aligned vector in it lies across two.
#[derive(Debug, Default, Clone)]
pub(crate) struct Aligned {
    lines: Vec<Line>,
}

/// What the largest vector holds: one cache line.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; 16]);

impl Aligned {
    /// Makes room for at least `count` values; new ones are zero.
    pub(crate) fn grow(&mut self, count: usize) {
        let lines = count.div_ceil(16).max(self.lines.len());
        self.lines.resize(lines, Line([0.0; 16]));
    }

    /// All values, in whole cache lines.
    #[expect(unsafe_code, reason = "the standard library flattens arrays, but not aligned ones")]
    pub(crate) fn values(&self) -> &[f32] {
        // SAFETY: `Line` is sixteen values without gaps.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.lines.len() * 16) }
    }

    /// All values, in whole cache lines.
    #[expect(unsafe_code, reason = "the standard library flattens arrays, but not aligned ones")]
    pub(crate) fn values_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.lines.len() * 16) }
    }
}
