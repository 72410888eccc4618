//! Checkpoints: parameters and optimiser state as bytes, by path.
//!
//! What is saved is a flat struct of its own, never a graph type: [`SavedParams`] and
//! [`SavedOptimiser`] hold paths, shapes and values, and restoring one compares them with the
//! layout of a graph, so the order in which a program adds its layers may change between saving
//! and loading. [`encode`] and [`decode`] turn any such struct into bytes and back; a crate that
//! has more to save puts these structs into one of its own.
//!
//! ```
//! use mtl_nn::checkpoint::{SavedParams, decode, encode};
//! use mtl_nn::{GraphBuilder, Params, layers::{Activation, Mlp}};
//!
//! let mut b = GraphBuilder::<f32>::new();
//! let x = b.values("x", 3)?;
//! let x = b.read(x)?;
//! Mlp::new(&[4, 1], Activation::Relu).build(&mut b, "tower", x)?;
//! let layout = b.finish().layout().clone();
//!
//! let params = Params::<f32>::init(&layout, 7);
//! let bytes = encode("parameters", &SavedParams::of(&params));
//! let loaded: Params<f32> = decode::<SavedParams>("parameters", &bytes)?.restore(&layout)?;
//! assert_eq!(loaded.get("tower.0.weight")?, params.get("tower.0.weight")?);
//! # Ok::<(), mtl_nn::Error>(())
//! ```

mod codec;
mod file;
mod saved;

pub use crate::optimiser::SavedOptimiser;
pub use codec::{Damage, checksum, decode, encode};
pub use file::write_atomic;
pub use saved::{SavedEntry, SavedParams, Values};

pub(crate) use saved::match_paths;
