//! KuaiRand: impressions of a short-video app, read from its folder as published.
//!
//! Gao et al., CIKM 2022. The log stays outside: this reads a folder of KuaiRand-Pure or
//! KuaiRand-1K and joins the tables of users and of videos onto the standard log.
//!
//! # Files
//! Each plain or with `.gz`, with any suffix (`_pure`, `_1k`) or none, in the folder or in a `data`
//! folder inside it:
//!
//! | file | what |
//! |---|---|
//! | `log_standard*.csv` | impressions; several are read one after the other, in order of name |
//! | `user_features*.csv` | one row a user |
//! | `video_features_basic*.csv` | one row a video |
//!
//! A user or video that its table does not have gets missing features, and is counted in the
//! [`Summary`]. So are rows that equal an earlier one in every column: they are kept.
//!
//! # Labels
//! `is_click`, `is_like` and `long_view` as the log has them. Some likes and long views come without
//! a click, so a chain click → … needs `click_like` = is_click·is_like and `click_long_view` =
//! is_click·long_view, which are labels beside them. How long somebody watched and what else they
//! did (`play_time_ms`, `profile_stay_time`, `is_follow`, …) is known only afterwards and is never a
//! feature. Rows are grouped by `user_id`.
//!
//! # Parts
//! By date: the last three days of the log test, the two before validate, the rest trains. For a log
//! that ends on 8 May 2022, as KuaiRand-Pure does, that is: train up to 3 May, validation 4–5 May,
//! test from 6 May.

mod features;
mod folder;
mod join;
mod log;

use std::path::{Path, PathBuf};

use mtl_feature::{LabelSpec, SchemaFitter, SchemaSpec};

pub use features::{FeatureSet, features};

use crate::held::Held;
use crate::{Dataset, Result};
use folder::Folder;
use join::Tables;
use log::Log;

/// What [`load`] returns.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Loaded {
    /// The rows, joined, split and encoded.
    pub dataset: Dataset,
    /// What was read.
    pub summary: Summary,
}

/// What was read from a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// The files of the log, in the order in which they were read.
    pub log_files: Vec<PathBuf>,
    /// Rows of the log.
    pub rows: usize,
    /// Rows that equal an earlier one in every column. They are kept.
    pub duplicates: usize,
    /// Rows whose user the table of users does not have.
    pub without_user: usize,
    /// Rows whose video the table of videos does not have.
    pub without_video: usize,
    /// The first and the last date, such as 20220425.
    pub dates: (i64, i64),
    /// The date from which on rows validate.
    pub validation_from: i64,
    /// The date from which on rows test.
    pub test_from: i64,
}

/// The labels: `is_click`, `is_like`, `long_view`, `click_like` and `click_long_view`.
pub fn labels() -> Vec<LabelSpec> {
    let products = log::PRODUCTS.iter().map(|product| product.name);
    log::LABELS.into_iter().chain(products).map(LabelSpec::binary).collect()
}

/// Reads a folder, joins, splits by date, fits to the training days and encodes.
///
/// ```no_run
/// use mtl_data::kuairand::{self, FeatureSet};
///
/// let loaded = kuairand::load("KuaiRand-Pure/data", FeatureSet::Tutorial)?;
/// println!("{} rows train", loaded.dataset.train.n_rows());
/// # Ok::<(), mtl_data::Error>(())
/// ```
///
/// # Errors
/// A folder, file or column that is missing is named with what was expected; so is a row with a
/// wrong value, an id that a table has twice, and a log of fewer than six days.
pub fn load(folder: impl AsRef<Path>, set: FeatureSet) -> Result<Loaded> {
    let folder = Folder::find(folder.as_ref())?;
    let tables = Tables::read(&folder, set)?;
    let log = Log::read(&folder, set)?;
    let split = log.split();
    let spec = SchemaSpec::new(features(set), labels()).group("user_id");
    let mut held = Held::new(SchemaFitter::new(spec)?);
    let mut summary = log.summary(&folder);
    for (path, chunk) in log.chunks {
        let joined = tables.join(chunk, set)?;
        summary.without_user += joined.without_user;
        summary.without_video += joined.without_video;
        held.take(Some(&split), &path, joined.chunk)?;
    }
    let first = folder.log.first().map_or(Path::new(""), PathBuf::as_path);
    Ok(Loaded { dataset: held.encode(first)?, summary })
}
