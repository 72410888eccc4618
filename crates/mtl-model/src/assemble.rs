//! Schema and specification into a graph.

use std::collections::BTreeMap;
use std::sync::Arc;

use mtl_arch::{Built, InputKind, Inputs, architecture};
use mtl_esm::BehaviourGraph;
use mtl_feature::{LABEL_SLOT, LabelKind, Schema, WEIGHT_SLOT};
use mtl_moe::GateInfo;
use mtl_nn::ops::{AddSum, Sigmoid, Softmax};
use mtl_nn::{Graph, GraphBuilder, Scalar, Var};

use crate::{Error, ModelSpec, Result};

/// A graph with the handles that training and inspection need.
#[derive(Clone, Debug)]
pub struct Assembled<S> {
    /// The graph: outputs `p_<task>` and those of the chain, losses by task and event.
    pub graph: Arc<Graph<S>>,
    /// The weight that the configuration gives each loss, in the order of [`Graph::losses`].
    pub loss_weights: Vec<f64>,
    /// The behaviour graph, if there is a chain.
    pub chain: Option<BehaviourGraph>,
    /// The gates, for inspection.
    pub gates: Vec<GateInfo>,
    /// The last layers that towers share.
    pub representations: Vec<Var>,
}

/// Input layer, architecture, chain, outputs and losses in one graph.
///
/// # Errors
/// Settings that do not fit: see the crates below.
pub fn assemble<S: Scalar>(spec: &ModelSpec, schema: &Schema) -> Result<Assembled<S>> {
    let mut b = GraphBuilder::new();
    let chain = spec.behaviour_graph()?;
    let mut built = build_logits(&mut b, spec, chain.as_ref(), schema)?;
    if spec.model.first_order {
        for (name, z) in &mut built.logits {
            if z.n_cols() > 1 {
                let message =
                    format!("`first_order` adds to one logit, and `{name}` has a class each");
                return Err(Error::config("model", message));
            }
            let prefix = format!("task.{name}.");
            if let Some(x) = spec.model.embedding.build_first_order(&mut b, schema, &prefix)? {
                *z = b.push(&format!("z.{name}"), AddSum::new(*z, x))?;
            }
        }
    }
    let mut weights = BTreeMap::new();
    for (name, z) in &built.logits {
        let Some(task) = spec.task(name) else { continue };
        // A regression's output is its prediction; the name of the column stays the same.
        match task.label_kind() {
            LabelKind::Multiclass => {
                let p = b.push(&format!("p.{name}"), Softmax::new(*z, vec![z.n_cols()]))?;
                for (i, class) in task.classes(schema).iter().enumerate() {
                    b.output(&task.class_output(class), p.columns(i, 1))?;
                }
            }
            LabelKind::Regression => b.output(&format!("p_{name}"), *z)?,
            _ => {
                let p = b.push(&format!("p.{name}"), Sigmoid::new(*z))?;
                b.output(&format!("p_{name}"), p)?;
            }
        }
        task.add_loss(&mut b, *z)?;
        weights.insert(name.clone(), task.weight);
    }
    if let Some(chain) = &chain {
        add_chain(&mut b, chain, &built, &mut weights)?;
    }
    let graph = Arc::new(b.finish());
    let loss_weights = graph.losses().iter().map(|(name, _)| weights[name]).collect();
    let (gates, representations) = (built.gates, built.representations);
    Ok(Assembled { graph, loss_weights, chain, gates, representations })
}

/// Every event's probability and loss over the towers' logits.
fn add_chain<S: Scalar>(
    b: &mut GraphBuilder<S>,
    chain: &BehaviourGraph,
    built: &Built,
    weights: &mut BTreeMap<String, f64>,
) -> Result<()> {
    let logits: BTreeMap<String, Var> = built.logits.iter().cloned().collect();
    let mut labels = BTreeMap::new();
    for name in chain.labels() {
        labels.insert(name.to_owned(), b.values(&format!("{LABEL_SLOT}{name}"), 1)?);
    }
    let weight = b.values(WEIGHT_SLOT, 1)?;
    let attached = chain.attach(b, &logits, &labels, Some(weight))?;
    weights.extend(attached.losses.into_iter().map(|loss| (loss.name, loss.weight)));
    Ok(())
}

/// Architectures are built for towers: a task is one, and so is each edge of the chain.
fn build_logits<S: Scalar>(
    b: &mut GraphBuilder<S>,
    spec: &ModelSpec,
    chain: Option<&BehaviourGraph>,
    schema: &Schema,
) -> Result<Built> {
    let mut names: Vec<&str> = spec.tasks.iter().map(|task| task.name.as_str()).collect();
    names.extend(chain.iter().flat_map(|chain| chain.towers()));
    names.sort_unstable();
    let (model, input) = (&spec.model, &spec.model.embedding);
    let mut settings = model.architecture.clone();
    for task in spec.tasks.iter().filter(|task| task.label_kind() == LabelKind::Multiclass) {
        settings.n_logits.insert(task.name.clone(), task.classes(schema).len());
    }
    let architecture = architecture::<S>(&model.name, &settings, &names)?;
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
    let built = architecture.build(b, &inputs)?;
    // An architecture that makes the logits itself may know of one a task alone.
    for (name, z) in &built.logits {
        let wanted = settings.n_logits.get(name).copied().unwrap_or(1);
        b.expect_columns(&format!("the logits of `{name}`"), &model.name, z.n_cols(), wanted)?;
    }
    Ok(built)
}
