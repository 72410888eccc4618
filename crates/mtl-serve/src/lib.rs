#![doc = include_str!("../README.md")]

mod alone;
mod answer;
mod awake;
mod cell;
mod column;
mod config;
mod connections;
mod error;
mod formula;
mod http;
mod limited;
mod loaded;
mod metrics;
mod optional;
mod pace;
mod problem;
mod queue;
mod request;
mod score;
mod server;
mod watch;
mod work;

pub use config::ServeConfig;
pub use error::{Error, Result};
pub use loaded::{LoadError, Loaded};
pub use server::{Handle, Server};
