#![doc = include_str!("../README.md")]

mod aitm;
mod architecture;
mod config;
mod cross_stitch;
mod error;
mod mmoe;
mod omoe;
pub mod ops;
mod ple;
mod settings;
mod shared_bottom;
mod single_task;
mod star;
mod towers;

pub use aitm::Aitm;
pub use architecture::{Architecture, Built, InputKind, Inputs, NAMES, Penalty, architecture};
pub use config::{ArchitectureConfig, Counts, PerLevel, Preset};
pub use cross_stitch::CrossStitch;
pub use error::{Error, Result};
pub use mmoe::Mmoe;
pub use omoe::Omoe;
pub use ple::Ple;
pub use settings::Settings;
pub use shared_bottom::SharedBottom;
pub use single_task::SingleTask;
pub use star::Star;
pub use towers::Towers;
