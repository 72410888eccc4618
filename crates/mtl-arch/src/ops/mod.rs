//! Ops of single architectures: formula, forward, backward, and a finite-difference test.

mod dot_scores;
mod excess;
mod stitch;

pub use dot_scores::DotScores;
pub use excess::Excess;
pub use stitch::Stitch;
