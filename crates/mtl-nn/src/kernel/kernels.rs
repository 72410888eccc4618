//! Which kernels multiply matrices: what was asked for, and what the processor has.

use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::detect::detect;
use super::packed::{Format, Tile};
use crate::Scalar;

/// The inputs of the products of a training step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// As they are.
    #[default]
    F32,
    /// Rounded to bfloat16 (the upper half of an `f32`, to nearest, ties to even), products and
    /// sums in `f32`. Everything else, the weights that are updated included, stays `f32`. A layer
    /// of one column, such as the logit of a tower, and a layer of one row are not rounded.
    Bf16,
}

/// Instruction sets that the products have kernels for; each has those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Instructions {
    /// None of ours: the GEMM crate decides.
    Portable,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F.
    Avx512,
    /// AVX-512 F and BF16.
    Avx512Bf16,
    /// AMX-BF16: tiles, where the system lets a process use them (Linux is asked).
    AmxBf16,
}

impl Instructions {
    /// What this processor has.
    pub fn detect() -> Self {
        // AMX is asked for and tried out, which is worth doing once.
        static FOUND: LazyLock<Instructions> = LazyLock::new(detect);
        *FOUND
    }
}

/// The kernels of a training step's products.
///
/// ```
/// use mtl_nn::kernel::{Instructions, Kernels, Precision};
///
/// let best = Kernels::new(Precision::Bf16);
/// // As on a processor without AVX-512: another order of sums, the same rounding of inputs.
/// let plain = best.at_most(Instructions::Portable);
/// assert_eq!(plain.to_string(), "bf16 inputs rounded, products in f32 by the GEMM crate");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernels {
    precision: Precision,
    // Never more than the processor has: kernels run without asking again.
    instructions: Instructions,
}

impl Default for Kernels {
    fn default() -> Self {
        Self::new(Precision::F32)
    }
}

impl Kernels {
    /// The best kernels of this processor for a precision.
    pub fn new(precision: Precision) -> Self {
        Self { precision, instructions: Instructions::detect() }
    }

    /// The same as if the processor had no more than `instructions`.
    #[must_use]
    pub fn at_most(self, instructions: Instructions) -> Self {
        Self { instructions: self.instructions.min(instructions), ..self }
    }

    /// As if the processor had `instructions`, which something else must then execute.
    #[cfg(all(test, target_os = "linux", target_arch = "x86_64"))]
    pub(super) const fn emulated(precision: Precision, instructions: Instructions) -> Self {
        Self { precision, instructions }
    }

    /// The precision asked for.
    pub const fn precision(self) -> Precision {
        self.precision
    }

    /// Whether a row's sums have one order, whichever rows stand beside it. How the GEMM crate orders
    /// its sums is its own affair.
    pub(crate) const fn keep_order<S: Scalar>(self) -> bool {
        S::IS_F32 && !matches!(self.engine(), None | Some((_, Tile::Gemm)))
    }

    /// How factors are packed and multiplied; `None` where they are handed to the GEMM crate as
    /// they are.
    pub(super) const fn engine(self) -> Option<(Format, Tile)> {
        match (self.precision, self.instructions) {
            (Precision::F32, Instructions::Portable) => None,
            (Precision::F32, Instructions::Avx2) => Some((Format::Plain, Tile::Avx2)),
            (Precision::F32, _) => Some((Format::Plain, Tile::F32)),
            (Precision::Bf16, Instructions::Portable) => Some((Format::Rounded, Tile::Gemm)),
            (Precision::Bf16, Instructions::Avx2) => Some((Format::Rounded, Tile::Avx2)),
            (Precision::Bf16, Instructions::Avx512) => Some((Format::Rounded, Tile::F32)),
            (Precision::Bf16, Instructions::Avx512Bf16) => Some((Format::Pairs, Tile::Bf16)),
            (Precision::Bf16, Instructions::AmxBf16) => Some((Format::Tiles, Tile::Amx)),
        }
    }
}

impl fmt::Display for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.engine() {
            None => "f32 products by the GEMM crate",
            Some((Format::Plain, Tile::Avx2)) => "f32 products by AVX2",
            Some((Format::Plain, _)) => "f32 products by AVX-512",
            Some((Format::Rounded, Tile::Gemm)) => {
                "bf16 inputs rounded, products in f32 by the GEMM crate"
            }
            Some((Format::Rounded, Tile::Avx2)) => "bf16 inputs rounded, products in f32 by AVX2",
            Some((Format::Rounded, _)) => "bf16 inputs rounded, products in f32 by AVX-512",
            Some((Format::Pairs, _)) => "bf16 products by AVX-512 BF16",
            Some((Format::Tiles, _)) => "bf16 products by AMX",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_takes_instructions_away_and_never_adds_any() {
        let avx512 = [Instructions::Avx512, Instructions::Avx512Bf16];
        let few = [Instructions::Portable, Instructions::Avx2];
        for most in few.into_iter().chain(avx512).chain([Instructions::AmxBf16]) {
            let kernels = Kernels::new(Precision::Bf16).at_most(most);
            assert_eq!(kernels.instructions, most.min(Instructions::detect()));
        }
        let plain = Kernels::default().at_most(Instructions::Portable);
        assert_eq!(plain.at_most(Instructions::Avx512Bf16), plain);
    }
}
