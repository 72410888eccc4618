//! `mtl export`: a trained model in a form that other programs read.

use anyhow::{Context, ensure};
use mtl_model::Model;
use serde_json::json;

use crate::args::{ExportArgs, ExportFormat};
use crate::commands::outputs;
use crate::{commands, render};

pub(crate) fn run(args: &ExportArgs, json: bool) -> anyhow::Result<()> {
    check_ending(args)?;
    outputs::check_beside_model(&args.out, &args.model)?;
    let model = Model::load(&args.model)?;
    match args.format {
        ExportFormat::Safetensors => safetensors(&model, args, json),
        ExportFormat::Onnx => onnx(&model, args, json),
    }
}

/// A name of another ending is that of another file: a model's, as likely as not.
fn check_ending(args: &ExportArgs) -> anyhow::Result<()> {
    let ending = match args.format {
        ExportFormat::Safetensors => "safetensors",
        ExportFormat::Onnx => "onnx",
    };
    let found = args.out.extension().is_some_and(|found| found.eq_ignore_ascii_case(ending));
    ensure!(found, "--out {}: expected a name that ends in .{ending}", args.out.display());
    Ok(())
}

fn safetensors(model: &Model, args: &ExportArgs, json: bool) -> anyhow::Result<()> {
    let folder = || args.model.display().to_string();
    let bytes = mtl_export::to_safetensors(&model.params).with_context(folder)?;
    commands::write(&args.out, &bytes)?;
    let tensors = model.graph().layout().paths().count();
    let out = args.out.display().to_string();
    if json {
        return render::json(&json!({ "format": "safetensors", "tensors": tensors, "out": out }));
    }
    say!("wrote {tensors} tensors to {out}");
    Ok(())
}

fn onnx(model: &Model, args: &ExportArgs, json: bool) -> anyhow::Result<()> {
    let onnx = mtl_export::to_onnx(model).with_context(|| args.model.display().to_string())?;
    let vocabulary = args.out.with_extension("vocabulary.json");
    commands::write(&args.out, &onnx.model)?;
    commands::write(&vocabulary, serde_json::to_string_pretty(&onnx.vocabulary)?.as_bytes())?;
    let (out, vocabulary) = (args.out.display().to_string(), vocabulary.display().to_string());
    let (inputs, outputs) = (&onnx.vocabulary["inputs"], &onnx.vocabulary["outputs"]);
    if json {
        let said = json!({
            "format": "onnx", "outputs": outputs, "out": out, "vocabulary": vocabulary
        });
        return render::json(&said);
    }
    let n = inputs.as_object().map_or(0, serde_json::Map::len);
    say!("wrote a graph of {n} inputs to {out} and their vocabulary to {vocabulary}");
    Ok(())
}
