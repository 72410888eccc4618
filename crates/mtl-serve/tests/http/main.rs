//! A server over a real socket: what it answers, what it refuses, how it changes and ends.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod client;
mod life;
mod refused;
mod scores;
mod support;
