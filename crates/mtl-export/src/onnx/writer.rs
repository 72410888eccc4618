//! `Writer`: an ONNX graph in the making.

use std::collections::{HashMap, HashSet};

use super::proto::{
    AttributeProto, AttributeType, DataType, Dimension, DimensionValue, GraphProto, NodeProto,
    TensorProto, TensorShapeProto, TensorType, TypeProto, ValueInfoProto,
};

/// The dimension that each call chooses.
const BATCH: &str = "batch";

/// Nodes, constants, inputs and outputs so far. A value is known by its name.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    graph: GraphProto,
    constants: HashMap<String, usize>,
}

impl Writer {
    /// Adds an operator with one output; its name begins with `prefix`.
    pub(crate) fn node(&mut self, prefix: &str, op: &str, inputs: &[&str]) -> String {
        self.node_with(prefix, op, inputs, &[])
    }

    /// As [`Writer::node`], with integer settings.
    pub(crate) fn node_with(
        &mut self,
        prefix: &str,
        op: &str,
        inputs: &[&str],
        settings: &[(&str, i64)],
    ) -> String {
        let name = format!("{prefix}/{op}.{}", self.graph.node.len());
        self.push(&name, &name, op, inputs, settings);
        name
    }

    fn push(&mut self, name: &str, out: &str, op: &str, inputs: &[&str], set: &[(&str, i64)]) {
        let attribute = |&(name, value): &(&str, i64)| AttributeProto {
            name: name.to_owned(),
            i: Some(value),
            r#type: AttributeType::Int.into(),
        };
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![out.to_owned()],
            name: name.to_owned(),
            op_type: op.to_owned(),
            attribute: set.iter().map(attribute).collect(),
        });
    }

    /// A constant of floats; one of the same name is taken as it is.
    pub(crate) fn floats(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        debug_assert_eq!(dims.iter().product::<usize>(), values.len(), "{name}");
        let data = || values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(name, dims, DataType::Float, data)
    }

    /// As [`Writer::floats`], in f64.
    pub(crate) fn doubles(&mut self, name: &str, dims: &[usize], values: &[f64]) -> String {
        debug_assert_eq!(dims.iter().product::<usize>(), values.len(), "{name}");
        let data = || values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(name, dims, DataType::Double, data)
    }

    /// A float by itself, named by its value.
    pub(crate) fn float(&mut self, value: f32) -> String {
        self.floats(&format!("float.{value}"), &[], &[value])
    }

    /// A double by itself, named by its value.
    pub(crate) fn double(&mut self, value: f64) -> String {
        self.doubles(&format!("double.{value}"), &[], &[value])
    }

    /// A constant list of integers, named by its values.
    pub(crate) fn integers(&mut self, values: &[i64]) -> String {
        let text: Vec<_> = values.iter().map(ToString::to_string).collect();
        let data = || values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let name = format!("integers.{}", text.join("_"));
        self.constant(&name, &[values.len()], DataType::Int64, data)
    }

    /// An integer by itself, named by its value.
    pub(crate) fn integer(&mut self, value: i64) -> String {
        let data = || value.to_le_bytes().to_vec();
        self.constant(&format!("integer.{value}"), &[], DataType::Int64, data)
    }

    fn constant(
        &mut self,
        name: &str,
        dims: &[usize],
        data_type: DataType,
        data: impl FnOnce() -> Vec<u8>,
    ) -> String {
        if !self.constants.contains_key(name) {
            self.constants.insert(name.to_owned(), self.graph.initializer.len());
            self.graph.initializer.push(TensorProto {
                dims: dims.iter().map(|&n| n as i64).collect(),
                data_type: data_type.into(),
                name: name.to_owned(),
                raw_data: data(),
            });
        }
        name.to_owned()
    }

    /// Declares an input of integers, batch.
    pub(crate) fn id_input(&mut self, name: &str, doc: &str) -> String {
        self.input(name, DataType::Int64, None, doc)
    }

    /// Declares an input of integers, batch × `<name>.length`, which each call chooses too.
    pub(crate) fn list_input(&mut self, name: &str, doc: &str) -> String {
        self.input(name, DataType::Int64, Some(format!("{name}.length")), doc)
    }

    /// Declares an input of numbers in f64, batch.
    pub(crate) fn number_input(&mut self, name: &str, doc: &str) -> String {
        self.input(name, DataType::Double, None, doc)
    }

    fn input(&mut self, name: &str, of: DataType, length: Option<String>, doc: &str) -> String {
        if self.graph.input.iter().all(|input| input.name != name) {
            self.graph.input.push(value_info(name, of, length, doc));
        }
        name.to_owned()
    }

    /// Names a value (batch × 1) as an output (batch).
    pub(crate) fn output(&mut self, name: &str, value: &str) {
        let axes = self.integers(&[1]);
        self.push(&format!("{name}/output"), name, "Squeeze", &[value, &axes], &[]);
        self.graph.output.push(value_info(name, DataType::Float, None, ""));
    }

    /// The columns `start .. start + n` of a value.
    pub(crate) fn slice(&mut self, prefix: &str, value: &str, start: usize, n: usize) -> String {
        let [from, to] = [start, start + n].map(|at| self.integers(&[at as i64]));
        let axes = self.integers(&[1]);
        self.node(prefix, "Slice", &[value, &from, &to, &axes])
    }

    /// Values side by side.
    pub(crate) fn concat(&mut self, prefix: &str, values: &[&str]) -> String {
        match values {
            [one] => (*one).to_owned(),
            _ => self.node_with(prefix, "Concat", values, &[("axis", 1)]),
        }
    }

    /// A value as another type.
    pub(crate) fn cast(&mut self, prefix: &str, value: &str, to: DataType) -> String {
        self.node_with(prefix, "Cast", &[value], &[("to", to as i64)])
    }

    /// batch → batch × 1.
    pub(crate) fn column(&mut self, prefix: &str, value: &str) -> String {
        let axes = self.integers(&[1]);
        self.node(prefix, "Unsqueeze", &[value, &axes])
    }

    /// The sum of the columns, batch × 1.
    pub(crate) fn sum_columns(&mut self, prefix: &str, value: &str) -> String {
        let axes = self.integers(&[1]);
        self.node_with(prefix, "ReduceSum", &[value, &axes], &[("keepdims", 1)])
    }

    /// What was written, without what no output needs: of a chain's pairs often one side alone.
    pub(crate) fn finish(mut self, name: &str) -> GraphProto {
        let outputs = self.graph.output.iter().map(|output| output.name.clone());
        let mut needed: HashSet<String> = outputs.collect();
        let mut nodes = Vec::with_capacity(self.graph.node.len());
        for node in self.graph.node.into_iter().rev() {
            if node.output.iter().any(|output| needed.contains(output)) {
                needed.extend(node.input.iter().cloned());
                nodes.push(node);
            }
        }
        nodes.reverse();
        self.graph.node = nodes;
        self.graph.initializer.retain(|constant| needed.contains(&constant.name));
        self.graph.name = name.to_owned();
        self.graph
    }
}

/// batch, or batch × a length.
fn value_info(name: &str, of: DataType, length: Option<String>, doc: &str) -> ValueInfoProto {
    let dimension = |name| Dimension { value: Some(DimensionValue::Name(name)) };
    let names = std::iter::once(BATCH.to_owned()).chain(length);
    let shape = TensorShapeProto { dim: names.map(dimension).collect() };
    let tensor = TensorType { elem_type: of.into(), shape: Some(shape) };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto { tensor_type: Some(tensor) }),
        doc_string: doc.to_owned(),
    }
}
