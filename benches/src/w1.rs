//! Workload W1: a training step of a ranking model of ordinary size.
//!
//! 30 categorical features of dimension 16 (27,000 users, 7,500 videos, 28 columns of 10 to 1,000
//! ids, log-spaced; Zipf 1.05), three tasks, batch 1,024, every stack \[128, 64\] in the tutorial
//! preset, dropout 0.1, Adam(1e-3, ε̂ 1e-7), lazy on tables. ESMM and ESM2 are chains over towers
//! that share the embeddings alone. `peers` has its twins in PyTorch, TensorFlow and JAX.

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::Range;
use std::sync::Arc;

use mtl_arch::{ArchitectureConfig, Inputs, architecture};
use mtl_esm::{BehaviourGraph, Preset};
use mtl_loss::{WeightingConfig, base_rate_entropy};
use mtl_nn::kernel::Kernels;
use mtl_nn::ops::{Bce, Embed, Part, RowLoss};
use mtl_nn::{
    Batch, Frozen, Graph, GraphBuilder, Init, NodeId, Optimiser, OptimiserConfig, Params,
    Predictor, Step, TableUpdate, Var,
};
use mtl_train::{SharedParameters, Weighting};

use crate::{Zipf, uniform};

/// Columns of each embedding.
pub const DIM: usize = 16;
/// Rows of a batch.
pub const ROWS: usize = 1_024;
/// Batches that the steps go round.
pub const N_BATCHES: usize = 16;

/// Ids of the two large columns: users and videos.
pub const LARGE: [usize; 2] = [27_000, 7_500];

/// The tasks without a chain, and those of the two chains.
const TASKS: [&str; 3] = ["click", "like", "buy"];

/// The models that are measured: name, architecture, experts of MMoE, chain.
const MODELS: [(&str, &str, usize, Option<Preset>); 10] = [
    ("shared_bottom", "shared_bottom", 4, None),
    ("esmm", "towers", 4, Some(Preset::Esmm)),
    ("esm2", "towers", 4, Some(Preset::Esm2)),
    ("mmoe", "mmoe", 4, None),
    ("mmoe_2", "mmoe", 2, None),
    ("mmoe_8", "mmoe", 8, None),
    ("mmoe_16", "mmoe", 16, None),
    ("mmoe_32", "mmoe", 32, None),
    ("mmoe_64", "mmoe", 64, None),
    ("ple_2", "ple", 4, None),
];

/// The names that [`W1::new`] knows.
pub fn names() -> impl Iterator<Item = &'static str> {
    MODELS.iter().map(|model| model.0)
}

/// What of W1 a measurement may change.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Ids of the two large columns.
    pub large: [usize; 2],
    /// Rows of a batch.
    pub rows: usize,
    /// Dropout rate of every stack that has dropout; 0 where losses are compared with a peer's.
    pub dropout: f64,
    /// Which rows of tables are updated.
    pub table_update: TableUpdate,
}

impl Default for Setup {
    fn default() -> Self {
        Self { large: LARGE, rows: ROWS, dropout: 0.1, table_update: TableUpdate::Lazy }
    }
}

/// A model with its data and everything a step needs.
#[derive(Debug)]
pub struct W1 {
    step: Step<f32>,
    params: Params<f32>,
    optimiser: Optimiser<f32>,
    batches: Vec<Batch<f32>>,
    weighting: Option<Weighting>,
}

impl W1 {
    /// The model of that name, one of [`names`].
    ///
    /// # Errors
    /// Those of the architecture: an unknown name is one.
    pub fn new(name: &str) -> Result<Self, Box<dyn Error>> {
        Self::with(name, &Setup::default())
    }

    /// The same with other sizes.
    ///
    /// # Errors
    /// Those of the architecture: an unknown name is one.
    pub fn with(name: &str, setup: &Setup) -> Result<Self, Box<dyn Error>> {
        let graph = Arc::new(graph(name, setup)?);
        let config =
            OptimiserConfig { table_update: setup.table_update, ..OptimiserConfig::default() };
        Ok(Self {
            weighting: None,
            batches: batches(&graph, setup),
            params: Params::init(graph.layout(), 1),
            optimiser: Optimiser::new(config, graph.layout())?,
            step: Step::new(graph)?,
        })
    }

    /// The same under a weighting of the losses, by its name; `equal` is the plain step.
    ///
    /// # Errors
    /// An unknown method.
    pub fn weighed(
        mut self,
        method: &str,
        shared: SharedParameters,
    ) -> Result<Self, Box<dyn Error>> {
        if method == "equal" {
            return Ok(self);
        }
        let method = WeightingConfig::from_name(method)?;
        let graph = Arc::clone(self.step.graph());
        let names: Vec<String> = graph.losses().iter().map(|loss| loss.0.clone()).collect();
        let initial: Vec<f64> = names.iter().map(|n| base_rate_entropy(rate(n))).collect();
        let rule = self.optimiser.config().dense;
        let weighting = Weighting::new(&method, &names, Some(&initial), rule)?;
        self.step = weighting.step(graph, shared)?;
        self.weighting = Some(weighting);
        Ok(self)
    }

    /// The same with other kernels, or another precision.
    #[must_use]
    pub fn with_kernels(self, kernels: Kernels) -> Self {
        Self { step: self.step.with_kernels(kernels), ..self }
    }

    /// One training step on the next batch; the sum of the tasks' losses.
    ///
    /// # Errors
    /// [`mtl_nn::Error::LossNotFinite`] and its like.
    pub fn step(&mut self) -> mtl_train::Result<f64> {
        let batch = &self.batches[self.optimiser.steps() as usize % N_BATCHES];
        let weights = [1.0; TASKS.len()];
        let weights = &weights[..self.step.graph().losses().len()];
        let (step, params, optimiser) = (&mut self.step, &mut self.params, &mut self.optimiser);
        let report = match &mut self.weighting {
            None => step.run(params, optimiser, batch, weights, 1)?,
            Some(weighting) => weighting.run(step, params, optimiser, batch, (weights, 1))?,
        };
        Ok(report.losses.iter().sum())
    }

    /// The prediction of every task's logit, and a batch of rows. `sharing` is for batches of
    /// [`W1::candidates`].
    pub fn predictor(&self, sharing: bool) -> Predictor<f32> {
        let targets =
            self.step.graph().losses().iter().map(|loss| logit(self.step.graph(), loss.1));
        let predictor = Predictor::of(Arc::clone(self.step.graph()), targets.collect());
        if sharing { predictor.sharing() } else { predictor }
    }

    /// The values of its parameters, packed for predictions.
    pub fn frozen(&self, kernels: Kernels) -> Frozen<f32, &Params<f32>> {
        Frozen::new(Arc::clone(self.step.graph()), &self.params, kernels)
    }

    /// The batches that the steps go round, and the names of their slots.
    pub fn batches(&self) -> (&Graph<f32>, &[Batch<f32>]) {
        (self.step.graph(), &self.batches)
    }

    /// The values of its parameters.
    pub const fn params(&self) -> &Params<f32> {
        &self.params
    }

    /// `n` rows that differ in every feature.
    pub fn rows(&self, n: usize) -> Batch<f32> {
        let mut batch = self.batches[0].clone();
        batch.rows = n;
        batch.ids.iter_mut().for_each(|ids| ids.truncate(n));
        batch.values.iter_mut().for_each(|values| values.truncate(n));
        batch
    }

    /// `n` candidates of one user: every second feature, the user's id among them, is the user's.
    pub fn candidates(&self, n: usize) -> Batch<f32> {
        let mut batch = self.rows(n);
        for ids in batch.ids.iter_mut().step_by(2) {
            let user = ids[0];
            ids.fill(user);
        }
        batch
    }

    /// Trained numbers, tables included.
    pub fn n_parameters(&self) -> usize {
        self.params.layout().n_values()
    }
}

/// Ids of each column.
pub fn cardinalities(large: [usize; 2]) -> Vec<usize> {
    let spaced = (0..28).map(|i| (10.0 * 100f64.powf(f64::from(i) / 27.0)).round() as usize);
    large.into_iter().chain(spaced).collect()
}

fn graph(name: &str, setup: &Setup) -> Result<Graph<f32>, Box<dyn Error>> {
    let mut b = GraphBuilder::new();
    let x = input(&mut b, setup.large)?;
    // A name that is not ours goes on to `architecture`, which says what it is not.
    let known = MODELS.iter().find(|model| model.0 == name);
    let (_, name, experts, chain) = *known.unwrap_or(&("", name, 4, None));
    let config = ArchitectureConfig {
        experts: Some(experts),
        dropout: Some(setup.dropout),
        ..ArchitectureConfig::default()
    };
    let chain = chain.map(|preset| preset.builder().build()).transpose()?;
    let towers = chain.as_ref().map_or(TASKS.to_vec(), BehaviourGraph::towers);
    let logits = architecture(name, &config, &towers)?.build(&mut b, &Inputs::Shared(x))?.logits;
    match chain {
        Some(chain) => add_chain(&mut b, &chain, logits)?,
        None => {
            for (task, z) in logits {
                let label = b.values(&task, 1)?;
                let loss = b.push(&format!("loss.{task}"), RowLoss::new(Bce, z, label, None))?;
                b.loss(&task, loss)?;
            }
        }
    }
    Ok(b.finish())
}

fn add_chain(
    b: &mut GraphBuilder<f32>,
    chain: &BehaviourGraph,
    logits: Vec<(String, Var)>,
) -> Result<(), Box<dyn Error>> {
    let mut labels = BTreeMap::new();
    for name in chain.labels() {
        labels.insert(name.to_owned(), b.values(name, 1)?);
    }
    chain.attach(b, &logits.into_iter().collect(), &labels, None)?;
    Ok(())
}

/// x, rows × 480.
fn input(b: &mut GraphBuilder<f32>, large: [usize; 2]) -> mtl_nn::Result<Var> {
    let mut parts = Vec::new();
    for (i, n) in cardinalities(large).into_iter().enumerate() {
        let slot = b.ids(&format!("feature_{i}"));
        let path = format!("embedding.feature_{i}.table");
        let table = b.table(path, n, DIM, Init::Uniform(0.05))?;
        parts.push(Part::Lookup { slot, table, dim: DIM });
    }
    b.push("x", Embed::new(parts))
}

/// The logit that a loss reads: the first of its inputs.
fn logit(graph: &Graph<f32>, loss: NodeId) -> Var {
    graph.nodes()[loss.index()].op().inputs()[0]
}

fn batches(graph: &Graph<f32>, setup: &Setup) -> Vec<Batch<f32>> {
    let columns = cardinalities(setup.large).into_iter().enumerate();
    let columns: Vec<_> = columns.map(|(key, n)| Zipf::new(n, 1.05, key as u64)).collect();
    (0..N_BATCHES).map(|i| batch(graph, &columns, i * setup.rows..(i + 1) * setup.rows)).collect()
}

fn batch(graph: &Graph<f32>, columns: &[Zipf], rows: Range<usize>) -> Batch<f32> {
    let mut batch = Batch::for_graph(graph);
    batch.rows = rows.len();
    for (zipf, ids) in columns.iter().zip(&mut batch.ids) {
        ids.extend(rows.clone().map(|r| zipf.draw(r)));
    }
    for (slot, labels) in graph.value_slots().iter().zip(&mut batch.values) {
        let (key, rate) = (label_key(&slot.name), rate(&slot.name));
        labels.extend(rows.clone().map(|r| f32::from(uniform(key, r) < rate)));
    }
    batch
}

/// The share of positives of a label.
fn rate(label: &str) -> f64 {
    match label {
        "click" => 0.3,
        "buy" | "purchase" => 0.02,
        _ => 0.1,
    }
}

/// What a label's draws depend on.
fn label_key(label: &str) -> u64 {
    let names = ["click", "like", "buy", "conversion", "action", "purchase"];
    100 + names.iter().position(|&name| name == label).unwrap_or_default() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_have_the_parameters_counted_by_hand_and_train() -> Result<(), Box<dyn Error>> {
        let tables = DIM * cardinalities(LARGE).iter().sum::<usize>();
        let ln_2 = 2f64.ln();
        // Tasks of unknown labels start near ln 2 each; event k of a chain at p = ½ᵏ, where a label
        // that nearly never comes costs −ln(1 − p).
        let esmm = ln_2 - (0.97 * 0.75f64.ln() + 0.03 * 0.25f64.ln());
        let cases = [
            ("shared_bottom", 119_747, 3.0 * ln_2),
            ("mmoe", 539_459, 3.0 * ln_2),
            ("ple_2", 1_591_747, 3.0 * ln_2),
            ("esmm", 2 * 69_889, esmm),
        ];
        for (name, dense, expected) in cases {
            let mut model = W1::new(name)?;
            assert_eq!(model.n_parameters(), tables + dense, "{name}");
            let first = model.step()?;
            assert!((first - expected).abs() < 0.1, "{name}: {first}");
            let last = (0..2).map(|_| model.step()).last().expect("two steps")?;
            assert!(last < first, "{name}: {first} → {last}");
        }
        Ok(())
    }

    /// Every method of the shelf, so that a new one is measured without a word said here.
    #[test]
    fn every_weighting_steps() -> Result<(), Box<dyn Error>> {
        let setup = Setup { large: [50, 40], rows: 8, ..Setup::default() };
        for method in WeightingConfig::NAMES {
            let model = W1::with("shared_bottom", &setup)?;
            let mut model = model.weighed(method, SharedParameters::LastLayer)?;
            for _ in 0..2 {
                assert!(model.step()?.is_finite(), "{method}");
            }
        }
        Ok(())
    }

    #[test]
    fn a_name_that_nobody_knows_is_an_error() -> Result<(), Box<dyn Error>> {
        assert!(W1::new("mmoe_5").is_err());
        let model = W1::with("mmoe", &Setup { large: [50, 40], rows: 2, ..Setup::default() })?;
        assert!(model.weighed("mean", SharedParameters::LastLayer).is_err());
        Ok(())
    }
}
