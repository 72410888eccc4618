#![doc = include_str!("../README.md")]

mod arrow;
pub mod census;
mod config;
mod csv;
mod error;
mod load;
mod missing;
mod parquet;
mod reader;
mod shuffle;
mod split;
mod write;

pub use config::{Bound, DataConfig, Files, Split};
pub use error::{Error, Result};
pub use load::{Dataset, load, read_table};
pub use reader::{Chunks, ReadOptions, Reader};
pub use shuffle::Shuffle;
pub use write::write_columns;
