//! What a training step and a prediction promise.

use std::sync::Arc;

use crate::common::{ITEMS, Settings, batch, bits, model};
use mtl_nn::checkpoint::SavedOptimiser;
use mtl_nn::layers::{Activation, Mlp};
use mtl_nn::ops::{Bce, Embed, Part, RowLoss, SquaredError};
use mtl_nn::{
    Batch, Error, Graph, GraphBuilder, Init, Optimiser, OptimiserConfig, Params, Predictor, Result,
    Role, Scalar, Step, shard_rows,
};

const PLAIN: Settings = Settings { dropout: 0.0, norm: false };

struct Run<S> {
    graph: Arc<Graph<S>>,
    params: Params<S>,
    optimiser: Optimiser<S>,
    step: Step<S>,
}

impl<S: Scalar> Run<S> {
    fn new(graph: Arc<Graph<S>>) -> Result<Self> {
        Ok(Self {
            params: Params::init(graph.layout(), 4),
            optimiser: Optimiser::new(OptimiserConfig::default(), graph.layout())?,
            step: Step::new(Arc::clone(&graph))?,
            graph,
        })
    }

    /// One step; the losses.
    fn run(&mut self, batch: &Batch<S>, weights: &[f64]) -> Result<Vec<f64>> {
        let report = self.step.run(&mut self.params, &mut self.optimiser, batch, weights, 1)?;
        Ok(report.losses.to_vec())
    }

    /// The error of a step that must leave everything as it was.
    fn refused(&mut self, batch: &Batch<S>, weights: &[f64]) -> Error {
        let before = (bits(&self.params), self.state());
        let error = self.run(batch, weights).expect_err("a step that is refused");
        assert_eq!(before, (bits(&self.params), self.state()), "nothing was updated");
        error
    }

    fn state(&self) -> SavedOptimiser {
        SavedOptimiser::of(&self.optimiser, self.graph.layout())
    }

    fn slot(&self, name: &str) -> usize {
        self.graph.value_slots().iter().position(|s| s.name == name).expect("a slot")
    }
}

// --- labels and losses ------------------------------------------------------------------------

#[test]
fn a_missing_label_trains_nothing_and_counts_nowhere() -> Result<()> {
    let graph = model::<f64>(PLAIN)?;
    let (mut all, mut some) = (Run::new(Arc::clone(&graph))?, Run::new(Arc::clone(&graph))?);
    let whole = batch(&graph, 40, 3);
    // The same rows, followed by rows without any label.
    let mut longer = batch(&graph, 300, 3);
    for (slot, spec) in graph.value_slots().iter().enumerate() {
        let n = 40 * spec.n_cols;
        longer.values[slot][..n].copy_from_slice(&whole.values[slot]);
        if spec.name.starts_with("label") {
            longer.values[slot][n..].fill(f64::NAN);
        }
    }
    for (ids, longer) in whole.ids.iter().zip(&mut longer.ids) {
        longer[..40].copy_from_slice(ids);
    }
    let losses = (all.run(&whole, &[1.0, 1.0])?, some.run(&longer, &[1.0, 1.0])?);
    for (a, b) in losses.0.iter().zip(&losses.1) {
        assert!((a - b).abs() < 1e-14, "{a} {b}");
    }
    for path in graph.layout().paths() {
        let (a, b) = (all.params.get(path)?, some.params.get(path)?);
        // Adam divides a gradient by its own size, so compare what it was given.
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-9), "{path}");
    }
    Ok(())
}

#[test]
fn a_task_without_any_label_has_loss_zero_and_no_gradient() -> Result<()> {
    let graph = model::<f64>(PLAIN)?;
    let mut run = Run::new(Arc::clone(&graph))?;
    let mut batch = batch(&graph, 30, 3);
    batch.values[run.slot("label.stay")].fill(f64::NAN);
    let before = run.params.clone();
    let losses = run.run(&batch, &[1.0, 1.0])?;
    assert!(losses[0] > 0.0 && losses[1] == 0.0, "{losses:?}");
    for path in graph.layout().paths().filter(|p| p.starts_with("task.stay.")) {
        assert_eq!(run.params.get(path)?, before.get(path)?, "{path}");
    }
    assert_ne!(
        run.params.get("task.click.tower.0.weight")?,
        before.get("task.click.tower.0.weight")?
    );
    Ok(())
}

#[test]
fn a_loss_that_is_not_finite_names_its_rows_and_updates_nothing() -> Result<()> {
    let mut run = Run::new(model::<f32>(PLAIN)?)?;
    let mut batch = batch(&run.graph, 700, 3);
    run.run(&batch, &[1.0, 1.0])?;
    batch.values[run.slot("price")][2 * 600] = f32::NAN;
    let error = run.refused(&batch, &[1.0, 1.0]);
    let expected = "step 2: the loss `click` is NaN in batch rows 350..700";
    assert_eq!(error.to_string(), expected);
    Ok(())
}

#[test]
fn a_gradient_that_is_not_finite_names_its_parameter_and_updates_nothing() -> Result<()> {
    let mut b = GraphBuilder::<f32>::new();
    let (x, label) = (b.values("x", 1)?, b.values("label", 1)?);
    let x = b.read(x)?;
    let z = Mlp::new(&[1], Activation::Linear).build(&mut b, "tower", x)?;
    let loss = b.push("loss", RowLoss::new(SquaredError, z, label, None))?;
    b.loss("loss", loss)?;
    let mut run = Run::new(Arc::new(b.finish()))?;
    run.params.set("tower.0.weight", (1, 1), &[1e-15])?;
    // z = 1e15 and the loss 1e30 are finite; ∂L/∂w = 2·1e15·1e30 is not.
    let batch = Batch { rows: 1, ids: vec![], lists: vec![], values: vec![vec![1e30], vec![0.0]] };
    let error = run.refused(&batch, &[1.0]);
    let expected =
        "step 1: the gradient of `tower.0.weight` is not finite; no parameter was updated";
    assert_eq!(error.to_string(), expected);
    Ok(())
}

#[test]
fn an_infinite_gradient_of_a_table_is_named_too() -> Result<()> {
    let mut b = GraphBuilder::<f32>::new();
    let (id, label, weight) = (b.ids("id"), b.values("label", 1)?, b.values("weight", 1)?);
    let table = b.table("embedding.id.table", 3, 1, Init::Constant(0.0))?;
    let x = b.push("x", Embed::new(vec![Part::Lookup { slot: id, table, dim: 1 }]))?;
    let loss = b.push("loss", RowLoss::new(SquaredError, x, label, Some(weight)))?;
    b.loss("loss", loss)?;
    let mut run = Run::new(Arc::new(b.finish()))?;
    run.params.set("embedding.id.table", (3, 1), &[1e-8, 1e-8, 1e-8])?;
    let batch =
        Batch { rows: 1, ids: vec![vec![1]], lists: vec![], values: vec![vec![0.0], vec![1.0]] };
    // The weight of the loss overflows f32: the loss is finite, its gradient is not.
    let error = run.refused(&batch, &[f64::from(f32::MAX) * 1e9]);
    assert!(error.to_string().contains("`embedding.id.table`"), "{error}");
    Ok(())
}

// --- prediction -------------------------------------------------------------------------------

#[test]
fn prediction_is_the_forward_pass_of_training() -> Result<()> {
    let graph = model::<f32>(PLAIN)?;
    let mut run = Run::new(Arc::clone(&graph))?;
    let losses: Vec<_> = graph.losses().iter().map(|(_, node)| *node).collect();
    let vars = losses.iter().map(|n| graph.var(*n)).collect();
    let mut predictor = Predictor::of(Arc::clone(&graph), vars);
    for rows in [0, 1, 257] {
        let batch = batch(&graph, rows, 8);
        let values = predictor.predict(&run.params, &batch)?;
        assert_eq!(values.dim(), (rows, 2));
        let found = run.run(&batch, &[1.0, 1.0])?;
        for (i, node) in losses.iter().enumerate() {
            // As the step adds: row after row in f64 within a shard, then shard after shard.
            let column: Vec<f64> = values.column(i).iter().map(|&v| f64::from(v)).collect();
            let shards = column.chunks(shard_rows(rows)).map(|shard| shard.iter().sum::<f64>());
            let total = graph.nodes()[node.index()].op().total_weight(&batch).expect("a loss");
            let mean = if total > 0.0 { shards.sum::<f64>() / total } else { 0.0 };
            assert_eq!(mean.to_bits(), found[i].to_bits(), "{rows} rows, loss {i}");
        }
    }
    Ok(())
}

#[test]
fn a_row_is_predicted_alike_in_any_batch() -> Result<()> {
    let graph = model::<f32>(Settings { dropout: 0.3, norm: true })?;
    let mut run = Run::new(Arc::clone(&graph))?;
    run.run(&batch(&graph, 300, 1), &[1.0, 1.0])?;
    let mut predictor = Predictor::new(Arc::clone(&graph));
    let many = batch(&graph, 600, 2);
    let together = predictor.predict(&run.params, &many)?;
    for row in [0, 255, 256, 599] {
        let one = Batch {
            rows: 1,
            ids: many.ids.iter().map(|ids| vec![ids[row]]).collect(),
            lists: many.lists.iter().map(|lists| [lists.row(row)].into_iter().collect()).collect(),
            values: graph
                .value_slots()
                .iter()
                .zip(&many.values)
                .map(|(s, v)| v[row * s.n_cols..(row + 1) * s.n_cols].to_vec())
                .collect(),
        };
        let alone = predictor.predict(&run.params, &one)?;
        for (a, b) in alone.row(0).iter().zip(together.row(row)) {
            // Products of one row and of many add in another order.
            assert!((a - b).abs() <= 1e-6 * (1.0 + b.abs()), "row {row}: {a} {b}");
        }
    }
    Ok(())
}

#[test]
fn an_empty_batch_leaves_a_fresh_model_as_it_is() -> Result<()> {
    let mut run = Run::new(model::<f32>(Settings { dropout: 0.1, norm: true })?)?;
    let before = bits(&run.params);
    let losses = run.run(&batch(&run.graph, 0, 0), &[1.0, 1.0])?;
    assert_eq!((losses, bits(&run.params)), (vec![0.0, 0.0], before));
    run.run(&batch(&run.graph, 5, 0), &[1.0, 1.0])?;
    Ok(())
}

/// What was known of the rows of the batch before was taken for what is known of none.
#[test]
fn an_empty_batch_may_come_after_one_whose_ids_repeat() -> Result<()> {
    let mut b = GraphBuilder::<f32>::new();
    let slot = b.ids("user");
    let table = b.table("embedding.user.table", 3, 4, Init::Uniform(0.5))?;
    let x = b.push("x", Embed::new(vec![Part::Lookup { slot, table, dim: 4 }]))?;
    let z = Mlp::new(&[40, 1], Activation::Relu).build(&mut b, "tower", x)?;
    let label = b.values("label", 1)?;
    let loss = b.push("loss", RowLoss::new(Bce, z, label, None))?;
    b.loss("click", loss)?;
    let graph = Arc::new(b.finish());
    let mut params = Params::init(graph.layout(), 1);
    let mut optimiser = Optimiser::new(OptimiserConfig::default(), graph.layout())?;
    let mut step = Step::new(Arc::clone(&graph))?;
    for rows in [200, 0, 200] {
        let mut batch = Batch::for_graph(&graph);
        batch.rows = rows;
        batch.ids[0] = (0..rows as u32).map(|row| row % 3).collect();
        batch.values[0] = (0..rows).map(|row| f32::from(row % 2 == 0)).collect();
        step.run(&mut params, &mut optimiser, &batch, &[1.0], 1)?;
        assert_eq!(step.table_gradient(table).ids().len(), rows.min(3));
    }
    Ok(())
}

// --- tables -----------------------------------------------------------------------------------

#[test]
fn rows_outside_the_batch_keep_value_and_moments() -> Result<()> {
    let mut run = Run::new(model::<f32>(PLAIN)?)?;
    run.run(&batch(&run.graph, 200, 1), &[1.0, 1.0])?;
    let (before, moments) = (run.params.clone(), run.state());
    let mut few = batch(&run.graph, 6, 2);
    few.ids[0] = vec![3, 3, 7, 3, 7, 3];
    run.run(&few, &[1.0, 1.0])?;
    let (path, dim) = ("embedding.user.table", 4);
    let now = run.state();
    let rows = |saved: &SavedOptimiser| {
        let moment = |entries: &[mtl_nn::checkpoint::SavedEntry]| {
            let entry = entries.iter().find(|e| e.path == path).expect("the table's moments");
            match &entry.values {
                mtl_nn::checkpoint::Values::F32(v) => v.chunks(dim).map(<[f32]>::to_vec).collect(),
                mtl_nn::checkpoint::Values::F64(_) => Vec::new(),
            }
        };
        let (first, second): (Vec<_>, Vec<_>) = (moment(&saved.first), moment(&saved.second));
        first.into_iter().zip(second).collect::<Vec<(Vec<f32>, Vec<f32>)>>()
    };
    for (id, (was, is)) in rows(&moments).iter().zip(&rows(&now)).enumerate() {
        let touched = [3, 7].contains(&id);
        assert_eq!(was != is, touched, "moments of row {id}");
        let value = |p: &Params<f32>| p.get(path).map(|t| t.row(id).to_vec());
        assert_eq!(value(&before)? != value(&run.params)?, touched, "value of row {id}");
    }
    Ok(())
}

// --- batches that do not fit ------------------------------------------------------------------

#[test]
fn a_batch_that_does_not_fit_is_named() -> Result<()> {
    let mut run = Run::new(model::<f32>(PLAIN)?)?;
    let good = batch(&run.graph, 10, 1);
    let mut message = |edit: &dyn Fn(&mut Batch<f32>)| {
        let mut batch = good.clone();
        edit(&mut batch);
        let error = run.refused(&batch, &[1.0, 1.0]).to_string();
        let predicted = Predictor::new(Arc::clone(&run.graph)).predict(&run.params, &batch);
        (error, predicted.err().map(|e| e.to_string()))
    };
    let bad = message(&|b| b.ids[2][4] = ITEMS as u32);
    let expected =
        "batch: `last_item` row 4 has id 30, but table `embedding.item.table` has 30 rows";
    assert_eq!(bad, (expected.to_owned(), Some(expected.to_owned())));
    let bad = message(&|b| b.ids[0].truncate(9));
    assert_eq!(bad.0, "batch: `user` has 9 values, expected 10 (10 rows)");
    assert_eq!(bad.1.as_deref(), Some(bad.0.as_str()));
    let bad = message(&|b| b.values[0].truncate(19));
    assert_eq!(bad.0, "batch: `price` has 19 values, expected 20 (10 rows)");
    // Prediction asks for no labels.
    let bad = message(&|b| b.values.truncate(1));
    let no_labels = "batch: `weight` has 0 values, expected 10 (10 rows)";
    assert_eq!(bad, (no_labels.to_owned(), None));
    Ok(())
}

// --- initial values ---------------------------------------------------------------------------

#[test]
fn initial_values_depend_on_seed_and_path_alone() -> Result<()> {
    let build = |paths: &[&str]| {
        let mut b = GraphBuilder::<f64>::new();
        for path in paths {
            b.param(*path, (3, 4), Role::Weight, Init::GlorotUniform)?;
            b.table(format!("{path}.table"), 5, 2, Init::Normal(1.0))?;
        }
        Ok::<_, Error>(b.finish())
    };
    let (two, three) = (build(&["a", "b"])?, build(&["c", "b", "a"])?);
    let init = |graph: &Graph<f64>, seed| Params::init(graph.layout(), seed);
    for path in ["a", "b", "a.table", "b.table"] {
        assert_eq!(init(&two, 1).get(path)?, init(&three, 1).get(path)?, "{path}");
        assert_ne!(init(&two, 1).get(path)?, init(&two, 2).get(path)?, "{path} by seed");
    }
    assert_ne!(init(&two, 1).get("a")?, init(&two, 1).get("b")?, "by path");
    let bound = (6.0f64 / 7.0).sqrt();
    assert!(init(&two, 1).get("a")?.iter().all(|v: &f64| v.abs() < bound));
    // The two floats start alike.
    let narrow: Params<f32> = init(&two, 1).cast();
    let mut b = GraphBuilder::<f32>::new();
    b.param("a", (3, 4), Role::Weight, Init::GlorotUniform)?;
    assert_eq!(Params::<f32>::init(b.finish().layout(), 1).get("a")?, narrow.get("a")?);
    Ok(())
}
