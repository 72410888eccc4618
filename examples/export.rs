//! `mtl-export` alone: a model as ONNX with its vocabulary, and its weights as safetensors and back.
//!
//! `cargo run --release -p mtl-examples --example export -- FOLDER`

use std::path::PathBuf;

use mtl_examples::{Anything, Log};
use mtl_nn::Params;

fn main() -> Result<(), Anything> {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "exported".to_owned()));
    let model = Log::draw()?.train("mmoe", "expert_units = [16]\ntower_units = [8]")?;
    std::fs::create_dir_all(&folder)?;

    let onnx = mtl_export::to_onnx(&model)?;
    std::fs::write(folder.join("m.onnx"), &onnx.model)?;
    std::fs::write(folder.join("m.vocabulary.json"), onnx.vocabulary.to_string())?;
    println!("m.onnx: {} bytes, outputs {}", onnx.model.len(), onnx.vocabulary["outputs"]);

    let weights = mtl_export::to_safetensors(&model.params)?;
    std::fs::write(folder.join("m.safetensors"), &weights)?;
    let mut fresh = Params::<f32>::init(model.graph().layout(), 7);
    mtl_export::read_safetensors(&mut fresh, &weights)?;
    let path = "expert.0.0.weight";
    println!("{path} is back: {}", fresh.get(path)? == model.params.get(path)?);
    Ok(())
}
