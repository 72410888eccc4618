//! One suite of what training promises: the loop, its losses and weightings, calibration, tuning and
//! importance.

mod after;
mod calibration;
mod importance;
mod kept;
mod last_good;
mod pair;
mod task_losses;
mod training;
mod tuning;
mod watch;
mod weighting_architectures;
mod weighting_fit;
mod weighting_golden;
mod weighting_tasks;
