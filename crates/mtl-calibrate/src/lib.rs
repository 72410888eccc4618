#![doc = include_str!("../README.md")]

mod calibrator;
mod error;
mod isotonic;
mod platt;
mod quality;
mod rising;
mod rows;
mod sampling;

pub use calibrator::{Calibrator, Map, Method};
pub use error::{Error, Result};
pub use isotonic::Isotonic;
pub use platt::{HIGHEST, LOWEST, Platt};
pub use quality::Quality;
pub use rows::FitRows;
pub use sampling::NegativeSampling;
