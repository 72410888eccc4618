#![doc = include_str!("../README.md")]

mod error;
mod onnx;
mod weights;

pub use error::{Error, Result};
pub use onnx::{OPSET, Onnx, to_onnx};
pub use weights::{LAYOUT_KEY, read_safetensors, tensor_shapes, to_safetensors};
