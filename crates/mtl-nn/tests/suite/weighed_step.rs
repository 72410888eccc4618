//! Steps whose weights depend on each loss's gradient, against gradients taken one by one.

use std::sync::Arc;

use mtl_nn::layers::{Activation, Mlp, Stack, build_stacks};
use mtl_nn::ops::{Bce, Embed, Part, RowLoss};
use mtl_nn::{
    Batch, Entry, Graph, GraphBuilder, Init, LossWeights, Optimiser, OptimiserConfig, Ownership,
    Params, Result, Rule, Seen, Shared, Step, Weigh,
};

const TASKS: [&str; 3] = ["a", "b", "c"];
const ROWS: usize = 600;

/// A shared table and bottom, a tower a task, and a table that only task `b` reads.
fn graph() -> Result<Arc<Graph<f64>>> {
    let mut b = GraphBuilder::new();
    let item = b.ids("item");
    let table = b.table("embedding.item.table", 40, 3, Init::Uniform(0.5))?;
    let own = b.table("embedding.own.table", 40, 2, Init::Uniform(0.5))?;
    let price = b.values("price", 2)?;
    let x = b.push(
        "x",
        Embed::new(vec![
            Part::Lookup { slot: item, table, dim: 3 },
            Part::Values { slot: price, n_cols: 2 },
        ]),
    )?;
    let extra =
        b.push("extra", Embed::new(vec![Part::Lookup { slot: item, table: own, dim: 2 }]))?;
    let h = Mlp::new(&[6, 4], Activation::Tanh).build(&mut b, "bottom", x)?;
    let tower = |task: &str, input| Stack {
        path: format!("task.{task}.tower"),
        input,
        layers: Mlp::new(&[3, 1], Activation::Tanh).layers(),
    };
    let mut stacks: Vec<_> = TASKS.iter().map(|task| tower(task, h)).collect();
    stacks.push(tower("own", extra));
    let logits = build_stacks(&mut b, "towers", stacks)?;
    let weight = b.values("weight", 1)?;
    for (i, task) in TASKS.iter().enumerate() {
        let label = b.values(&format!("label.{task}"), 1)?;
        let loss = RowLoss::new(Bce, logits[i], label, Some(weight));
        let loss = b.push(&format!("loss.{task}"), loss)?;
        b.loss(task, loss)?;
    }
    // Another loss over a network of its own, so that a table is owned.
    let label = b.values("label.b", 1)?;
    let loss = b.push("loss.d", RowLoss::new(Bce, logits[3], label, Some(weight)))?;
    b.loss("d", loss)?;
    Ok(Arc::new(b.finish()))
}

fn batch(graph: &Graph<f64>, without: Option<&str>) -> Batch<f64> {
    let value = |i: usize, key: usize| ((i * 31 + key * 17) as f64 * 0.377).sin();
    let mut batch = Batch::for_graph(graph);
    batch.rows = ROWS;
    batch.ids[0] = (0..ROWS).map(|i| (i * i % 37) as u32).collect();
    for (key, spec) in graph.value_slots().iter().enumerate() {
        let values = (0..ROWS * spec.n_cols).map(|i| value(i, key));
        batch.values[key] = match spec.name.strip_prefix("label.") {
            Some(task) if Some(task) == without => vec![f64::NAN; ROWS],
            Some(_) => {
                values.map(|v| if v > 0.8 { f64::NAN } else { f64::from(v > 0.0) }).collect()
            }
            None if spec.name == "weight" => values.map(f64::abs).collect(),
            None => values.collect(),
        };
    }
    batch
}

/// Answers with fixed weights and keeps the Gram matrix it saw.
#[derive(Default)]
struct Fixed {
    shared: Vec<f64>,
    own: Vec<f64>,
    gram: Vec<f64>,
    present: Vec<bool>,
    losses: Vec<f64>,
}

impl Weigh for Fixed {
    fn weigh(
        &mut self,
        seen: &Seen<'_>,
        out: &mut LossWeights,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.gram = seen.gram.unwrap_or(&[]).to_vec();
        self.present = seen.present.to_vec();
        self.losses = seen.losses.to_vec();
        out.shared.copy_from_slice(&self.shared);
        out.own.copy_from_slice(&self.own);
        Ok(())
    }
}

fn sgd(graph: &Graph<f64>) -> Result<Optimiser<f64>> {
    let dense = Rule::Sgd { lr: 0.1, momentum: 0.0 };
    Optimiser::new(OptimiserConfig { dense, ..OptimiserConfig::default() }, graph.layout())
}

/// The gradient of one loss, by path, tables as whole matrices.
fn gradient_of(graph: &Arc<Graph<f64>>, batch: &Batch<f64>, t: usize) -> Result<Vec<Vec<f64>>> {
    let params = Params::init(graph.layout(), 5);
    let mut weights = vec![0.0; graph.losses().len()];
    weights[t] = 1.0;
    let mut step = Step::new(Arc::clone(graph))?;
    step.gradients(&params, &sgd(graph)?, batch, &weights, 0)?;
    let one = |path: &str| -> Result<Vec<f64>> {
        Ok(match graph.layout().find(path)? {
            Entry::Param(id) => {
                let g = step.dense_gradient(id);
                (0..g.rows()).flat_map(|r| g.row(r).to_vec()).collect()
            }
            Entry::Table(id) => {
                let (spec, sparse) = (graph.layout().table(id), step.table_gradient(id));
                let mut whole = vec![0.0; spec.rows * spec.dim];
                for (&id, row) in sparse.ids().iter().zip(sparse.rows().chunks(spec.dim)) {
                    let start = id as usize * spec.dim;
                    whole[start..start + spec.dim].copy_from_slice(row);
                }
                whole
            }
        })
    };
    graph.layout().paths().map(one).collect()
}

fn losses_of(graph: &Graph<f64>, path: &str) -> Result<Vec<usize>> {
    let ownership = Ownership::of(graph);
    Ok(match graph.layout().find(path)? {
        Entry::Param(id) => ownership.param(id).to_vec(),
        Entry::Table(id) => ownership.table(id).to_vec(),
    })
}

#[test]
fn who_owns_a_parameter_is_read_off_the_graph() -> Result<()> {
    let graph = graph()?;
    assert_eq!(losses_of(&graph, "bottom.0.weight")?, [0, 1, 2]);
    assert_eq!(losses_of(&graph, "embedding.item.table")?, [0, 1, 2]);
    assert_eq!(losses_of(&graph, "task.b.tower.1.bias")?, [1]);
    assert_eq!(losses_of(&graph, "task.own.tower.0.weight")?, [3]);
    assert_eq!(losses_of(&graph, "embedding.own.table")?, [3]);
    Ok(())
}

#[test]
fn the_gram_matrix_is_that_of_gradients_taken_one_by_one() -> Result<()> {
    let graph = graph()?;
    let batch = batch(&graph, None);
    let gradients = (0..4).map(|t| gradient_of(&graph, &batch, t)).collect::<Result<Vec<_>>>()?;
    let paths: Vec<&str> = graph.layout().paths().collect();
    for (shared, wanted) in [
        (Shared::LastLayer, vec!["bottom.1.weight"]),
        (
            Shared::Dense,
            vec!["bottom.0.weight", "bottom.0.bias", "bottom.1.weight", "bottom.1.bias"],
        ),
        (
            Shared::All,
            vec![
                "bottom.0.weight",
                "bottom.0.bias",
                "bottom.1.weight",
                "bottom.1.bias",
                "embedding.item.table",
            ],
        ),
    ] {
        let mut params = Params::init(graph.layout(), 5);
        let mut step = Step::weighed(Arc::clone(&graph), Some(shared))?;
        let mut fixed = Fixed { shared: vec![1.0; 4], own: vec![1.0; 4], ..Fixed::default() };
        let weighing = (&[1.0, 1.0, 1.0, 1.0][..], &mut fixed as &mut dyn Weigh);
        step.run_weighed(&mut params, &mut sgd(&graph)?, &batch, weighing, 0)?;
        for (i, j) in (0..4).flat_map(|i| (0..4).map(move |j| (i, j))) {
            let over = paths.iter().enumerate().filter(|(_, path)| wanted.contains(path));
            let expected: f64 = over
                .flat_map(|(p, _)| gradients[i][p].iter().zip(&gradients[j][p]))
                .map(|(x, y)| x * y)
                .sum();
            let found = fixed.gram[i * 4 + j];
            assert!((found - expected).abs() < 1e-13, "{shared:?} {i} {j}: {found} {expected}");
        }
    }
    Ok(())
}

#[test]
fn a_look_sees_what_the_step_would_see() -> Result<()> {
    let graph = graph()?;
    let user = [1.0, 2.0, 1.0, 0.5];
    for without in [None, Some("c")] {
        let batch = batch(&graph, without);
        for shared in [Shared::LastLayer, Shared::All, Shared::Representation] {
            let mut params = Params::<f64>::init(graph.layout(), 5);
            let mut looks = Step::weighed(Arc::clone(&graph), Some(shared))?;
            looks.look(&params, &batch, &user, (7, 1))?;
            let (weights, fixed) = (vec![1.0; 4], Fixed::default());
            let mut fixed = Fixed { shared: weights.clone(), own: weights, ..fixed };
            let mut step = Step::weighed(Arc::clone(&graph), Some(shared))?;
            let weighing = (&user[..], &mut fixed as &mut dyn Weigh);
            step.run_weighed(&mut params, &mut sgd(&graph)?, &batch, weighing, 7)?;
            assert_eq!(looks.gram(), Some(&fixed.gram[..]), "{shared:?}");
            let (looked, stepped) = (looks.last_report(), step.last_report());
            assert_eq!(looked.losses, stepped.losses);
            assert_eq!(looked.total_weights, stepped.total_weights);
        }
    }
    Ok(())
}

#[test]
fn shared_and_own_parameters_get_their_own_weights() -> Result<()> {
    let graph = graph()?;
    for without in [None, Some("c")] {
        let batch = batch(&graph, without);
        let gradients =
            (0..4).map(|t| gradient_of(&graph, &batch, t)).collect::<Result<Vec<_>>>()?;
        // A weight of 0 or below for shared parameters leaves a tower's own update whole.
        let (shared, own) = (vec![0.3, -0.2, 0.0, 0.7], vec![1.0, 0.5, 2.0, 1.0]);
        let user = [1.0, 2.0, 1.0, 0.5];
        for gram in [None, Some(Shared::LastLayer), Some(Shared::All)] {
            let start = Params::<f64>::init(graph.layout(), 5);
            let mut params = start.clone();
            let mut step = Step::weighed(Arc::clone(&graph), gram)?;
            // Without the Gram matrix a weighting has one weight a loss.
            let own = if gram.is_some() { own.clone() } else { shared.clone() };
            let mut fixed = Fixed { shared: shared.clone(), own: own.clone(), ..Fixed::default() };
            let weighing = (&user[..], &mut fixed as &mut dyn Weigh);
            step.run_weighed(&mut params, &mut sgd(&graph)?, &batch, weighing, 0)?;
            assert_eq!(fixed.present, [true, true, without.is_none(), true]);
            for (p, path) in graph.layout().paths().enumerate() {
                let losses = losses_of(&graph, path)?;
                let weights = if losses.len() > 1 { &shared } else { &own };
                let (before, after) = (start.get(path)?, params.get(path)?);
                for (i, (before, after)) in before.iter().zip(after.iter()).enumerate() {
                    let g: f64 =
                        losses.iter().map(|&t| user[t] * weights[t] * gradients[t][p][i]).sum();
                    let slack = (after - (before - 0.1 * g)).abs();
                    assert!(slack < 1e-13, "{gram:?} {path} [{i}]: off by {slack:e}");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn weighed_steps_do_not_depend_on_the_number_of_threads() -> Result<()> {
    let graph = graph()?;
    let batch = batch(&graph, None);
    let run = |threads: usize| -> Result<(Params<f64>, Vec<f64>)> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("a pool of few threads").install(|| {
            let mut params = Params::init(graph.layout(), 5);
            let mut optimiser = Optimiser::new(OptimiserConfig::default(), graph.layout())?;
            let mut step = Step::weighed(Arc::clone(&graph), Some(Shared::All))?;
            let mut fixed = Fixed { shared: vec![0.7; 4], own: vec![1.0; 4], ..Fixed::default() };
            for seed in 0..5 {
                let weighing = (&[1.0; 4][..], &mut fixed as &mut dyn Weigh);
                step.run_weighed(&mut params, &mut optimiser, &batch, weighing, seed)?;
            }
            Ok((params, fixed.gram))
        })
    };
    let (one, gram) = run(1)?;
    for threads in [2, 3] {
        let (other, other_gram) = run(threads)?;
        assert_eq!(gram, other_gram);
        for path in graph.layout().paths() {
            assert_eq!(one.get(path)?, other.get(path)?, "{path}");
        }
    }
    Ok(())
}

/// Refuses to answer.
struct Refuses;

impl Weigh for Refuses {
    fn weigh(
        &mut self,
        _: &Seen<'_>,
        _: &mut LossWeights,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Err("no weights today".into())
    }
}

#[test]
fn a_weighting_that_fails_updates_nothing() -> Result<()> {
    let graph = graph()?;
    let batch = batch(&graph, None);
    let start = Params::<f64>::init(graph.layout(), 5);
    let mut params = start.clone();
    let mut step = Step::weighed(Arc::clone(&graph), None)?;
    let weighing = (&[1.0; 4][..], &mut Refuses as &mut dyn Weigh);
    let error = step
        .run_weighed(&mut params, &mut sgd(&graph)?, &batch, weighing, 0)
        .expect_err("there are no weights");
    assert_eq!(error.to_string(), "weighting: no weights today");
    assert_eq!(params.get("bottom.0.weight")?, start.get("bottom.0.weight")?);
    Ok(())
}

/// The gradient is reduced in chunks of 8,192 values, each beside the same chunk of parameters.
#[test]
fn l2_reaches_the_weights_of_every_chunk() -> Result<()> {
    let mut b = GraphBuilder::<f64>::new();
    let x = b.values("x", 150)?;
    let x = b.read(x)?;
    let z = Mlp::new(&[120, 1], Activation::Tanh).build(&mut b, "tower", x)?;
    let label = b.values("label.a", 1)?;
    let loss = b.push("loss.a", RowLoss::new(Bce, z, label, None))?;
    b.loss("a", loss)?;
    let graph = Arc::new(b.finish());
    let mut batch = Batch::for_graph(&graph);
    batch.rows = 3;
    batch.values[0] = (0..450).map(|i| f64::from(i).sin()).collect();
    batch.values[1] = vec![1.0, 0.0, 1.0];
    let params = Params::init(graph.layout(), 5);
    let gradient = |l2: f64| -> Result<Vec<Vec<f64>>> {
        let config = OptimiserConfig { l2, ..OptimiserConfig::default() };
        let optimiser = Optimiser::new(config, graph.layout())?;
        let mut step = Step::new(Arc::clone(&graph))?;
        step.gradients(&params, &optimiser, &batch, &[1.0], 0)?;
        let rows = |path: &str| -> Result<Vec<f64>> {
            let Entry::Param(id) = graph.layout().find(path)? else { return Ok(Vec::new()) };
            let g = step.dense_gradient(id);
            Ok((0..g.rows()).flat_map(|r| g.row(r).to_vec()).collect())
        };
        graph.layout().paths().map(rows).collect()
    };
    let (plain, with_l2) = (gradient(0.0)?, gradient(0.01)?);
    for (p, path) in graph.layout().paths().enumerate() {
        let factor = if path.ends_with("weight") { 0.02 } else { 0.0 };
        for (i, value) in params.get(path)?.iter().enumerate() {
            let found = with_l2[p][i] - plain[p][i];
            assert!((found - factor * value).abs() < 1e-15, "{path} [{i}]");
        }
    }
    Ok(())
}

/// The rows `rows` of a batch.
fn rows_of(graph: &Graph<f64>, whole: &Batch<f64>, rows: std::ops::Range<usize>) -> Batch<f64> {
    let mut batch = Batch::for_graph(graph);
    batch.rows = rows.len();
    batch.ids[0] = whole.ids[0][rows.clone()].to_vec();
    for (i, spec) in graph.value_slots().iter().enumerate() {
        let columns = rows.start * spec.n_cols..rows.end * spec.n_cols;
        batch.values[i] = whole.values[i][columns].to_vec();
    }
    batch
}

/// The bottom's last layer is linear, so the gradient of h in a row is that of its bias in a batch
/// of this row alone.
#[test]
fn the_representation_is_what_the_towers_read() -> Result<()> {
    const N: usize = 300;
    let graph = graph()?;
    let batch = rows_of(&graph, &batch(&graph, None), 0..N);
    let paths: Vec<&str> = graph.layout().paths().collect();
    let bias = paths.iter().position(|path| *path == "bottom.1.bias").unwrap_or_default();
    let slot = |name: &str| graph.value_slots().iter().position(|s| s.name == name).unwrap_or(0);
    let weights = &batch.values[slot("weight")];
    let mut gradients = vec![Vec::new(); 4];
    for (t, gradient) in gradients.iter_mut().enumerate() {
        let label = format!("label.{}", ["a", "b", "c", "b"][t]);
        let labels = &batch.values[slot(&label)];
        let weight = |r: usize| if labels[r].is_nan() { 0.0 } else { weights[r] };
        let total: f64 = (0..N).map(weight).sum();
        for r in 0..N {
            let one = gradient_of(&graph, &rows_of(&graph, &batch, r..r + 1), t)?;
            gradient.extend(one[bias].iter().map(|g| g * weight(r) / total));
        }
    }
    let gram = |without: Option<&str>| -> Result<Vec<f64>> {
        let mut batch = batch.clone();
        if let Some(task) = without {
            batch.values[slot(&format!("label.{task}"))].fill(f64::NAN);
        }
        let mut params = Params::init(graph.layout(), 5);
        let mut step = Step::weighed(Arc::clone(&graph), Some(Shared::Representation))?;
        let mut fixed = Fixed { shared: vec![1.0; 4], own: vec![1.0; 4], ..Fixed::default() };
        let weighing = (&[1.0; 4][..], &mut fixed as &mut dyn Weigh);
        step.run_weighed(&mut params, &mut sgd(&graph)?, &batch, weighing, 0)?;
        Ok(fixed.gram)
    };
    let (all, without) = (gram(None)?, gram(Some("c"))?);
    for (i, j) in (0..4).flat_map(|i| (0..4).map(move |j| (i, j))) {
        // Loss d has a network of its own and reaches no representation.
        let own = i == 3 || j == 3;
        let expected: f64 = gradients[i].iter().zip(&gradients[j]).map(|(x, y)| x * y).sum();
        let expected = if own { 0.0 } else { expected };
        let found = all[i * 4 + j];
        assert!((found - expected).abs() <= 1e-13, "{i} {j}: {found} {expected}");
        let absent = i == 2 || j == 2;
        assert_eq!(without[i * 4 + j], if absent { 0.0 } else { found }, "{i} {j} without c");
    }
    Ok(())
}

/// Weights of running gradients, and the decay that moves them on.
struct Runs(Fixed);

impl Weigh for Runs {
    fn decay(&self, step: u64) -> f64 {
        0.9 / step as f64
    }

    fn weigh(
        &mut self,
        seen: &Seen<'_>,
        out: &mut LossWeights,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.0.weigh(seen, out)
    }
}

#[test]
fn running_gradients_are_averages_of_those_of_the_logarithms() -> Result<()> {
    let graph = graph()?;
    let (shared, own) = (vec![0.3, 0.2, 0.5, 0.7], vec![1.0; 4]);
    let user = [1.0, 2.0, 1.0, 0.5];
    let batches = [batch(&graph, None), batch(&graph, Some("c"))];
    let mut params = Params::<f64>::init(graph.layout(), 5);
    let mut optimiser = Optimiser::new(
        OptimiserConfig {
            dense: Rule::Sgd { lr: 1e-300, momentum: 0.0 }, // the values stay: gradients are known
            ..OptimiserConfig::default()
        },
        graph.layout(),
    )?;
    let mut step = Step::weighed(Arc::clone(&graph), Some(Shared::LastLayer))?;
    step.keep_running()?;
    let mut weigh = Runs(Fixed { shared: shared.clone(), own, ..Fixed::default() });
    let paths: Vec<&str> = graph.layout().paths().collect();
    let at = |path: &str| paths.iter().position(|p| *p == path).unwrap_or_default();
    let mut running = vec![vec![0.0; 6 * 4]; 4];
    for (number, batch) in batches.iter().enumerate() {
        let gradients =
            (0..4).map(|t| gradient_of(&graph, batch, t)).collect::<Result<Vec<_>>>()?;
        let weighing = (&user[..], &mut weigh as &mut dyn Weigh);
        step.run_weighed(&mut params, &mut optimiser, batch, weighing, 0)?;
        let decay = 0.9 / (number + 1) as f64;
        // Loss d has no part in the bottom; c is absent from the second batch.
        for t in (0..3).filter(|&t| weigh.0.present[t]) {
            let losses = &weigh.0.losses;
            for (r, g) in running[t].iter_mut().zip(&gradients[t][at("bottom.1.weight")]) {
                *r = decay * *r + (1.0 - decay) * user[t] * g / losses[t];
            }
        }
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
        for (i, j) in (0..4).flat_map(|i| (0..4).map(move |j| (i, j))) {
            let (found, expected) = (weigh.0.gram[i * 4 + j], dot(&running[i], &running[j]));
            assert!((found - expected).abs() < 1e-13, "{number} {i} {j}: {found} {expected}");
        }
        let Entry::Param(weight) = graph.layout().find("bottom.1.weight")? else { continue };
        let Entry::Param(first) = graph.layout().find("bottom.0.weight")? else { continue };
        let read = |id| -> Vec<f64> {
            let g = step.dense_gradient(id);
            (0..g.rows()).flat_map(|r| g.row(r).to_vec()).collect()
        };
        for (i, found) in read(weight).into_iter().enumerate() {
            let expected: f64 = (0..4).map(|t| shared[t] * running[t][i]).sum();
            assert!((found - expected).abs() < 1e-13, "{number} [{i}]: {found} {expected}");
        }
        // What the Gram matrix is not taken over moves by the same weights of this step's ∇ ln L.
        for (i, found) in read(first).into_iter().enumerate() {
            let g = |t: usize| user[t] * gradients[t][at("bottom.0.weight")][i];
            let present = (0..3).filter(|&t| weigh.0.present[t]);
            let expected: f64 = present.map(|t| shared[t] * g(t) / weigh.0.losses[t]).sum();
            assert!((found - expected).abs() < 1e-13, "{number} [{i}]: {found} {expected}");
        }
    }
    let saved = step.running().unwrap_or_default();
    let mut other = Step::weighed(Arc::clone(&graph), Some(Shared::LastLayer))?;
    assert!(other.set_running(&saved).is_err(), "it keeps none");
    other.keep_running()?;
    other.set_running(&saved)?;
    assert_eq!(other.running(), Some(saved));
    assert!(other.set_running(&[0.0; 3]).is_err());
    let mut tables = Step::weighed(Arc::clone(&graph), Some(Shared::All))?;
    let error = tables.keep_running().expect_err("tables are compared");
    assert!(error.to_string().contains("shared dense parameters alone"), "{error}");
    Ok(())
}
