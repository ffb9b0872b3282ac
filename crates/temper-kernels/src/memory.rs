//! The memory of a process that computes on large blocks.

use std::alloc::{GlobalAlloc, Layout, System};

/// Smaller blocks do not hold a large page for certain, or live so long that they are filled anyway.
const LEAST: usize = 4 << 20;

/// The system's allocator, which asks Linux to back blocks of 4 MiB or more by large pages.
///
/// A block as large as a batch's activations is fresh memory each time it is allocated, and the system clears it page by page on first use:
/// 2 MiB at a time in place of 4 KiB, where it is asked for (`madvise`, the usual setting of
/// `/sys/kernel/mm/transparent_hugepage/enabled`). Elsewhere nothing changes.
#[derive(Debug, Clone, Copy, Default)]
pub struct LargePages;

#[expect(unsafe_code, reason = "that is what an allocator is")]
// SAFETY: every block comes from the system's allocator and goes back to it; advice does not change what a block holds.
unsafe impl GlobalAlloc for LargePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are the system allocator's.
        advised(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        advised(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        advised(unsafe { System.realloc(block, layout, size) }, size)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) };
    }
}

/// The block, for which large pages are asked if it is large.
fn advised(block: *mut u8, size: usize) -> *mut u8 {
    if size >= LEAST && !block.is_null() {
        advise(block, size);
    }
    block
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "a call of the system")]
fn advise(block: *mut u8, size: usize) {
    /// A multiple of the small pages of all processors.
    const PAGE: usize = 1 << 16;
    let lead = block.align_offset(PAGE);
    let length = (size - lead) / PAGE * PAGE;
    // SAFETY: the range lies in the block, and this advice leaves its content. Whether it is heeded does not matter.
    unsafe { libc::madvise(block.add(lead).cast(), length, libc::MADV_HUGEPAGE) };
}

#[cfg(not(target_os = "linux"))]
fn advise(_: *mut u8, _: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(unsafe_code, reason = "an allocator is called by hand")]
    fn blocks_of_any_size_hold_what_is_written() {
        for size in [1, 4096, LEAST - 1, LEAST, LEAST + 1, 3 * LEAST + 17] {
            for align in [1, 64, 1 << 16] {
                let layout = Layout::from_size_align(size, align).expect("a layout");
                // SAFETY: the layout is not empty; the block is used within it and given back as it was taken.
                unsafe {
                    let block = LargePages.alloc_zeroed(layout);
                    assert!(!block.is_null() && block.align_offset(align) == 0);
                    assert!((0..size).all(|i| *block.add(i) == 0));
                    block.write_bytes(7, size);
                    let grown = LargePages.realloc(block, layout, size + LEAST);
                    assert!((0..size).all(|i| *grown.add(i) == 7));
                    let layout = Layout::from_size_align(size + LEAST, align).expect("a layout");
                    LargePages.dealloc(grown, layout);
                }
            }
        }
    }
}
