//! A whole model as one ONNX file: ids and raw numbers in, named probabilities out.

mod calibration;
mod features;
mod ops;
mod proto;
mod vocabulary;
mod walk;
mod writer;

use mtl_model::Model;
use prost::Message;

use self::features::Slots;
use self::proto::{ModelProto, OperatorSetIdProto, StringStringEntryProto};
use self::walk::Walk;
use crate::Result;

/// The version of ONNX's operators that a file means.
pub const OPSET: i64 = 18;

/// The version of the file format, as old as the operators allow.
const IR_VERSION: i64 = 8;

/// A model in ONNX, and what its inputs mean.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Onnx {
    /// The bytes of the `.onnx` file.
    pub model: Vec<u8>,
    /// How raw values become inputs: vocabularies, hashes, columns.
    pub vocabulary: serde_json::Value,
}

/// The model's outputs, calibrated as [`Model::predict`] calibrates them, over inputs named like the
/// features that the model reads. The first dimension, `batch`, is each call's.
///
/// | input | type | holds |
/// |---|---|---|
/// | a categorical feature | int64, batch | ids by the vocabulary; 0 unseen, 1 missing |
/// | a sequence | int64, batch × length | ids likewise, then −1 |
/// | a numeric feature | double, batch | the raw number, NaN where it is missing; transforms are nodes |
///
/// | output | type | holds |
/// |---|---|---|
/// | each name of [`mtl_model::Predictions`] | float, batch | a probability, or a regression's prediction |
///
/// Dropout is not there, batch normalisation is folded into a scale and a shift, and constants are
/// named by their parameters' paths. A graph that needs only its probabilities has nothing else.
///
/// # Errors
/// [`crate::Error::Op`] for an op without a form in ONNX, [`crate::Error::Unwritable`] for such a
/// feature or calibration.
pub fn to_onnx(model: &Model) -> Result<Onnx> {
    let mut walk = Walk::new(model.graph(), &model.params, Slots::new(model.schema()));
    for (name, var) in model.graph().outputs() {
        let mut value = walk.value(*var)?;
        if let Some(calibrator) = model.calibration().of(name) {
            value = calibration::write(name, calibrator, value, &mut walk.to)?;
        }
        walk.to.output(name, &value);
    }
    let graph = walk.to.finish(&model.spec().model.name);
    let inputs: Vec<&str> = graph.input.iter().map(|input| input.name.as_str()).collect();
    let outputs: Vec<&str> = graph.output.iter().map(|output| output.name.as_str()).collect();
    let vocabulary = vocabulary::describe(model.schema(), &inputs, &outputs);
    let file = ModelProto {
        ir_version: IR_VERSION,
        producer_name: "mtl".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(graph),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        metadata_props: vec![StringStringEntryProto {
            key: "architecture".to_owned(),
            value: model.spec().model.name.clone(),
        }],
    };
    Ok(Onnx { model: file.encode_to_vec(), vocabulary })
}
