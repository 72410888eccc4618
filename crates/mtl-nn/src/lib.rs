#![doc = include_str!("../README.md")]

mod batch;
pub mod check;
pub mod checkpoint;
mod error;
mod graph;
mod init;
pub mod kernel;
pub mod layers;
mod mat;
mod op;
pub mod ops;
mod optimiser;
mod packed;
mod params;
mod plan;
mod predict;
mod reach;
mod scalar;
mod sparse;
mod step;
mod workspace;

pub use batch::{Batch, IdSlot, ValueSlot};
pub use error::{Error, Result};
pub use graph::{Graph, GraphBuilder, IdSlotSpec, Node, ValueSlotSpec};
pub use init::Init;
pub use mat::{Mat, MatMut};
pub use op::{Backprop, Forward, Lookup, Mode, NodeId, Op, OpPart, RowGradients, Sink, Var};
pub use optimiser::{Epsilon, Optimiser, OptimiserConfig, Rule, Schedule, TableUpdate};
pub use params::{Entry, Layout, NewParam, ParamId, ParamSpec, Params, Role, TableId, TableSpec};
pub use plan::{Backward, Plan, Wanted};
pub use predict::Predictor;
pub use reach::Ownership;
pub use scalar::Scalar;
pub use sparse::SparseGradient;
pub use step::{LossWeights, SHARD_ROWS, Seen, Shared, Step, StepReport, Weigh};
pub use workspace::{Pass, Workspace};
