//! Layers: plain structs that describe parts of a graph and add them to a builder.

mod activation;
mod mlp;

pub use activation::{Activation, Dropout};
pub use mlp::{Mlp, Norm, Stack, StackLayer, build_layer, build_stacks};
