#![doc = include_str!("../README.md")]

mod buckets;
pub mod calendar;
mod chunk;
mod column;
mod compact;
mod count;
mod cross;
mod datetime;
mod encode;
mod error;
mod extend;
mod feed;
mod fit;
mod input;
mod key;
mod label;
mod number;
mod numeric;
mod plan;
mod quantile;
mod schema;
mod sequence;
mod spec;
mod table;
mod take;
mod time_zone;
mod unseen;
mod vocabulary;

pub use chunk::{Chunk, Rows};
pub use column::{Cell, ListCell, RawColumn, TextColumn, Values};
pub use cross::CROSS_SEPARATOR;
pub use datetime::{DatePart, UtcOffset, is_datetime, seconds_since_1970};
pub use encode::{Encoder, Targets};
pub use error::{Error, Result, nearest_names};
pub use feed::Feed;
pub use fit::SchemaFitter;
pub use input::{FEATURE_SLOT, GROUP_SLOT, InputConfig, LABEL_SLOT, WEIGHT_SLOT};
pub use key::Key;
pub use label::{LabelKind, LabelSpec};
pub use numeric::Scaling;
pub use quantile::Quantiles;
pub use schema::{CategoricalShape, Encoding, FittedFeature, Schema};
pub use sequence::{AttentionConfig, Keep, Pooling, SEPARATOR};
pub use spec::{FeatureKind, FeatureSpec, SchemaSpec, Transform};
pub use table::{FeatureTable, NO_GROUP};
pub use time_zone::TimeZone;
pub use unseen::UnseenCounts;
pub use vocabulary::Vocabulary;

/// The id of a value that the training rows did not have, or had too rarely.
pub const UNSEEN: u32 = 0;

/// The id of a missing value: it has a row of its own in every table.
pub const MISSING: u32 = 1;

/// Ids below this one are reserved; the first known value has it.
pub const FIRST_KNOWN: u32 = 2;
