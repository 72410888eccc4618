//! What can go wrong while a model is written in, or read from, another form.

/// The error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Bytes that are not of the format.
    #[error("not a safetensors file: {reason}")]
    Format {
        /// What the reader says.
        reason: String,
    },
    /// Names that do not match the model's parameters.
    #[error("{}", names(missing, unexpected))]
    Names {
        /// Parameters that the file does not have.
        missing: Vec<String>,
        /// Tensors that the model does not have, each with the parameters of the nearest names.
        unexpected: Vec<(String, Vec<String>)>,
    },
    /// A tensor of another shape than its parameter.
    #[error("tensor `{name}` has shape {found:?}, expected {expected:?}{}", shape_hint(*transposed))]
    Shape {
        /// Its name.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shapes that would do.
        expected: Vec<usize>,
        /// Whether the transpose would fit.
        transposed: bool,
    },
    /// A tensor of a type that holds no floating-point numbers.
    #[error("tensor `{name}` has type {found}, expected F32, F64, BF16 or F16")]
    Type {
        /// Its name.
        name: String,
        /// Its type.
        found: String,
    },
    /// A value that no parameter may have.
    #[error("tensor `{name}`, element {index}: found {value}, expected a finite f32")]
    Value {
        /// Its name.
        name: String,
        /// The element, counted row by row from 0.
        index: usize,
        /// The value.
        value: f64,
    },
    /// A weight layout that there is not.
    #[error("metadata `{key}` is `{found}`, expected `in_out` or `out_in`")]
    Layout {
        /// The key.
        key: &'static str,
        /// What it says.
        found: String,
    },
    /// A kind of op that has no form in ONNX yet.
    #[error("node `{node}`: no way to write an op `{kind}` in ONNX, expected one of {known}")]
    Op {
        /// The node.
        node: String,
        /// The op's kind.
        kind: String,
        /// The kinds that can be written.
        known: String,
    },
    /// A slot of the graph that no feature of the schema fills.
    #[error("slot `{slot}` is no feature of the schema")]
    Slot {
        /// The slot.
        slot: String,
    },
    /// A feature, or a calibration, that has no form in ONNX yet.
    #[error("{what} `{name}`: no way to write it in ONNX: {reason}")]
    Unwritable {
        /// Feature or calibration.
        what: &'static str,
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// The parameters do not fit.
    #[error(transparent)]
    Graph(#[from] mtl_nn::Error),
}

/// The result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn shape_hint(transposed: bool) -> &'static str {
    if transposed {
        " (in × out): it is the transpose; say so with the metadata `mtl.weight_layout` = `out_in`"
    } else {
        ""
    }
}

/// As many names as fit a line that somebody will read.
const SHOWN: usize = 8;

fn names(missing: &[String], unexpected: &[(String, Vec<String>)]) -> String {
    let list = |names: Vec<String>| {
        let more = names.len().saturating_sub(SHOWN);
        let shown = names.into_iter().take(SHOWN).collect::<Vec<_>>().join(", ");
        if more > 0 { format!("{shown} and {more} more") } else { shown }
    };
    let mut parts = Vec::new();
    if !missing.is_empty() {
        let names = missing.iter().map(|name| format!("`{name}`")).collect();
        parts.push(format!("{} tensors are missing: {}", missing.len(), list(names)));
    }
    if !unexpected.is_empty() {
        let hint = |near: &Vec<String>| match near.first() {
            Some(near) => format!(" (did you mean `{near}`?)"),
            None => String::new(),
        };
        let names = unexpected.iter().map(|(name, near)| format!("`{name}`{}", hint(near)));
        let list = list(names.collect());
        parts.push(format!("{} tensors are no parameters of the model: {list}", unexpected.len()));
    }
    parts.join("; ")
}
