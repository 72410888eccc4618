//! Schema and specification into a graph.

use std::collections::BTreeMap;
use std::sync::Arc;

use mtl_arch::{Built, InputKind, Inputs, architecture};
use mtl_esm::BehaviourGraph;
use mtl_feature::{FEATURE_SLOT, LABEL_SLOT, LabelKind, Schema, WEIGHT_SLOT};
use mtl_moe::GateInfo;
use mtl_nn::ops::{AddSum, Domains, Sigmoid, Softmax};
use mtl_nn::{Graph, GraphBuilder, Scalar, Var};

use crate::{Error, ModelSpec, Result, TaskConfig, TaskLoss};

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
        task.add_loss(&mut b, *z, penalty(&built, spec, task))?;
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

/// What the architecture adds to a task's loss. It bounds one probability by another, so both must
/// be probabilities of tasks: a tower of a chain has a conditional one and no loss of its own, and
/// the chain keeps its events in order already.
fn penalty(built: &Built, spec: &ModelSpec, task: &TaskConfig) -> Option<Var> {
    let penalty = built.penalty(&task.name)?;
    let before = spec.task(&penalty.before)?;
    // Scores that are trained by pairs are no probabilities either.
    let is_probability = |task: &TaskConfig| task.is_binary() && task.task_loss() != TaskLoss::Bpr;
    (is_probability(task) && is_probability(before)).then_some(penalty.rows)
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
        InputKind::Domain => {
            let domains = domains(b, spec, schema)?;
            Inputs::Domain { x: input.build(b, schema, "")?, domains }
        }
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

/// The feature that says which domain a row belongs to.
fn domains<S: Scalar>(
    b: &mut GraphBuilder<S>,
    spec: &ModelSpec,
    schema: &Schema,
) -> Result<Domains> {
    let name = spec.model.domain()?;
    let Some(feature) = schema.feature(name) else {
        let names: Vec<&str> = schema.features().iter().map(|feature| feature.name()).collect();
        let nearest = mtl_feature::nearest_names(name, &names);
        let hint =
            nearest.first().map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        let message = format!("`domain` is `{name}`, expected the name of a feature{hint}");
        return Err(Error::config("model", message));
    };
    let Some(n) = feature.encoding().n_rows() else {
        let message = format!("`domain` is the number `{name}`, expected a categorical feature");
        return Err(Error::config("model", message));
    };
    Ok(Domains { slot: b.ids(&format!("{FEATURE_SLOT}{name}")), n })
}
