#![doc = include_str!("../README.md")]

mod audit;
mod calibrate;
mod carry;
mod compare;
mod config;
mod error;
mod evaluate;
mod fingerprint;
mod fit;
mod gates;
mod importance;
mod initial_losses;
mod monitor;
mod nesting;
mod observer;
mod progress;
mod results;
mod resume;
mod scored;
mod seen;
mod segments;
mod summary;
mod survey;
mod sweep;
mod trained;
mod truth;
mod tune;
mod weighting;

pub use audit::{
    Audit, ChainAudit, Contradiction, FeatureAudit, Implication, LabelAudit, Leak, audit,
};
pub use calibrate::{CalibratedOutput, CalibrationConfig, Sampled, calibrate};
pub use carry::check_start;
pub use compare::{Compared, Comparison, Contender, Finished, compare, compare_and};
pub use config::{RunConfig, TrainConfig};
pub use error::{Error, Result};
pub use evaluate::{CalibrationChange, Evaluation, NamedMetrics, TaskMetrics, evaluate, measure};
pub use fit::{EpochRecord, Fitted, History, Validated, fit};
pub use gates::{Gate, gates};
pub use importance::{Baseline, Drop, FeatureImportance, Importance, ImportanceConfig, importance};
pub use monitor::Monitor;
pub use nesting::{check_nesting, check_test_rows, nesting_note};
pub use observer::{Observer, Silent};
pub use results::{Cell, Delta, ModelResults, Results, RunResults, Spread};
pub use resume::TrainingState;
pub use scored::Scored;
pub use segments::{BySegment, SegmentConfig, SegmentEvaluation, evaluate_by, segments_of};
pub use summary::{LabelSummary, Part, summarise};
pub use sweep::{Axis, Sweep, SweepPoint, SweepRun};
pub use trained::{Evaluated, Trained};
pub use truth::{IfClicked, TruthMetrics, TruthOf, measure_truth};
pub use tune::{RankMetric, Ranking, TuneConfig, Tuned, tune_fusion};
pub use weighting::{LossConfig, SharedParameters, Weighting};
