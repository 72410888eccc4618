//! Schema and specification into a graph.

use std::sync::Arc;

use mtl_arch::{Built, InputKind, Inputs, architecture};
use mtl_feature::Schema;
use mtl_moe::GateInfo;
use mtl_nn::ops::Sigmoid;
use mtl_nn::{Graph, GraphBuilder, Scalar, Var};

use crate::{ModelSpec, Result};

/// A graph with the handles that training and inspection need.
#[derive(Clone, Debug)]
pub struct Assembled<S> {
    /// The graph: outputs `p_<task>`, losses by task.
    pub graph: Arc<Graph<S>>,
    /// The gates, for inspection.
    pub gates: Vec<GateInfo>,
    /// The last layers that tasks share.
    pub representations: Vec<Var>,
}

/// Input layer, architecture, outputs and losses in one graph.
///
/// # Errors
/// Settings that do not fit: see the crates below.
pub fn assemble<S: Scalar>(spec: &ModelSpec, schema: &Schema) -> Result<Assembled<S>> {
    let mut b = GraphBuilder::new();
    let built = build_logits(&mut b, spec, schema)?;
    for (name, z) in &built.logits {
        let Some(task) = spec.task(name) else { continue };
        // A regression's output is its prediction; the name of the column stays the same.
        let y = match task.is_binary() {
            true => b.push(&format!("p.{name}"), Sigmoid::new(*z))?,
            false => *z,
        };
        b.output(&format!("p_{name}"), y)?;
        task.add_loss(&mut b, *z)?;
    }
    let graph = Arc::new(b.finish());
    Ok(Assembled { graph, gates: built.gates, representations: built.representations })
}

fn build_logits<S: Scalar>(
    b: &mut GraphBuilder<S>,
    spec: &ModelSpec,
    schema: &Schema,
) -> Result<Built> {
    let mut names: Vec<&str> = spec.tasks.iter().map(|task| task.name.as_str()).collect();
    names.sort_unstable();
    let (model, input) = (&spec.model, &spec.model.embedding);
    let architecture = architecture::<S>(&model.name, &model.architecture, &names)?;
    let inputs = match architecture.input_kind() {
        InputKind::Shared => Inputs::Shared(input.build(b, schema, "")?),
        InputKind::PerTask => {
            let mut inputs = Vec::with_capacity(names.len());
            for task in &names {
                inputs.push(input.build(b, schema, &format!("task.{task}."))?);
            }
            Inputs::PerTask(inputs)
        }
    };
    Ok(architecture.build(b, &inputs)?)
}
