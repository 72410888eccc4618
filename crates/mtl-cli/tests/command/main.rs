//! The built `mtl` command, run on files of its own: what it writes, and how it says no.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod calibrate;
mod chains;
mod classes;
mod compare;
mod configurations;
mod days;
mod derived;
mod determinism;
mod explain;
mod export;
mod failures;
mod figures;
mod files;
mod interrupt;
mod life;
mod look;
mod memory;
mod noted;
mod outputs;
mod report;
mod resume;
mod sequences;
mod serve;
mod streaming;
mod support;
mod sweep;
mod truth;
