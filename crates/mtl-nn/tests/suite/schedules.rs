//! Backward schedules: what they reach, and who sets, adds to or zeroes a gradient.

use mtl_nn::layers::{Activation, Mlp, Stack, StackLayer, build_stacks};
use mtl_nn::ops::{Sigmoid, Softmax};
use mtl_nn::{
    Backward, Batch, Entry, Error, Graph, GraphBuilder, Mode, NodeId, ParamId, Params, Pass, Plan,
    Result, Var, Wanted, Workspace, check, kernel,
};

const MODE: Mode = Mode::Train { seed: 5, step: 1 };

fn noise(n: usize) -> Vec<f64> {
    (0..n).map(|i| (kernel::hash(1, i as u64) >> 11) as f64 / (1u64 << 52) as f64 - 1.0).collect()
}

fn linear(n_out: usize, dropout: f64) -> StackLayer {
    StackLayer { n_out, bias: false, norm: None, activation: Activation::Linear, dropout }
}

/// x [3] → h [5], of which z = σ(h[1..3]) is read.
struct Small {
    graph: Graph<f64>,
    h: Var,
    z: Var,
    batch: Batch<f64>,
}

impl Small {
    fn new() -> Result<Self> {
        let mut b = GraphBuilder::new();
        let x = b.values("x", 3)?;
        let x = b.read(x)?;
        let h = Mlp::new(&[5], Activation::Linear).build(&mut b, "h", x)?;
        let z = b.push("z", Sigmoid::new(h.columns(1, 2)))?;
        let batch = Batch { rows: 4, ids: vec![], lists: vec![], values: vec![noise(12)] };
        Ok(Self { graph: b.finish(), h, z, batch })
    }

    fn pass(&self) -> Pass<'_, f64> {
        Pass { batch: &self.batch, first_row: 0, rows: 4, mode: MODE }
    }

    fn param(&self, path: &str) -> Result<ParamId> {
        match self.graph.layout().find(path)? {
            Entry::Param(id) => Ok(id),
            Entry::Table(_) => Err(Error::Twice { what: "table", name: path.to_owned() }),
        }
    }

    fn backward(&self, roots: &[NodeId], wanted: &Wanted) -> Backward {
        Backward::new(&self.graph, roots, wanted)
    }
}

#[test]
fn a_schedule_for_a_node_writes_no_parameter() -> Result<()> {
    let small = Small::new()?;
    let wanted = Wanted::none(&small.graph).node(small.h.node());
    let backward = small.backward(&[small.z.node()], &wanted);
    let plan = Plan::new(&small.graph, &[small.z.node()], true);
    let params = Params::init(small.graph.layout(), 2);
    let mut workspace = Workspace::new(&small.graph, &plan, Some(&backward), 4);
    workspace.forward(&small.graph, &plan, &params, small.pass());
    let mut flat = vec![f64::NAN; small.graph.layout().n_trainable()];
    workspace.backward(&small.graph, &backward, &params, small.pass(), &[2.0], &mut flat);
    assert!(flat.iter().all(|g| g.is_nan()), "no parameter was wanted");
    let (z, gradient) = (workspace.value(&small.graph, small.z), small.h.node());
    let gradient = workspace.gradient(&small.graph, gradient);
    for r in 0..4 {
        for c in 0..5 {
            let slope = |z: f64| 2.0 * z * (1.0 - z);
            let expected = if (1..3).contains(&c) { slope(z.row(r)[c - 1]) } else { 0.0 };
            assert!((gradient.row(r)[c] - expected).abs() < 1e-15, "[{r}, {c}]");
        }
    }
    Ok(())
}

#[test]
fn a_schedule_for_one_parameter_writes_only_that_one() -> Result<()> {
    let small = Small::new()?;
    let plan = Plan::new(&small.graph, &[small.z.node()], true);
    let params = Params::init(small.graph.layout(), 2);
    let run = |wanted: &Wanted| {
        let backward = small.backward(&[small.z.node()], wanted);
        let mut workspace = Workspace::new(&small.graph, &plan, Some(&backward), 4);
        workspace.forward(&small.graph, &plan, &params, small.pass());
        let mut flat = vec![f64::NAN; small.graph.layout().n_trainable()];
        workspace.backward(&small.graph, &backward, &params, small.pass(), &[1.0], &mut flat);
        flat
    };
    let all = run(&Wanted::all(&small.graph));
    assert!(all.iter().all(|g| g.is_finite()));
    let bias = run(&Wanted::none(&small.graph).param(small.param("h.0.bias")?));
    // The flat vector is laid out in the order of the parameters: 3 × 5 weights, 5 biases.
    assert!(bias[..15].iter().all(|g| g.is_nan()));
    assert_eq!(bias[15..], all[15..]);
    Ok(())
}

#[test]
fn columns_that_nobody_reads_get_zero_in_a_used_workspace() -> Result<()> {
    let small = Small::new()?;
    let wanted = Wanted::all(&small.graph);
    let (h, z) = (small.h.node(), small.z.node());
    let plan = Plan::new(&small.graph, &[z], true);
    let params = Params::init(small.graph.layout(), 2);
    let (both, one) = (small.backward(&[h, z], &wanted), small.backward(&[z], &wanted));
    let mut workspace = Workspace::new(&small.graph, &plan, Some(&both), 4);
    workspace.forward(&small.graph, &plan, &params, small.pass());
    let mut flat = vec![0.0; small.graph.layout().n_trainable()];
    // Leaves a gradient of 7 behind in every column of h.
    workspace.backward(&small.graph, &both, &params, small.pass(), &[7.0, 1.0], &mut flat);
    assert!(flat[15..].iter().all(|&g| g >= 28.0));
    workspace.backward(&small.graph, &one, &params, small.pass(), &[1.0], &mut flat);
    let columns = |c: usize| flat.iter().skip(c).step_by(5);
    for c in [0, 3, 4] {
        assert!(columns(c).all(|&g| g == 0.0), "column {c}: {flat:?}");
    }
    for c in [1, 2] {
        assert!(columns(c).all(|&g| g != 0.0 && g.abs() < 4.0), "column {c}: {flat:?}");
    }
    Ok(())
}

#[test]
fn consumers_of_overlapping_columns_add_up() -> Result<()> {
    let mut b = GraphBuilder::new();
    let x = b.values("x", 4)?;
    let x = b.read(x)?;
    let h = Mlp::new(&[7], Activation::Tanh).build(&mut b, "h", x)?;
    // In the backward pass the last comes first: it sets 3..5; the next finds these written and
    // 2 and 5 not; then 0..4 finds a mixture; 6 is read by nobody.
    let roots = [
        b.push("first", Softmax::new(h.columns(0, 4), vec![4]))?,
        b.push("second", Sigmoid::new(h.columns(2, 4)))?,
        b.push("third", Sigmoid::new(h.columns(3, 2)))?,
        b.push("again", Sigmoid::new(h.columns(3, 2)))?,
    ];
    check::gradients(b, &roots)
}

#[test]
fn a_root_that_others_read_adds_their_gradients_to_its_seed() -> Result<()> {
    let mut b = GraphBuilder::new();
    let x = b.values("x", 3)?;
    let x = b.read(x)?;
    let h = b.push("h", Sigmoid::new(x))?;
    let z = b.push("z", Sigmoid::new(h.columns(1, 2)))?;
    check::gradients(b, &[h, z])
}

// --- dropout ----------------------------------------------------------------------------------

/// Dropout at `rate` of ones: rows × 64 values that are 0 or 1 / (1 − rate).
fn dropped(rate: f64, step: u64, rows: usize, shard: usize) -> Result<Vec<f64>> {
    let mut b = GraphBuilder::new();
    let x = b.values("x", 1)?;
    let x = b.read(x)?;
    let stack = Stack { path: "h".to_owned(), input: x, layers: vec![linear(64, rate)] };
    let y = build_stacks(&mut b, "h", vec![stack])?[0];
    let graph = b.finish();
    let mut params = Params::init(graph.layout(), 0);
    params.set("h.0.weight", (1, 64), &[1.0; 64])?;
    let batch = Batch { rows, ids: vec![], lists: vec![], values: vec![vec![1.0; rows]] };
    let plan = Plan::new(&graph, &[y.node()], true);
    let mut workspace = Workspace::new(&graph, &plan, None, shard);
    let mut values = Vec::new();
    for first_row in (0..rows).step_by(shard) {
        let rows = shard.min(rows - first_row);
        let pass = Pass { batch: &batch, first_row, rows, mode: Mode::Train { seed: 3, step } };
        workspace.forward(&graph, &plan, &params, pass);
        let value = workspace.value(&graph, y);
        (0..rows).for_each(|r| values.extend_from_slice(value.row(r)));
    }
    Ok(values)
}

#[test]
fn dropout_keeps_the_mean() -> Result<()> {
    for rate in [0.1, 0.5, 0.8] {
        let values = dropped(rate, 1, 2_000, 256)?;
        let kept = 1.0 / (1.0 - rate);
        assert!(values.iter().all(|&v| v == 0.0 || (v - kept).abs() < 1e-15));
        let (n, mean) = (values.len() as f64, values.iter().sum::<f64>() / values.len() as f64);
        // Five standard deviations of the mean of n scaled Bernoulli draws.
        let slack = 5.0 * (rate / (1.0 - rate) / n).sqrt();
        assert!((mean - 1.0).abs() < slack, "rate {rate}: mean {mean}");
    }
    Ok(())
}

#[test]
fn dropout_does_not_depend_on_the_shards_but_on_the_step() -> Result<()> {
    let whole = dropped(0.3, 1, 700, 700)?;
    for shard in [1, 7, 256] {
        assert_eq!(dropped(0.3, 1, 700, shard)?, whole, "shards of {shard} rows");
    }
    let next = dropped(0.3, 2, 700, 700)?;
    let alike = whole.iter().zip(&next).filter(|(a, b)| a == b).count() as f64;
    // Two independent masks agree where both keep or both drop: 0.7² + 0.3² = 0.58.
    assert!((alike / whole.len() as f64 - 0.58).abs() < 0.02, "{alike} alike");
    Ok(())
}
