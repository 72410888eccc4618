//! A small model of any architecture, with its data: the fixture of the suite.

use std::sync::Arc;

use mtl_arch::{ArchitectureConfig, Built, InputKind, Inputs, NAMES, Preset, architecture};
use mtl_nn::ops::{Bce, Domains, Embed, Part, RowLoss};
use mtl_nn::{
    Batch, Graph, GraphBuilder, Init, Optimiser, OptimiserConfig, Params, Predictor, Scalar, Step,
    Var,
};

pub(crate) type Failure = Box<dyn std::error::Error>;

pub(crate) const PRESETS: [Preset; 2] = [Preset::Tutorial, Preset::Paper];

const IDS: usize = 50;
const DIM: usize = 4;
const N_VALUES: usize = 3;
/// Domains, the unseen one included.
pub(crate) const DOMAINS: usize = 5;

/// Runs `check` for every architecture and preset; its message names both.
pub(crate) fn every(check: impl Fn(&str, Preset) -> Result<(), Failure>) {
    for name in NAMES {
        for preset in PRESETS {
            if let Err(error) = check(name, preset) {
                panic!("{name}, {preset:?}: {error}");
            }
        }
    }
}

/// Widths of a few units, so that a suite over everything takes seconds.
pub(crate) fn small(preset: Preset) -> ArchitectureConfig {
    ArchitectureConfig {
        preset,
        bottom_units: Some(vec![6, 4]),
        expert_units: Some(vec![6, 4]),
        shared_expert_units: Some(vec![5, 4]),
        gate_units: Some(vec![5]),
        shared_gate_units: Some(vec![3]),
        tower_units: Some(vec![5]),
        experts: Some(3),
        dropout: Some(0.1),
        ..ArchitectureConfig::default()
    }
}

/// A graph over an embedding and three numbers, with a loss and an output for each task.
pub(crate) struct Model<S> {
    pub(crate) graph: Arc<Graph<S>>,
    pub(crate) built: Built,
}

impl<S: Scalar> Model<S> {
    pub(crate) fn new(
        name: &str,
        config: &ArchitectureConfig,
        tasks: &[&str],
    ) -> Result<Self, Failure> {
        let mut b = GraphBuilder::new();
        let arch = architecture::<S>(name, &sequenced(config, tasks), tasks)?;
        let inputs = match arch.input_kind() {
            InputKind::Shared => Inputs::Shared(input(&mut b, "")?),
            InputKind::Domain => {
                let domains = Domains { slot: b.ids("domain"), n: DOMAINS };
                Inputs::Domain { x: input(&mut b, "")?, domains }
            }
            InputKind::PerTask => {
                let mut tasks = tasks.to_vec();
                tasks.sort_unstable();
                let inputs = tasks.iter().map(|t| input(&mut b, &format!("task.{t}.")));
                Inputs::PerTask(inputs.collect::<Result<_, _>>()?)
            }
        };
        let built = arch.build(&mut b, &inputs)?;
        for (task, z) in &built.logits {
            let label = b.values(&format!("label.{task}"), 1)?;
            let mut loss = RowLoss::new(Bce, *z, label, None);
            if let Some(penalty) = built.penalty(task) {
                loss = loss.plus(penalty.rows);
            }
            let loss = b.push(&format!("loss.{task}"), loss)?;
            b.loss(task, loss)?;
            b.output(task, *z)?;
        }
        Ok(Self { graph: Arc::new(b.finish()), built })
    }

    pub(crate) fn params(&self) -> Params<S> {
        Params::init(self.graph.layout(), 5)
    }

    /// Rows of ids, numbers and labels that are functions of the slot's name and the row.
    pub(crate) fn batch(&self, rows: usize) -> Batch<S> {
        let mut batch = Batch::for_graph(&self.graph);
        batch.rows = rows;
        for (slot, ids) in self.graph.id_slots().iter().zip(&mut batch.ids) {
            let n = if slot.name == "domain" { DOMAINS } else { IDS };
            ids.extend((0..rows).map(|r| (bits(&slot.name, r) % n as u64) as u32));
        }
        for (slot, values) in self.graph.value_slots().iter().zip(&mut batch.values) {
            let value = |i| bits(&slot.name, i) as f64 / u64::MAX as f64;
            let label = slot.name.starts_with("label");
            let of = |v: f64| if label { f64::from(v < 0.3) } else { 2.0 * v - 1.0 };
            values.extend((0..rows * slot.n_cols).map(|i| S::of(of(value(i)))));
        }
        batch
    }

    /// The parameters after some steps of Adam from the initial values.
    pub(crate) fn trained(&self, rows: usize, steps: usize) -> Result<Params<S>, Failure> {
        let (mut params, batch) = (self.params(), self.batch(rows));
        let mut step = Step::new(Arc::clone(&self.graph))?;
        let mut optimiser = Optimiser::new(OptimiserConfig::default(), self.graph.layout())?;
        let weights = vec![1.0; self.graph.losses().len()];
        for _ in 0..steps {
            step.run(&mut params, &mut optimiser, &batch, &weights, 9)?;
        }
        Ok(params)
    }

    /// The logits (rows × tasks, sorted by name), row-major.
    pub(crate) fn logits(&self, params: &Params<S>, rows: usize) -> Result<Vec<S>, Failure> {
        self.values(self.graph.outputs().iter().map(|o| o.1).collect(), params, rows)
    }

    /// Any values of the graph, row-major.
    pub(crate) fn values(
        &self,
        vars: Vec<Var>,
        params: &Params<S>,
        rows: usize,
    ) -> Result<Vec<S>, Failure> {
        let mut predictor = Predictor::of(Arc::clone(&self.graph), vars);
        Ok(predictor.predict(params, &self.batch(rows))?.into_iter().collect())
    }
}

/// The settings with a sequence, which AITM needs: that of the names if there is none.
pub(crate) fn sequenced(config: &ArchitectureConfig, tasks: &[&str]) -> ArchitectureConfig {
    let mut sorted: Vec<String> = tasks.iter().map(|&task| task.to_owned()).collect();
    sorted.sort();
    ArchitectureConfig { sequence: config.sequence.clone().or(Some(sorted)), ..config.clone() }
}

/// x: an embedding and the numbers, rows × 7.
fn input<S: Scalar>(b: &mut GraphBuilder<S>, prefix: &str) -> Result<Var, Failure> {
    let (slot, numbers) = (b.ids("id"), b.values("numbers", N_VALUES)?);
    let path = format!("{prefix}embedding.id.table");
    let table = b.table(path, IDS, DIM, Init::Uniform(0.5))?;
    let parts = vec![
        Part::Lookup { slot, table, dim: DIM },
        Part::Values { slot: numbers, n_cols: N_VALUES },
    ];
    Ok(b.push(&format!("{prefix}x"), Embed::new(parts))?)
}

fn bits(name: &str, row: usize) -> u64 {
    let key = name.bytes().fold(7, |key, byte| mtl_nn::kernel::hash(key, u64::from(byte)));
    mtl_nn::kernel::hash(key, row as u64)
}

/// Every parameter by path as bits, and nothing about where it is stored.
pub(crate) fn bits_by_path<S: Scalar>(
    params: &Params<S>,
) -> Result<Vec<(String, Vec<u64>)>, Failure> {
    let mut paths: Vec<String> = params.layout().paths().map(str::to_owned).collect();
    paths.sort();
    let bits = |path: String| {
        let values = params.get(&path)?;
        Ok((path, values.iter().map(|v| v.f64().to_bits()).collect()))
    };
    paths.into_iter().map(bits).collect()
}
