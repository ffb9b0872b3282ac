//! Operators that move or combine values by position: broadcasting, concatenation, padding, transposition.

/// How two shapes combine under broadcasting: for each dimension of the output its extent and both operands' strides.
#[derive(Debug, Clone)]
pub(super) struct Broadcast {
    extents: Vec<usize>,
    strides: [Vec<usize>; 2],
}

impl Broadcast {
    /// A plan for operands of shapes `a` and `b`, or `None` when both have the output's shape and no plan is needed.
    pub(super) fn new(a: &[usize], b: &[usize], output: &[usize]) -> Option<Self> {
        if a == output && b == output {
            return None;
        }
        Some(Self {
            extents: output.to_vec(),
            strides: [stretched(a, output.len()), stretched(b, output.len())],
        })
    }

    /// Combines one image.
    pub(super) fn apply(&self, a: &[f32], b: &[f32], output: &mut [f32], combine: impl Fn(f32, f32) -> f32) {
        for_each_place(&self.extents, &self.strides, |i, [x, y]| output[i] = combine(a[x], b[y]));
    }
}

/// Row-major strides of `shape` seen with `rank` dimensions; zero where it is stretched.
fn stretched(shape: &[usize], rank: usize) -> Vec<usize> {
    let own = strides(shape);
    let missing = rank - shape.len();
    (0..rank)
        .map(|i| i.checked_sub(missing).map_or(0, |own_i| if shape[own_i] == 1 { 0 } else { own[own_i] }))
        .collect()
}

fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i];
    }
    strides
}

/// Calls `each` for every place of `extents` in row-major order, with its index and its offset under each set of strides.
fn for_each_place<const S: usize>(
    extents: &[usize],
    strides: &[Vec<usize>; S],
    mut each: impl FnMut(usize, [usize; S]),
) {
    let mut place = vec![0; extents.len()];
    let mut offsets = [0; S];
    for i in 0..extents.iter().product() {
        each(i, offsets);
        for d in (0..extents.len()).rev() {
            place[d] += 1;
            for (offset, strides) in offsets.iter_mut().zip(strides) {
                *offset += strides[d];
            }
            if place[d] < extents[d] {
                break;
            }
            for (offset, strides) in offsets.iter_mut().zip(strides) {
                *offset -= strides[d] * place[d];
            }
            place[d] = 0;
        }
    }
}

/// A permutation of an image's dimensions.
#[derive(Debug, Clone)]
pub(super) struct Transpose {
    extents: Vec<usize>,
    strides: [Vec<usize>; 1],
}

impl Transpose {
    pub(super) fn new(input: &[usize], perm: &[usize]) -> Self {
        let own = strides(input);
        Self {
            extents: perm.iter().map(|&from| input[from]).collect(),
            strides: [perm.iter().map(|&from| own[from]).collect()],
        }
    }

    /// Permutes one image.
    pub(super) fn apply(&self, input: &[f32], output: &mut [f32]) {
        for_each_place(&self.extents, &self.strides, |i, [from]| output[i] = input[from]);
    }
}

/// A constant laid around an image.
#[derive(Debug, Clone)]
pub(super) struct Pad {
    extents: Vec<usize>,
    strides: [Vec<usize>; 1],
    start: usize,
    value: f32,
}

impl Pad {
    pub(super) fn new(input: &[usize], before: &[usize], output: &[usize], value: f32) -> Self {
        let strides = strides(output);
        let start = before.iter().zip(&strides).map(|(before, stride)| before * stride).sum();
        Self { extents: input.to_vec(), strides: [strides], start, value }
    }

    /// Where in the output, seen as channels, rows and columns, the input's first value goes; `None` where an image has more dimensions
    /// than these.
    pub(super) fn corner(&self, [_, height, width]: [usize; 3]) -> Option<[usize; 3]> {
        let start = self.start;
        (self.extents.len() <= 3).then_some([start / (height * width), start / width % height, start % width])
    }

    /// Pads one image.
    pub(super) fn apply(&self, input: &[f32], output: &mut [f32]) {
        output.fill(self.value);
        for_each_place(&self.extents, &self.strides, |i, [to]| output[self.start + to] = input[i]);
    }
}

/// Lays inputs one after another: `blocks` of each input's block length in turn.
pub(super) fn concat(inputs: &[(&[f32], usize)], output: &mut [f32]) {
    let mut rest = output;
    let mut block = 0;
    while !rest.is_empty() {
        for (input, length) in inputs {
            let (head, tail) = rest.split_at_mut(*length);
            head.copy_from_slice(&input[block * length..][..*length]);
            rest = tail;
        }
        block += 1;
    }
}
