//! Chains inside a graph of layers: outputs, losses, and training towards known probabilities.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::common::{chain6, three_branches};
use mtl_esm::{AttachedChain, BehaviourGraph, ChainLoss, Preset, Result};
use mtl_nn::ops::{Embed, Part};
use mtl_nn::{
    Batch, Graph, GraphBuilder, Init, Optimiser, OptimiserConfig, Params, Predictor, Rule, Scalar,
    Step, TableId, kernel,
};

/// A graph whose towers are free in each of `cells` cells: one table of logits, a column a tower.
struct Model<S> {
    graph: Arc<Graph<S>>,
    chain: AttachedChain,
    table: TableId,
    towers: Vec<String>,
}

fn model<S: Scalar>(chain: &BehaviourGraph, cells: usize) -> Result<Model<S>> {
    let mut b = GraphBuilder::new();
    let towers: Vec<String> = chain.towers().into_iter().map(str::to_owned).collect();
    let table = b.table("logits", cells, towers.len(), Init::Uniform(0.05))?;
    let slot = b.ids("cell");
    let embed = Embed::new(vec![Part::Lookup { slot, table, dim: towers.len() }]);
    let logits = b.push("logits", embed)?;
    let logits: BTreeMap<_, _> =
        towers.iter().enumerate().map(|(i, t)| (t.clone(), logits.columns(i, 1))).collect();
    let mut labels = BTreeMap::new();
    for label in chain.labels() {
        labels.insert(label.to_owned(), b.values(label, 1)?);
    }
    let chain = chain.attach(&mut b, &logits, &labels, None)?;
    Ok(Model { graph: Arc::new(b.finish()), chain, table, towers })
}

impl<S: Scalar> Model<S> {
    /// Rows that behave as the graph says, with the given logits in each cell.
    fn simulate(&self, chain: &BehaviourGraph, truth: &[f64], rows: usize) -> Batch<S> {
        let mut batch = Batch::for_graph(&self.graph);
        batch.rows = rows;
        let n = self.towers.len();
        for row in 0..rows {
            let cell = row % (truth.len() / n);
            batch.ids[0].push(cell as u32);
            let logit = |tower: &str| {
                truth[cell * n + self.towers.iter().position(|t| t == tower).unwrap()]
            };
            let happened = walk(chain, row as u64, logit);
            for (slot, column) in self.graph.value_slots().iter().zip(&mut batch.values) {
                let events = chain.events().iter().zip(&happened);
                let label = events.filter(|(e, _)| e.labels.contains(&slot.name));
                column.push(S::of(f64::from(label.map(|(_, &h)| u8::from(h)).max().unwrap())));
            }
        }
        batch
    }

    fn train(&self, batch: &Batch<S>, steps: usize) -> Result<(Params<S>, Vec<Vec<f64>>)> {
        let adam: Rule = toml::from_str("kind = \"adam\"\nlr = 0.1").unwrap();
        let config = OptimiserConfig { dense: adam, ..OptimiserConfig::default() };
        let mut params = Params::init(self.graph.layout(), 1);
        let mut optimiser = Optimiser::new(config, self.graph.layout())?;
        let mut step = Step::new(Arc::clone(&self.graph))?;
        let weights: Vec<f64> = self.chain.losses.iter().map(|l| l.weight).collect();
        let mut losses = Vec::new();
        for _ in 0..steps {
            let report = step.run(&mut params, &mut optimiser, batch, &weights, 0)?;
            losses.push(report.losses.to_vec());
        }
        Ok((params, losses))
    }
}

/// Which events happen: a draw at each way out of each event that did.
fn walk(chain: &BehaviourGraph, row: u64, logit: impl Fn(&str) -> f64) -> Vec<bool> {
    let mut happened = vec![false; chain.events().len()];
    let mut open = vec![0];
    while let Some(event) = open.pop() {
        happened[event] = true;
        for (d, decision) in chain.decisions().iter().enumerate().filter(|(_, d)| d.from == event) {
            let odds =
                decision.branches.iter().map(|b| b.tower.as_deref().map_or(0.0, &logit).exp());
            let odds: Vec<f64> = odds.collect();
            let bits = kernel::hash(row, 77 + d as u64) >> 11;
            let mut draw = bits as f64 / (1u64 << 53) as f64 * odds.iter().sum::<f64>();
            let taken = odds.iter().position(|o| {
                draw -= o;
                draw < 0.0
            });
            open.extend(decision.branches[taken.unwrap_or(0)].to);
        }
    }
    happened
}

/// Logits in (low, high).
fn truth(n: usize, low: f64, high: f64) -> Vec<f64> {
    let unit = |i| (kernel::hash(5, i) >> 11) as f64 / (1u64 << 53) as f64;
    (0..n as u64).map(|i| low + (high - low) * unit(i)).collect()
}

/// Trains on simulated rows. Each cell's logits are free, so the best fit of a supervised event
/// is its frequency in the cell; and that is near the probability it was drawn with.
fn recovers(chain: &BehaviourGraph, low: f64, high: f64) -> Result<()> {
    const CELLS: usize = 4;
    const ROWS: usize = 4 * 600;
    let model = model::<f32>(chain, CELLS)?;
    let truth = truth(CELLS * model.towers.len(), low, high);
    let batch = model.simulate(chain, &truth, ROWS);
    let (params, losses) = model.train(&batch, 400)?;
    // A loss with a propensity in it is no objective: κ grows as ô falls.
    let supervised = |named: &(&f64, &ChainLoss)| chain.find(&named.1.name).is_some();
    let of = |values: &[f64]| -> Vec<f64> {
        values.iter().zip(&model.chain.losses).filter(supervised).map(|(&l, _)| l).collect()
    };
    let (first, last) = (of(&losses[0]), of(losses.last().unwrap()));
    assert!(
        !first.is_empty() && first.iter().zip(&last).all(|(f, l)| l < f),
        "{first:?} → {last:?}"
    );

    let mut cells = Batch::for_graph(&model.graph);
    cells.rows = CELLS;
    cells.ids[0] = (0..CELLS as u32).collect();
    for (name, attached) in &model.chain.events {
        let event = chain.find(name).unwrap();
        let Some(label) = chain.events()[event].labels.first() else { continue };
        let mut predictor = Predictor::of(Arc::clone(&model.graph), vec![attached.probability]);
        let predicted = predictor.predict(&params, &cells)?;
        let slot = model.graph.value_slots().iter().position(|s| &s.name == label).unwrap();
        let program = chain.program(name, chain.root())?;
        for cell in 0..CELLS {
            let p = f64::from(predicted[[cell, 0]]);
            let labels = batch.values[slot].iter().skip(cell).step_by(CELLS);
            let n = (ROWS / CELLS) as f64;
            let frequency = labels.map(|&y| f64::from(y)).sum::<f64>() / n;
            let logit = |t: &String| {
                truth[cell * model.towers.len() + model.towers.iter().position(|u| u == t).unwrap()]
            };
            let z: Vec<f64> = program.towers().iter().map(logit).collect();
            let known = program.evaluate(&z).0.exp();
            let what = format!("{name} in cell {cell}");
            assert!((p - frequency).abs() < 3e-3, "{what}: {p}, frequency {frequency}");
            let deviation = (known * (1.0 - known) / n).sqrt();
            assert!((p - known).abs() < 4.0 * deviation + 3e-3, "{what}: {p}, drawn with {known}");
        }
    }
    Ok(())
}

#[test]
fn a_chain_of_six_stages_recovers_its_probabilities() -> Result<()> {
    recovers(&chain6()?, 0.5, 2.0)
}

#[test]
fn three_merging_branches_recover_their_probabilities() -> Result<()> {
    recovers(&three_branches()?, -1.0, 1.0)
}

#[test]
fn esm2_recovers_its_probabilities() -> Result<()> {
    recovers(&Preset::Esm2.builder().build()?, -1.0, 1.0)
}

/// The losses of ESCM² are about the same probabilities as ESMM's, so where every cell is free they
/// must not move them: not the propensities, and not the error that is imputed.
#[test]
fn counterfactual_losses_recover_their_probabilities() -> Result<()> {
    recovers(&Preset::Escm2Ips.builder().build()?, -2.0, 0.0)?;
    recovers(&Preset::Escm2Dr.builder().build()?, -2.0, 0.0)
}

#[test]
fn outputs_are_named_and_agree() -> Result<()> {
    let esm2 = Preset::Esm2.builder().build()?;
    let model = model::<f64>(&esm2, 1)?;
    let outputs: Vec<_> = model.graph.outputs().iter().map(|(name, _)| name.as_str()).collect();
    let expected = ["pCTAVR", "pCTCVR", "pCTR", "pCVR", "p_other_action", "y2", "y3", "y4"];
    assert_eq!(outputs, expected);
    let losses: Vec<_> = model.graph.losses().iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(losses, ["action", "click", "purchase"]);

    let mut params = Params::<f64>::init(model.graph.layout(), 3);
    params.table_mut(model.table).copy_from_slice(&[0.4, -1.2, 2.0, 0.3]);
    let mut batch = Batch::for_graph(&model.graph);
    (batch.rows, batch.ids[0]) = (1, vec![0]);
    let p = Predictor::new(Arc::clone(&model.graph)).predict(&params, &batch)?;
    let [y1, y2, y3, y4] = [0.4, -1.2, 2.0, 0.3].map(mtl_nn::ops::sigmoid::<f64>);
    let by_hand = y2 * y3 + (1.0 - y2) * y4;
    let expected = [y1 * y2, y1 * by_hand, y1, by_hand, y1 * (1.0 - y2), y2, y3, y4];
    for (name, (found, expected)) in outputs.iter().zip(p.iter().zip(expected)) {
        assert!((found - expected).abs() < 1e-14, "{name}: {found}, by hand {expected}");
    }
    Ok(())
}

#[test]
fn losses_multiply_labels_and_skip_missing_ones() -> Result<()> {
    let esmm = Preset::Esmm.builder().build()?;
    let model = model::<f64>(&esmm, 1)?;
    let mut params = Params::<f64>::init(model.graph.layout(), 3);
    params.table_mut(model.table).copy_from_slice(&[0.0, 0.0]); // pCTR = ½, pCTCVR = ¼
    let mut batch = Batch::for_graph(&model.graph);
    batch.rows = 4;
    batch.ids[0] = vec![0; 4];
    let nan = f64::NAN;
    // Slots stand in the order of label names: click, conversion.
    batch.values = vec![vec![1.0, 0.0, nan, 1.0], vec![1.0, 1.0, 1.0, nan]];
    let mut optimiser = Optimiser::new(OptimiserConfig::default(), model.graph.layout())?;
    let mut step = Step::new(Arc::clone(&model.graph))?;
    let report = step.run(&mut params, &mut optimiser, &batch, &[1.0, 1.0], 0)?;
    // Conversions: 1·1, 0·1 = 0, missing·1 = missing, 1·missing = missing.
    assert_eq!(report.total_weights, [3.0, 2.0]);
    let (ln2, ln4, ln_rest) = (2f64.ln(), 4f64.ln(), (4.0f64 / 3.0).ln());
    assert!((report.losses[0] - ln2).abs() < 1e-15);
    assert!((report.losses[1] - (ln4 + ln_rest) / 2.0).abs() < 1e-15);
    Ok(())
}

#[test]
fn baselines_have_the_losses_of_their_formulas() -> Result<()> {
    // pCTR = 0.2, pCVR = 0.7; two clicks, one of them converts.
    let (ctr, cvr) = ((0.2f64 / 0.8).ln(), (0.7f64 / 0.3).ln());
    let (hit, miss) = (-0.7f64.ln(), -0.3f64.ln());
    let imputed = std::f64::consts::LN_2; // softplus(0)
    let dr = |delta: f64| imputed + 5.0 * ((delta - imputed) + (delta - imputed).powi(2));
    for (preset, expected) in [
        (Preset::NaiveCvr, (hit + miss) / 2.0),
        (Preset::AllRowsCvr, (hit + 4.0 * miss) / 5.0),
        (Preset::Escm2Ips, (5.0 * hit + 5.0 * miss) / 5.0),
        (Preset::Escm2Dr, (dr(hit) + dr(miss) + 3.0 * imputed) / 5.0),
    ] {
        let model = model::<f64>(&preset.builder().build()?, 1)?;
        let mut params = Params::<f64>::init(model.graph.layout(), 3);
        let logits = [ctr, cvr, 0.0];
        params.table_mut(model.table).copy_from_slice(&logits[..model.towers.len()]);
        let mut batch = Batch::for_graph(&model.graph);
        batch.rows = 5;
        batch.ids[0] = vec![0; 5];
        // Unclicked rows need no conversion label to be counted, where it is not looked at.
        let unseen = if preset == Preset::AllRowsCvr { 0.0 } else { f64::NAN };
        batch.values = vec![vec![1.0, 1.0, 0.0, 0.0, 0.0], vec![1.0, 0.0, unseen, unseen, unseen]];
        let mut optimiser = Optimiser::new(OptimiserConfig::default(), model.graph.layout())?;
        let mut step = Step::new(Arc::clone(&model.graph))?;
        let weights = vec![1.0; model.chain.losses.len()];
        let report = step.run(&mut params, &mut optimiser, &batch, &weights, 0)?;
        let at = model.chain.losses.iter().position(|l| l.name == "pCVR").unwrap();
        let found = report.losses[at];
        assert!((found - expected).abs() < 1e-13, "{preset:?}: {found}, by hand {expected}");
    }
    Ok(())
}

#[test]
fn huge_logits_train_in_f32() -> Result<()> {
    for preset in [Preset::Esmm, Preset::Esm2] {
        let chain = preset.builder().build()?;
        for size in [80.0f32, 1e4, -80.0, -1e4] {
            let model = model::<f32>(&chain, 2)?;
            let batch = model.simulate(&chain, &truth(2 * model.towers.len(), -1.0, 1.0), 300);
            let mut params = Params::<f32>::init(model.graph.layout(), 3);
            params.table_mut(model.table).fill(size);
            let mut optimiser = Optimiser::new(OptimiserConfig::default(), model.graph.layout())?;
            let mut step = Step::new(Arc::clone(&model.graph))?;
            let weights = vec![1.0; model.chain.losses.len()];
            let report = step.run(&mut params, &mut optimiser, &batch, &weights, 0)?;
            assert!(report.losses.iter().all(|l| l.is_finite()) && report.gradient_norm > 0.0);
            assert!(report.gradient_norm.is_finite());
        }
    }
    Ok(())
}

#[test]
fn what_is_missing_when_a_chain_is_attached_is_named() -> Result<()> {
    let chain = Preset::Esmm.builder().build()?;
    let mut b = GraphBuilder::<f32>::new();
    let (x, two) = (b.values("x", 1)?, b.values("two", 2)?);
    let (x, two) = (b.read(x)?, b.read(two)?);
    let mut logits = BTreeMap::from([("ctr".to_owned(), x)]);
    let labels = BTreeMap::new();
    let message = chain.attach(&mut b, &logits, &labels, None).unwrap_err().to_string();
    assert!(message.contains("the chain needs the logit `cvr`"), "{message}");
    logits.insert("cvr".to_owned(), two);
    let message = chain.attach(&mut b, &logits, &labels, None).unwrap_err().to_string();
    assert!(message.contains("the logit `cvr` has 2 columns, expected 1"), "{message}");
    logits.insert("cvr".to_owned(), x);
    let message = chain.attach(&mut b, &logits, &labels, None).unwrap_err().to_string();
    assert!(message.contains("the event `click` needs the label `click`"), "{message}");
    Ok(())
}
