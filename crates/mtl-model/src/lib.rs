#![doc = include_str!("../README.md")]

mod assemble;
mod calibration;
mod error;
mod folder;
mod fusion;
mod measure;
mod memory;
mod model;
mod parse;
mod scorer;
mod spec;
mod task;

pub use assemble::{Assembled, assemble};
pub use calibration::Calibration;
pub use error::{Error, Result};
pub use folder::{
    CALIBRATION_FILE, FUSION_FILE, MODEL_FILES, is_model, prepare_folder, read_fusion,
    write_folder, write_fusion,
};
pub use fusion::{Fusion, MAX_EXPONENT, MAX_WEIGHT};
pub use measure::{Labels, Measure, Space, add_to_nesting, labels_of};
pub use memory::check_memory;
pub use model::{Model, Predictions};
pub use parse::parse_table;
pub use scorer::Scorer;
pub use spec::{ModelConfig, ModelSpec, ModelTable};
pub use task::{Classes, TaskConfig, TaskLoss, VisitPointLoss};
