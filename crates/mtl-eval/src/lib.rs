#![doc = include_str!("../README.md")]

mod column;
mod error;
mod interval;
mod measured;
mod probabilities;
mod ranked;
mod rows;
mod sums;

mod auc;
mod below_chance;
mod bootstrap;
mod calibration;
mod classes;
mod delong;
mod gauc;
mod log_loss;
mod macro_mean;
mod regression;
mod report;
mod seeds;
mod segments;
mod top_k;

pub use auc::auc;
pub use below_chance::{BelowChance, below_chance};
pub use bootstrap::Bootstrap;
pub use calibration::{Binning, CalibrationBin, brier, calibration_bins, ece, pcoc};
pub use classes::{ClassAuc, ClassReport, ClassRows};
pub use column::Column;
pub use delong::{PairedDelong, delong, paired_delong};
pub use error::Error;
pub use gauc::{Gauc, GaucMode, GroupAuc, GroupAucs, gauc, group_aucs};
pub use interval::{ConfidenceLevel, Interval};
pub use log_loss::{log_loss, log_loss_from_logits, normalised_entropy};
pub use macro_mean::macro_mean;
pub use measured::{Measured, Undefined};
pub use regression::{RegressionReport, RegressionRows, mae, rmse};
pub use report::{BinaryReport, ReportSettings};
pub use rows::{BinaryRows, NO_GROUP};
pub use seeds::{PairedT, Summary, paired_t};
pub use segments::{Segment, segments_by_name, segments_by_quantile};
pub use top_k::{TopK, top_k};

#[cfg(test)]
mod oracle;
