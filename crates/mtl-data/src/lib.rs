#![doc = include_str!("../README.md")]

mod arrow;
mod beside;
pub mod census;
mod chunk_writer;
mod config;
pub mod correlated;
mod csv;
mod draw;
mod error;
pub mod funnel;
mod generate;
pub mod kuairand;
mod load;
mod missing;
mod parquet;
mod pattern;
mod place;
mod reader;
mod rows;
mod shuffle;
mod split;
mod stream;
mod write;

pub use beside::{Beside, ColumnBeside, read_beside};
pub use config::{Bound, DataConfig, Files, Split};
pub use error::{Error, Result};
pub use load::{Dataset, Loader, Truth, load, read_table};
pub use missing::Missing;
pub use place::{Place, place_of};
pub use reader::{Chunks, ReadOptions, Reader};
pub use rows::{Blocks, TrainingRows};
pub use shuffle::Shuffle;
pub use stream::{STREAM_BLOCK_ROWS, Stream};
pub use write::write_columns;
