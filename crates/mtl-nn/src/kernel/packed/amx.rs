//! AMX: blocks of 32 rows × 32 columns in four tiles of 16 × 16 sums.
//!
//! A tile of A is 16 rows of 16 words, a tile of B 16 lines of a panel, so panels are read as AVX-512
//! BF16 reads them; one instruction multiplies 16 × 16 sums by 32 values. Two tiles of A and two of
//! B feed four products, the fewest loads a product that eight tiles allow. A panel stays in the
//! first-level cache while A passes by.
//!
//! Written from Intel's manual without such a processor: tests execute these very instructions in
//! an emulator, and [`multiplies_rightly`] is asked before anything else is.

#![allow(unsafe_code, reason = "tiles have no stable intrinsics; pointers into packed factors")]

use std::arch::asm;
use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};

use super::room::Room;
use super::tile::{Left, Right, Words};
use super::{Format, PANEL, TILE, panel_width, panel_words};
use crate::{Mat, MatMut};

/// Rows of a block: two tiles.
const BLOCK: usize = 2 * TILE;

/// `C = A·B`, or `C += A·B`, where neither is empty; A's rows are packed up to whole tiles.
///
/// # Panics
/// If A is not packed so. The caller has compared the shapes.
///
/// # Safety
/// The processor has AMX-BF16, and the system lets it be used.
pub(super) unsafe fn multiply(
    mut c: MatMut<'_, f32>,
    add_to: bool,
    a: Left<'_>,
    b: Right<'_>,
    lines: &mut Room,
) {
    let (rows, cols) = (c.rows(), c.cols());
    let (Words::Packed(_), (a_words, n_a)) = (a.words, a.words.span()) else {
        unreachable!("tiles are packed");
    };
    assert!(
        (a.step, a.row) == (1, a.inner)
            && a.inner.is_multiple_of(TILE)
            && rows.next_multiple_of(TILE) * a.inner <= n_a,
        "tiles of the first factor"
    );
    if a.inner == 0 {
        if !add_to {
            c.fill(0.0);
        }
        return;
    }
    // SAFETY: the caller's promise.
    let _tiles = unsafe { Tiles::configure() };
    for start in (0..cols).step_by(PANEL) {
        let width = panel_width(PANEL, start, cols);
        let (b, _) = b.panel(start, width, lines);
        for row in (0..rows).step_by(BLOCK) {
            let mut c = Window { c: c.columns(start, (cols - start).min(width)), row };
            let job = Job {
                // SAFETY: row < rows, whose words lie in A.
                a: unsafe { a_words.add(row * a.inner) },
                b,
                steps: a.inner / TILE,
                add_to,
                shape: [(rows - row).min(BLOCK).div_ceil(TILE), width / TILE],
            };
            // SAFETY: A has rows up to whole tiles, as asserted; `Right::panel` has checked the
            // panel's lines; tiles are configured.
            unsafe { job.run(&mut c) }
        }
    }
}

/// The tiles, configured; released when dropped, so that a switch of threads need not save them.
struct Tiles;

/// What `ldtilecfg` reads.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// All eight tiles in full: edges are packed with zeros and stored by way of a buffer.
static CONFIGURATION: Configuration = Configuration {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

impl Tiles {
    /// # Safety
    /// As [`multiply`].
    unsafe fn configure() -> Self {
        // SAFETY: 64 bytes of palette 1; the instruction is there by the caller's promise.
        unsafe {
            asm!(
                "ldtilecfg [{0}]",
                in(reg) &raw const CONFIGURATION,
                options(nostack, preserves_flags, readonly),
            );
        }
        Self
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: whoever made this has the instruction; no other tiles are in use in this thread.
        unsafe { asm!("tilerelease", options(nostack, preserves_flags, nomem)) }
    }
}

/// The rows of some columns of C from `row` on.
struct Window<'a> {
    c: MatMut<'a, f32>,
    row: usize,
}

/// One block times one panel.
struct Job {
    a: *const u32,
    b: *const u32,
    /// Tiles along the inner dimension, at least 1.
    steps: usize,
    add_to: bool,
    /// Tiles of rows and of columns.
    shape: [usize; 2],
}

/// A block of sums on its way to fewer rows or columns.
#[repr(align(64))]
struct Buffer([[f32; PANEL]; BLOCK]);

impl Job {
    /// # Safety
    /// A has `steps` tiles for each of the shape's rows of tiles, in rows of 16·`steps` words, B as many
    /// lines of 16 words a column of tiles; tiles are configured in full.
    unsafe fn run(&self, window: &mut Window<'_>) {
        let Window { c, row } = window;
        let (rows, cols) = ((c.rows() - *row).min(BLOCK), c.cols());
        let [row_tiles, col_tiles] = self.shape;
        debug_assert!(rows <= row_tiles * TILE && cols <= col_tiles * TILE);
        if (rows, cols) == (row_tiles * TILE, col_tiles * TILE) {
            let (stride, from) = (c.stride(), *row * c.stride());
            let c = &mut c.data()[from..];
            debug_assert!((rows - 1) * stride + cols <= c.len());
            // SAFETY: C is a checked view that has these rows and columns, borrowed mutably; the
            // rest is the caller's promise.
            return unsafe { self.block(c.as_mut_ptr(), stride) };
        }
        let mut sums = Buffer([[0.0; PANEL]; BLOCK]);
        if self.add_to {
            for (r, sums) in sums.0.iter_mut().take(rows).enumerate() {
                sums[..cols].copy_from_slice(c.row(*row + r));
            }
        }
        // SAFETY: the buffer has room for any shape; the rest is the caller's promise.
        unsafe { self.block(sums.0.as_mut_ptr().cast(), PANEL) };
        for (r, sums) in sums.0.iter().take(rows).enumerate() {
            c.row(*row + r).copy_from_slice(&sums[..cols]);
        }
    }

    /// # Safety
    /// As [`Job::run`], and C has the whole tiles of the shape, `stride` values from row to row.
    unsafe fn block(&self, c: *mut f32, stride: usize) {
        // C is far away, at worst in memory; it comes while the sums are formed.
        for r in 0..TILE * self.shape[0] {
            for v in 0..self.shape[1] {
                // SAFETY: prefetching reads nothing, wherever the pointer lies.
                unsafe { _mm_prefetch::<_MM_HINT_ET0>(c.wrapping_add(r * stride + 16 * v).cast()) }
            }
        }
        // SAFETY: the caller's promise.
        unsafe {
            match self.shape {
                [2, 2] => self.two_by_two(c, stride),
                [2, _] => self.two_by_one(c, stride),
                [_, 2] => self.one_by_two(c, stride),
                _ => self.one_by_one(c, stride),
            }
        }
    }
}

/// A kernel of so many tiles: sums start at 0 or at C, one turn of the loop is a tile along the inner
/// dimension, sums go to C. One block of assembly, since the compiler knows of no tiles that live
/// from one to the next. Sums are tiles 0 to 3, A 4 and 5, B 6 and 7.
macro_rules! kernel {
    ($name:ident, $cols:literal, zero: $zero:literal, load: $load:literal, step: $step:literal, store: $store:literal) => {
        /// # Safety
        /// As [`Job::block`], for this shape.
        unsafe fn $name(&self, c: *mut f32, stride: usize) {
            let row = size_of::<u32>() * TILE * self.steps;
            let c_row = size_of::<f32>() * stride;
            // SAFETY: the caller's promise covers every row that the loads and stores touch: A
            // and B advance by a tile a turn, `steps` turns.
            unsafe {
                asm!(
                    "test {add_to:e}, {add_to:e}",
                    "jnz 2f",
                    $zero,
                    "jmp 3f",
                    "2:",
                    $load,
                    "3:",
                    $step,
                    "add {a}, 64",
                    "add {a_low}, 64",
                    "add {b}, {b_step}",
                    "dec {steps}",
                    "jnz 3b",
                    $store,
                    "/* {c_low}: not every shape stores there */",
                    a = inout(reg) self.a => _,
                    a_low = inout(reg) self.a.wrapping_byte_add(TILE * row) => _,
                    a_row = in(reg) row,
                    b = inout(reg) self.b => _,
                    b_row = in(reg) 64 * $cols as usize,
                    b_step = const 64 * $cols * TILE,
                    c = in(reg) c,
                    c_low = in(reg) c.wrapping_byte_add(TILE * c_row),
                    c_row = in(reg) c_row,
                    add_to = in(reg) u32::from(self.add_to),
                    steps = inout(reg) self.steps => _,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            }
        }
    };
}

#[rustfmt::skip]
impl Job {
    kernel!(two_by_two, 2,
        zero: "tilezero tmm0
            tilezero tmm1
            tilezero tmm2
            tilezero tmm3",
        load: "tileloadd tmm0, [{c} + {c_row}*1]
            tileloadd tmm1, [{c} + {c_row}*1 + 64]
            tileloadd tmm2, [{c_low} + {c_row}*1]
            tileloadd tmm3, [{c_low} + {c_row}*1 + 64]",
        step: "tileloadd tmm6, [{b} + {b_row}*1]
            tileloadd tmm4, [{a} + {a_row}*1]
            tileloadd tmm7, [{b} + {b_row}*1 + 64]
            tdpbf16ps tmm0, tmm4, tmm6
            tileloadd tmm5, [{a_low} + {a_row}*1]
            tdpbf16ps tmm1, tmm4, tmm7
            tdpbf16ps tmm2, tmm5, tmm6
            tdpbf16ps tmm3, tmm5, tmm7",
        store: "tilestored [{c} + {c_row}*1], tmm0
            tilestored [{c} + {c_row}*1 + 64], tmm1
            tilestored [{c_low} + {c_row}*1], tmm2
            tilestored [{c_low} + {c_row}*1 + 64], tmm3"
    );
    kernel!(two_by_one, 1,
        zero: "tilezero tmm0
            tilezero tmm2",
        load: "tileloadd tmm0, [{c} + {c_row}*1]
            tileloadd tmm2, [{c_low} + {c_row}*1]",
        step: "tileloadd tmm6, [{b} + {b_row}*1]
            tileloadd tmm4, [{a} + {a_row}*1]
            tileloadd tmm5, [{a_low} + {a_row}*1]
            tdpbf16ps tmm0, tmm4, tmm6
            tdpbf16ps tmm2, tmm5, tmm6",
        store: "tilestored [{c} + {c_row}*1], tmm0
            tilestored [{c_low} + {c_row}*1], tmm2"
    );
    kernel!(one_by_two, 2,
        zero: "tilezero tmm0
            tilezero tmm1",
        load: "tileloadd tmm0, [{c} + {c_row}*1]
            tileloadd tmm1, [{c} + {c_row}*1 + 64]",
        step: "tileloadd tmm6, [{b} + {b_row}*1]
            tileloadd tmm4, [{a} + {a_row}*1]
            tileloadd tmm7, [{b} + {b_row}*1 + 64]
            tdpbf16ps tmm0, tmm4, tmm6
            tdpbf16ps tmm1, tmm4, tmm7",
        store: "tilestored [{c} + {c_row}*1], tmm0
            tilestored [{c} + {c_row}*1 + 64], tmm1"
    );
    kernel!(one_by_one, 1,
        zero: "tilezero tmm0",
        load: "tileloadd tmm0, [{c} + {c_row}*1]",
        step: "tileloadd tmm6, [{b} + {b_row}*1]
            tileloadd tmm4, [{a} + {a_row}*1]
            tdpbf16ps tmm0, tmm4, tmm6",
        store: "tilestored [{c} + {c_row}*1], tmm0"
    );
}

/// Whether a small product, with edges on all sides, is what it should be: the same in any order of
/// sums, since its terms are small whole numbers.
///
/// # Safety
/// As [`multiply`].
pub(in crate::kernel) unsafe fn multiplies_rightly() -> bool {
    const SHAPE: (usize, usize, usize) = (51, 45, 55);
    let (rows, inner, cols) = SHAPE;
    let value = |i: usize| ((i * 7919) % 31) as f32 - 15.0;
    let a: Vec<f32> = (0..rows * inner).map(value).collect();
    let b: Vec<f32> = (0..inner * cols).map(|i| value(i + 11)).collect();
    let (a, b) = (Mat::new(&a, rows, inner, inner), Mat::new(&b, inner, cols, cols));
    let mut c = vec![1.0; rows * cols];
    let words = Format::Tiles.words(inner);
    let mut a_words = vec![0; rows.next_multiple_of(TILE) * words];
    Format::Tiles.rows(a, 0, &mut a_words);
    let mut b_words = vec![0; panel_words(cols, words)];
    Format::Tiles.panels(PANEL, b, &mut b_words);
    for (add_to, start) in [(false, 0.0), (true, 1.0)] {
        c.fill(1.0);
        let a_words = Words::Packed(&a_words);
        let left = Left { words: a_words, rows, inner: words, row: words, step: 1 };
        let right = Right::Panels { words: &b_words, cols, total: words, first: 0, inner: words };
        let product = MatMut::new(&mut c, rows, cols, cols);
        // SAFETY: the caller's promise.
        unsafe { multiply(product, add_to, left, right, &mut Room::default()) };
        let expected = |r: usize, j: usize| {
            (0..inner).fold(start, |sum, i| a.row(r)[i].mul_add(b.row(i)[j], sum))
        };
        if !(0..rows).all(|r| (0..cols).all(|j| c[r * cols + j] == expected(r, j))) {
            return false;
        }
    }
    true
}
