#![doc = include_str!("../README.md")]

mod attach;
mod builder;
mod config;
mod draw;
mod error;
mod graph;
mod nesting;
pub mod ops;
mod preset;
mod program;
mod spec;
mod target;
#[cfg(test)]
mod testing;
mod validate;

pub use attach::{AttachedChain, AttachedEvent, ChainLoss};
pub use builder::BehaviourGraphBuilder;
pub use config::{
    ChainConfig, ConditionalConfig, EventConfig, LabelConfig, LossConfig, PathConfig,
};
pub use error::{Error, Result};
pub use graph::{BehaviourGraph, Branch, Decision, EventNode};
pub use nesting::{NestingCheck, Violation};
pub use preset::Preset;
pub use program::{End, Program, Way};
pub use spec::{Conditional, ConditionalLoss, Edge, Event, Nesting};
pub use target::Target;
