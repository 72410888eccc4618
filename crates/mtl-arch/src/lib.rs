#![doc = include_str!("../README.md")]

mod architecture;
mod config;
mod error;
mod mmoe;
mod omoe;
mod ple;
mod settings;
mod shared_bottom;
mod single_task;
mod towers;

pub use architecture::{Architecture, Built, InputKind, Inputs, NAMES, architecture};
pub use config::{ArchitectureConfig, Counts, PerLevel, Preset};
pub use error::{Error, Result};
pub use mmoe::Mmoe;
pub use omoe::Omoe;
pub use ple::Ple;
pub use settings::Settings;
pub use shared_bottom::SharedBottom;
pub use single_task::SingleTask;
pub use towers::Towers;
