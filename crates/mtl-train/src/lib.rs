#![doc = include_str!("../README.md")]

mod calibrate;
mod compare;
mod config;
mod error;
mod evaluate;
mod fit;
mod initial_losses;
mod monitor;
mod observer;
mod results;
mod resume;
mod seen;
mod truth;
mod weighting;

pub use calibrate::{CalibratedOutput, CalibrationConfig, Sampled, calibrate};
pub use compare::{Compared, Comparison, Contender, compare};
pub use config::{RunConfig, TrainConfig};
pub use error::{Error, Result};
pub use evaluate::{CalibrationChange, Evaluation, TaskMetrics, evaluate};
pub use fit::{EpochRecord, Fitted, History, fit};
pub use monitor::Monitor;
pub use observer::{Observer, Silent};
pub use results::{Cell, Delta, ModelResults, Results, Spread};
pub use resume::TrainingState;
pub use truth::{TruthMetrics, TruthOf, measure_truth};
pub use weighting::{LossConfig, SharedParameters, Weighting};
