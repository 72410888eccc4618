//! Products of packed factors: weights are packed once a step and shared by all shards.
//!
//! A product C = A·B walks over B in *panels* of 32 columns (16 for AVX2) and over A in blocks of rows; a
//! block times a panel stays in registers. Both factors are read in *words* of 32 bits: one `f32`, or two
//! neighbours along the inner dimension in bf16, the form in which AVX-512 BF16 takes them. So one
//! walk serves both precisions. Without instructions for it, bf16 inputs are rounded `f32`s. The tiles
//! of AMX take the same words; zeros fill the inner dimension up to whole tiles.
//!
//! Measured on a Zen 4 core that reaches 117 GFLOP/s in f32 and 234 in bf16: 114–117 and 228–234 at
//! the shapes of a dense layer (256 × 480 × 896 and its gradients), the GEMM crate 98–114; and it
//! packs the weights again for every shard.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(all(test, target_os = "linux", target_arch = "x86_64"))]
mod emulator;
mod parts;
mod products;
mod room;
mod spans;
mod tile;
mod words;

#[cfg(target_arch = "x86_64")]
pub(super) use amx::multiplies_rightly as amx_multiplies_rightly;

pub use products::Products;
pub(crate) use products::{Bank, Scratch};
pub(super) use tile::Tile;
pub(super) use words::Format;

/// Columns of a panel: two AVX-512 registers, so that each value of A is used twice once loaded.
const PANEL: usize = 32;

/// Rows of a tile of AMX, and words of each; half a panel's columns.
const TILE: usize = 16;

/// Half a panel: what the last panel has if no more columns are left, and all that AVX2 has registers
/// for. (In halves of panels of 32, which lie on every second line, it was a twelfth slower.)
const HALF: usize = PANEL / 2;

/// The columns for which a panel of at most `panel` columns that starts at column `start` of `n` has
/// room.
const fn panel_width(panel: usize, start: usize, n: usize) -> usize {
    if n - start <= HALF { HALF } else { panel }
}

/// Words of all panels of `n` columns and `inner` words.
const fn panel_words(n: usize, inner: usize) -> usize {
    n.next_multiple_of(HALF) * inner
}
