#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod best_point;
mod config;
mod dual_cone;
mod error;
mod fair_point;
mod linear_algebra;
mod log_scales;
pub mod methods;
mod nearest_uniform;
mod non_negative_qp;
mod random;
mod setting;
mod simplex_qp;
mod state;
mod step;
mod surgery;
mod weigher;
mod weighting;

pub use config::{Setup, WeightingConfig};
pub use error::Error;
pub use methods::*;
pub use state::State;
pub use step::{Gram, StepInput, Weights};
pub use weigher::{Learned, Weigher};
pub use weighting::{Active, LearnedState, Needs, OwnWeight, Running, Solve, Weighting};
