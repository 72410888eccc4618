//! Micro-kernels: a block of rows times a panel, in registers.

#![allow(unsafe_code, reason = "vector instructions, and pointers into packed factors")]

use std::ops::Range;

use super::room::Room;
use super::{HALF, PANEL, panel_width};
use crate::{Mat, MatMut};

/// What multiplies a block by a panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kernel) enum Tile {
    /// The GEMM crate, on words that are `f32`s.
    Gemm,
    /// AVX2 and FMA, on words that are `f32`s. Chosen only where the processor has them.
    Avx2,
    /// AVX-512 F, on words that are `f32`s. Chosen only where the processor has it.
    F32,
    /// AVX-512 BF16, on words that are pairs. Chosen only where the processor has it.
    Bf16,
    /// AMX-BF16, on words that are pairs up to whole tiles. Chosen only where the processor has it
    /// and the system lets it be used.
    Amx,
}

/// The words of A: word `i` of row `r` at `r·row + i·step`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left<'a> {
    pub(super) words: Words<'a>,
    pub(super) rows: usize,
    pub(super) inner: usize,
    pub(super) row: usize,
    pub(super) step: usize,
}

/// Words packed by us, or values where they lie: an `f32` is a word.
#[derive(Clone, Copy, Debug)]
pub(super) enum Words<'a> {
    Packed(&'a [u32]),
    Values(&'a [f32]),
}

impl Tile {
    /// The most columns of a panel.
    pub(super) const fn panel(self) -> usize {
        match self {
            Self::Avx2 => HALF,
            _ => PANEL,
        }
    }

    /// The most rows of a block: nearly all registers hold sums, 28 of 32, or 12 of 16.
    const fn block(self) -> usize {
        match self {
            Self::Avx2 => AVX2_BLOCK,
            _ => BLOCK,
        }
    }
}

impl Words<'_> {
    pub(super) const fn span(&self) -> (*const u32, usize) {
        match self {
            Self::Packed(words) => (words.as_ptr(), words.len()),
            Self::Values(values) => (values.as_ptr().cast(), values.len()),
        }
    }
}

/// The words of B.
#[derive(Clone, Copy, Debug)]
pub(super) enum Right<'a> {
    /// In panels of `total` words along the inner dimension, of which `inner` from `first` on are
    /// multiplied.
    Panels { words: &'a [u32], cols: usize, total: usize, first: usize, inner: usize },
    /// Some lines of such panels: those of some spans of words, one after another. They are brought
    /// together panel by panel, on their way from memory to a block's rows, so that a kernel's
    /// loop has one end. (A loop over spans of 16 lines, or over a list of lines, took a tenth longer.)
    Lines { words: &'a [u32], cols: usize, total: usize, spans: &'a [Range<usize>] },
    /// Values where they lie, rows × columns; columns fill whole registers.
    Values(Mat<'a, f32>),
    /// Half a panel's columns of `inner` lines, `step` words from line to line, of which `cols` are
    /// stored.
    Strip { words: &'a [u32], step: usize, inner: usize, cols: usize },
}

impl Right<'_> {
    /// Words along the inner dimension, and columns.
    fn shape(&self) -> (usize, usize) {
        match *self {
            Self::Panels { inner, cols, .. } => (inner, cols),
            Self::Lines { cols, spans, .. } => (spans.iter().map(Range::len).sum(), cols),
            Self::Values(b) => (b.rows(), b.cols()),
            Self::Strip { inner, cols, .. } => (inner, cols),
        }
    }

    /// The first word of the panel at column `start`, of `width` columns, and the words from line
    /// to line. Line `inner` − 1 ends within B.
    pub(super) fn panel(
        &self,
        start: usize,
        width: usize,
        lines: &mut Room,
    ) -> (*const u32, usize) {
        match *self {
            Self::Panels { words, total, first, inner, .. } => {
                let words = &words[start * total + first * width..][..inner * width];
                (words.as_ptr(), width)
            }
            Self::Lines { words, total, spans, .. } => {
                let panel = &words[start * total..][..total * width];
                let mut to = lines.at_least(self.shape().0 * width);
                for span in spans {
                    let (lines, rest) = to.split_at_mut(span.len() * width);
                    lines.copy_from_slice(&panel[span.start * width..span.end * width]);
                    to = rest;
                }
                (lines.words().as_ptr(), width)
            }
            Self::Values(b) => {
                assert!(start + width <= b.cols(), "whole registers");
                (b.columns(start, width).data().as_ptr().cast(), b.stride())
            }
            Self::Strip { words, step, inner, .. } => {
                let last = inner.saturating_sub(1) * step + HALF;
                assert!(start == 0 && width == HALF && last <= words.len(), "a strip's words");
                (words.as_ptr(), step)
            }
        }
    }
}

/// What sums are added to when they are stored.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start<'a> {
    /// Nothing: C = A·B.
    Zero,
    /// What is there: C += A·B.
    There,
    /// This row, in every row: as many values as C has columns.
    Row(&'a [f32]),
}

impl Start<'_> {
    pub(super) const fn add_to(add_to: bool) -> Self {
        if add_to { Self::There } else { Self::Zero }
    }
}

/// `C = A·B`, or `C += A·B` with `add_to`. The order in which a value's terms are added is that of their
/// words (AMX adds the halves of 16 words apart), whatever the block and panel it falls into.
///
/// # Panics
/// If the shapes do not fit, or the factors are shorter than they say.
pub(super) fn multiply(tile: Tile, c: MatMut<'_, f32>, add_to: bool, a: Left<'_>, b: Right<'_>) {
    multiply_from(tile, c, Start::add_to(add_to), a, b, &mut Room::default());
}

/// As [`multiply`], added to what `start` says; `lines` is room for [`Right::Lines`].
pub(super) fn multiply_from(
    tile: Tile,
    mut c: MatMut<'_, f32>,
    mut start: Start<'_>,
    a: Left<'_>,
    b: Right<'_>,
    lines: &mut Room,
) {
    let (rows, cols) = (c.rows(), c.cols());
    assert!(a.rows == rows && (a.inner, cols) == b.shape(), "shapes of a product");
    if rows == 0 || cols == 0 {
        return;
    }
    if let (Start::Row(row), Tile::Gemm | Tile::Amx) = (start, tile) {
        (0..rows).for_each(|r| c.row(r).copy_from_slice(row));
        start = Start::There;
    }
    #[cfg(target_arch = "x86_64")]
    if tile == Tile::Amx {
        let add_to = matches!(start, Start::There);
        // SAFETY: the processor and the system allow it: see `Tile`.
        return unsafe { super::amx::multiply(c, add_to, a, b, lines) };
    }
    let (a_words, n_a) = a.words.span();
    let last = (rows - 1) * a.row + a.inner.saturating_sub(1) * a.step;
    assert!(a.inner == 0 || last < n_a, "words of the first factor");
    let (c_row, blocks) = (c.stride(), rows.div_ceil(tile.block()));
    // Blocks of nearly the same height: a block of one row would wait for its own sums.
    let (height, higher) = (rows / blocks, rows % blocks);
    for first in (0..cols).step_by(tile.panel()) {
        let width = panel_width(tile.panel(), first, cols);
        let (b, b_step) = b.panel(first, width, lines);
        let c = &mut c.data()[first..];
        debug_assert!((rows - 1) * c_row + (cols - first).min(width) <= c.len());
        let to = c.as_mut_ptr();
        let (from, from_row) = match start {
            Start::Zero => (std::ptr::null(), 0),
            Start::There => (to.cast_const(), c_row),
            Start::Row(row) => (row[first..cols].as_ptr(), 0),
        };
        let job = Job {
            inner: a.inner,
            a: a_words,
            a_row: a.row,
            a_step: a.step,
            b,
            b_step,
            c: to,
            c_row,
            cols: (cols - first).min(width),
            from,
            from_row,
        };
        // SAFETY: A's words of all rows end at `last` or before; B's are there by `Right::panel`; C is
        // a checked view with these rows and columns, borrowed mutably, so it overlaps neither
        // factor. The instructions are there: see `Tile`.
        unsafe { job.run(tile, Blocks { n: blocks, height, higher }, width) }
    }
}

/// Rows of a block in the 32 registers of AVX-512.
const BLOCK: usize = 14;

/// Rows of a block in the 16 registers of AVX2.
const AVX2_BLOCK: usize = 6;

/// The rows of A in blocks: the first `higher` have a row more than `height`.
#[derive(Clone, Copy)]
struct Blocks {
    n: usize,
    height: usize,
    higher: usize,
}

/// All blocks times one panel.
#[derive(Clone, Copy)]
struct Job {
    inner: usize,
    a: *const u32,
    a_row: usize,
    a_step: usize,
    b: *const u32,
    b_step: usize,
    c: *mut f32,
    c_row: usize,
    cols: usize,
    /// What sums are added to, row by row; null for nothing.
    from: *const f32,
    from_row: usize,
}

impl Job {
    /// The same from `rows` rows further down on.
    #[inline(always)]
    fn down(self, rows: usize) -> Self {
        Self {
            // They may point past the end after the last block, where nothing reads.
            a: self.a.wrapping_add(rows * self.a_row),
            c: self.c.wrapping_add(rows * self.c_row),
            from: self.from.wrapping_add(rows * self.from_row),
            ..self
        }
    }

    /// # Safety
    /// A has as many rows as the blocks × inner words, B inner × width, `b_step` from line to line, C and what `from` points to have those rows × cols values, cols ≤ width, 1 ≤ a block's rows ≤
    /// [`Tile::block`], width is a panel's or half of it, and the processor has what `tile` needs.
    unsafe fn run(mut self, tile: Tile, blocks: Blocks, width: usize) {
        #[cfg(target_arch = "x86_64")]
        if tile == Tile::Avx2 {
            // SAFETY: the caller's promise is that of the kernels.
            return unsafe { avx2::blocks(self, blocks) };
        }
        for block in 0..blocks.n {
            let rows = blocks.height + usize::from(block < blocks.higher);
            // SAFETY: these rows are among the caller's.
            unsafe { self.block(tile, rows, width) };
            self = self.down(rows);
        }
    }

    /// One block.
    ///
    /// # Safety
    /// As of [`Job::run`], of `rows` rows.
    unsafe fn block(self, tile: Tile, rows: usize, width: usize) {
        #[cfg(target_arch = "x86_64")]
        {
            let kernels = match (tile, width) {
                (Tile::F32, PANEL) => Some(&avx512::F32),
                (Tile::F32, _) => Some(&avx512::F32_HALF),
                (Tile::Bf16, PANEL) => Some(&avx512::BF16),
                (Tile::Bf16, _) => Some(&avx512::BF16_HALF),
                (Tile::Gemm | Tile::Avx2 | Tile::Amx, _) => None,
            };
            if let Some(kernels) = kernels {
                // SAFETY: the caller's promise is that of the kernels.
                return unsafe { kernels[rows - 1](self) };
            }
        }
        debug_assert_eq!(tile, Tile::Gemm, "detection finds no other where there is no kernel");
        // SAFETY: words of this tile are `f32`s; the spans are the caller's promise.
        unsafe {
            gemm::gemm(
                rows,
                self.cols,
                self.inner,
                self.c,
                1,
                self.c_row as isize,
                !self.from.is_null(),
                self.a.cast::<f32>(),
                self.a_step as isize,
                self.a_row as isize,
                self.b.cast::<f32>(),
                1,
                self.b_step as isize,
                1.0,
                1.0,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    }
}

/// A statement for each of some constants below a limit. A loop over registers is unrolled by the
/// optimiser alone: without it, as in tests, sums would lie in memory and a product take a hundred
/// times as long.
#[cfg(target_arch = "x86_64")]
macro_rules! unrolled {
    ($i:ident in [$($n:literal)*] below $limit:ident: $body:block) => {
        $({
            const $i: usize = $n;
            if $i < $limit $body
        })*
    };
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::{
        __m512, __m512bh, __m512i, _MM_HINT_ET0, _mm_prefetch, _mm512_add_ps, _mm512_castsi512_ps,
        _mm512_dpbf16_ps, _mm512_fmadd_ps, _mm512_loadu_si512, _mm512_mask_storeu_ps,
        _mm512_maskz_loadu_ps, _mm512_set1_epi32, _mm512_setzero_ps, _mm512_setzero_si512,
    };

    use super::{BLOCK, Job};

    type Kernel = unsafe fn(Job);

    /// By the number of rows less one.
    macro_rules! by_rows {
        ($kernel:ident, $registers:literal) => {
            [
                $kernel::<1, $registers>,
                $kernel::<2, $registers>,
                $kernel::<3, $registers>,
                $kernel::<4, $registers>,
                $kernel::<5, $registers>,
                $kernel::<6, $registers>,
                $kernel::<7, $registers>,
                $kernel::<8, $registers>,
                $kernel::<9, $registers>,
                $kernel::<10, $registers>,
                $kernel::<11, $registers>,
                $kernel::<12, $registers>,
                $kernel::<13, $registers>,
                $kernel::<14, $registers>,
            ]
        };
    }

    pub(super) static F32: [Kernel; BLOCK] = by_rows!(f32_tile, 2);
    pub(super) static F32_HALF: [Kernel; BLOCK] = by_rows!(f32_tile, 1);
    pub(super) static BF16: [Kernel; BLOCK] = by_rows!(bf16_tile, 2);
    pub(super) static BF16_HALF: [Kernel; BLOCK] = by_rows!(bf16_tile, 1);

    /// # Safety
    /// See [`Job::run`]; the processor has AVX-512 F.
    #[target_feature(enable = "avx512f")]
    unsafe fn f32_tile<const ROWS: usize, const REGISTERS: usize>(job: Job) {
        let multiply = |sum, a: u32, b| {
            let a = _mm512_castsi512_ps(_mm512_set1_epi32(a.cast_signed()));
            _mm512_fmadd_ps(a, _mm512_castsi512_ps(b), sum)
        };
        // SAFETY: the caller's promise.
        unsafe { tile::<ROWS, REGISTERS>(job, multiply) }
    }

    /// # Safety
    /// See [`Job::run`]; the processor has AVX-512 F and BF16.
    #[target_feature(enable = "avx512f,avx512bf16")]
    unsafe fn bf16_tile<const ROWS: usize, const REGISTERS: usize>(job: Job) {
        // SAFETY: both types are 64 bytes of any bits.
        let pairs = |words| unsafe { std::mem::transmute::<__m512i, __m512bh>(words) };
        let multiply = |sum, a: u32, b| {
            _mm512_dpbf16_ps(sum, pairs(_mm512_set1_epi32(a.cast_signed())), pairs(b))
        };
        // SAFETY: the caller's promise.
        unsafe { tile::<ROWS, REGISTERS>(job, multiply) }
    }

    /// # Safety
    /// See [`Job::run`]. Inlined into a function that enables AVX-512 F.
    #[inline(always)]
    unsafe fn tile<const ROWS: usize, const REGISTERS: usize>(
        job: Job,
        multiply: impl Fn(__m512, u32, __m512i) -> __m512,
    ) {
        // SAFETY: instructions and spans are the caller's promise. A mask keeps loads and stores of
        // C to its columns.
        unsafe {
            // C is far away, at worst in memory; it comes while the sums are formed. (Without this
            // the gradient of a first layer took 5 % longer.)
            for r in 0..ROWS {
                for v in 0..REGISTERS {
                    _mm_prefetch::<_MM_HINT_ET0>(job.c.wrapping_add(r * job.c_row + 16 * v).cast());
                }
            }
            let mut sums = [[_mm512_setzero_ps(); REGISTERS]; ROWS];
            let mut i = 0;
            while i < job.inner {
                let mut b = [_mm512_setzero_si512(); REGISTERS];
                unrolled!(V in [0 1] below REGISTERS: {
                    b[V] = _mm512_loadu_si512(job.b.add(i * job.b_step + 16 * V).cast());
                });
                unrolled!(R in [0 1 2 3 4 5 6 7 8 9 10 11 12 13] below ROWS: {
                    let a = *job.a.add(R * job.a_row + i * job.a_step);
                    unrolled!(V in [0 1] below REGISTERS: {
                        sums[R][V] = multiply(sums[R][V], a, b[V]);
                    });
                });
                i += 1;
            }
            unrolled!(R in [0 1 2 3 4 5 6 7 8 9 10 11 12 13] below ROWS: {
                unrolled!(V in [0 1] below REGISTERS: {
                    let mask = ((1u32 << job.cols.saturating_sub(16 * V).min(16)) - 1) as u16;
                    // The pointer may lie past the end where the mask is empty.
                    let to = job.c.wrapping_add(R * job.c_row + 16 * V);
                    let from = job.from.wrapping_add(R * job.from_row + 16 * V);
                    let sum = match job.from.is_null() {
                        true => sums[R][V],
                        false => _mm512_add_ps(_mm512_maskz_loadu_ps(mask, from), sums[R][V]),
                    };
                    _mm512_mask_storeu_ps(to, mask, sum);
                });
            });
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::{
        __m256i, _MM_HINT_T0, _mm_prefetch, _mm256_add_ps, _mm256_broadcast_ss, _mm256_cmpgt_epi32,
        _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_maskload_ps, _mm256_maskstore_ps,
        _mm256_set1_epi32, _mm256_setr_epi32, _mm256_setzero_ps, _mm256_storeu_ps,
    };

    use super::{Blocks, Job};

    /// Two registers a row: a panel.
    const REGISTERS: usize = 2;

    /// All blocks in one call: where the inner dimension is that of an embedding, a block takes a
    /// hundred cycles.
    ///
    /// # Safety
    /// See [`Job::run`]; the processor has AVX2 and FMA.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn blocks(mut job: Job, blocks: Blocks) {
        for block in 0..blocks.n {
            let rows = blocks.height + usize::from(block < blocks.higher);
            // SAFETY: the caller's promise; no block has more rows than `AVX2_BLOCK`.
            unsafe {
                match rows {
                    6 => tile::<6>(job),
                    5 => tile::<5>(job),
                    4 => tile::<4>(job),
                    3 => tile::<3>(job),
                    2 => tile::<2>(job),
                    _ => tile::<1>(job),
                }
            }
            job = job.down(rows);
        }
    }

    /// # Safety
    /// See [`Job::run`]; the processor has AVX2 and FMA.
    #[inline]
    #[target_feature(enable = "avx2,fma")]
    unsafe fn tile<const ROWS: usize>(job: Job) {
        // SAFETY: instructions and spans are the caller's promise. A mask keeps loads and stores of
        // C to its columns.
        unsafe {
            // As for AVX-512.
            for r in 0..ROWS {
                _mm_prefetch::<_MM_HINT_T0>(job.c.wrapping_add(r * job.c_row).cast());
            }
            let mut sums = [[_mm256_setzero_ps(); REGISTERS]; ROWS];
            let mut i = 0;
            while i < job.inner {
                let mut b = [_mm256_setzero_ps(); REGISTERS];
                unrolled!(V in [0 1] below REGISTERS: {
                    b[V] = _mm256_loadu_ps(job.b.add(i * job.b_step + 8 * V).cast());
                });
                unrolled!(R in [0 1 2 3 4 5] below ROWS: {
                    let a = job.a.add(R * job.a_row + i * job.a_step).cast::<f32>();
                    let a = _mm256_broadcast_ss(&*a);
                    unrolled!(V in [0 1] below REGISTERS: {
                        sums[R][V] = _mm256_fmadd_ps(a, b[V], sums[R][V]);
                    });
                });
                i += 1;
            }
            unrolled!(V in [0 1] below REGISTERS: {
                let cols = job.cols.saturating_sub(8 * V);
                let mask = mask(cols);
                unrolled!(R in [0 1 2 3 4 5] below ROWS: {
                    // The pointer may lie past the end where the mask is empty.
                    let to = job.c.wrapping_add(R * job.c_row + 8 * V);
                    let from = job.from.wrapping_add(R * job.from_row + 8 * V);
                    let sum = match job.from.is_null() {
                        true => sums[R][V],
                        false => _mm256_add_ps(_mm256_maskload_ps(from, mask), sums[R][V]),
                    };
                    // On Zen 3 a masked store takes as long as 24 of the additions above.
                    if cols >= 8 {
                        _mm256_storeu_ps(to, sum);
                    } else {
                        _mm256_maskstore_ps(to, mask, sum);
                    }
                });
            });
        }
    }

    /// The first `n` of eight lanes.
    #[target_feature(enable = "avx2")]
    fn mask(n: usize) -> __m256i {
        let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        _mm256_cmpgt_epi32(_mm256_set1_epi32(n.min(8) as i32), lanes)
    }
}
