#![doc = include_str!("../README.md")]

mod cgc;
mod error;
mod mix;
mod mixture;
mod statistics;

pub use cgc::{Cgc, CgcInputs, CgcOutputs, ExpertOrder};
pub use error::{Error, Result};
pub use mix::{Blend, Mix};
pub use mixture::{Gate, GateInfo, Mixture, mixture};
pub use statistics::{GateStatistics, GateUse};
