#![doc = include_str!("../README.md")]

mod answer;
mod cell;
mod column;
mod config;
mod connections;
mod error;
mod http;
mod loaded;
mod metrics;
mod problem;
mod queue;
mod request;
mod score;
mod server;
mod watch;

pub use config::ServeConfig;
pub use error::{Error, Result};
pub use loaded::{LoadError, Loaded};
pub use server::{Handle, Server};
