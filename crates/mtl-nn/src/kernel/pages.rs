//! Large arrays in large pages, touched once.

#![allow(unsafe_code, reason = "a hint to the system about a range of addresses")]

use rayon::prelude::*;

use crate::Scalar;

/// Arrays shorter than this, in bytes, take whatever pages they get.
const LARGE: usize = 1 << 22;

/// `n` times `value`: the values of a table, or the state of its optimiser.
///
/// The allocator's zeros are pages that do not exist until something is written to them. Of a large
/// table a batch writes to hundreds of new ones for thousands of steps, each a trap into the system;
/// and rows that lie in pages of 4 KiB each miss the processor's table of pages too. So a large array
/// asks for pages of 2 MiB, where the system has them (Linux, by `madvise`), and all of it is
/// written here. `docs/performance.md` has what it does to a step.
pub(crate) fn filled<S: Scalar>(value: S, n: usize) -> Vec<S> {
    let mut values = vec![S::zero(); n];
    if size_of_val(values.as_slice()) >= LARGE {
        ask_for_large_pages(&mut values);
    }
    values.par_chunks_mut(LARGE).for_each(|chunk| chunk.fill(value));
    values
}

/// A hint: what cannot be had changes nothing.
#[cfg(target_os = "linux")]
fn ask_for_large_pages<S>(values: &mut [S]) {
    const PAGE: usize = 1 << 21;
    // Whole large pages only; what lies beside them belongs to others too.
    let address = values.as_ptr().addr();
    let skipped = address.next_multiple_of(PAGE) - address;
    let length = size_of_val(values).saturating_sub(skipped) / PAGE * PAGE;
    if length > 0 {
        // SAFETY: the range lies in `values`, which are borrowed mutably; the advice changes how
        // they are mapped, and no value.
        unsafe {
            let start = values.as_mut_ptr().byte_add(skipped);
            libc::madvise(start.cast(), length, libc::MADV_HUGEPAGE);
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn ask_for_large_pages<S>(_: &mut [S]) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_of_every_size_hold_the_value() {
        // Below, around and beyond whole pages.
        for n in [0, 1, 1 << 20, (1 << 20) + 7, 3 << 20] {
            for value in [0.0f32, 0.5] {
                let values = filled(value, n);
                assert_eq!(values.len(), n);
                assert!(values.iter().all(|&v| v == value));
            }
        }
    }
}
