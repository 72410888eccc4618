#![doc = include_str!("../README.md")]

mod draw;
pub mod w1;

pub use draw::{Zipf, uniform};
