#![doc = include_str!("../README.md")]

mod clock;
mod draw;
pub mod exchange;
pub mod w1;

pub use clock::cpu_ms;
pub use draw::{Zipf, uniform};
