//! One suite, so that the generic kernels are compiled once for it: what layers, steps, optimisers and
//! checkpoints promise. `allocations.rs` beside it has an allocator of its own.

mod checkpoints;
mod common;
mod golden;
mod precision;
mod prediction;
mod schedules;
mod sequences;
mod threads;
mod training;
mod weighed_step;
