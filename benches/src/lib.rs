#![doc = include_str!("../README.md")]

mod clock;
mod draw;
pub mod exchange;
pub mod peaks;
pub mod w1;
pub mod work;

pub use clock::cpu_ms;
pub use draw::{Zipf, uniform};
