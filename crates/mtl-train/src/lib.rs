#![doc = include_str!("../README.md")]

mod calibrate;
mod compare;
mod config;
mod error;
mod evaluate;
mod fingerprint;
mod fit;
mod gates;
mod monitor;
mod observer;
mod results;
mod resume;
mod seen;
mod summary;
mod sweep;
mod trained;
mod truth;
mod weighting;

pub use calibrate::{CalibratedOutput, CalibrationConfig, Sampled, calibrate};
pub use compare::{Compared, Comparison, Contender, compare};
pub use config::{RunConfig, TrainConfig};
pub use error::{Error, Result};
pub use evaluate::{CalibrationChange, Evaluation, NamedMetrics, TaskMetrics, evaluate};
pub use fit::{EpochRecord, Fitted, History, Validated, fit};
pub use gates::{Gate, gates};
pub use monitor::Monitor;
pub use observer::{Observer, Silent};
pub use results::{Cell, Delta, ModelResults, Results, RunResults, Spread};
pub use resume::TrainingState;
pub use summary::{LabelSummary, Part, summarise};
pub use sweep::{Axis, Sweep, SweepPoint};
pub use trained::Trained;
pub use truth::{TruthMetrics, TruthOf, measure_truth};
pub use weighting::{LossConfig, SharedParameters, Weighting};
