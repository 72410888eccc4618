//! Lists of ids: pooled and attended to as PyTorch does it (`golden/sequences.py`), and refused
//! where they do not fit.

use std::sync::Arc;

use mtl_nn::layers::Activation;
use mtl_nn::ops::{Embed, EmbedList, MaxPool, Part, TargetAttention, TargetAttentionParams};
use mtl_nn::{
    Backprop, Batch, Forward, Graph, GraphBuilder, Init, ListSlot, Lists, Op, Optimiser,
    OptimiserConfig, Params, Result, Role, Rule, Scalar, Step, TableId, ValueSlot, Var,
};
use serde_json::Value;

const DIM: usize = 3;

/// Σ_c coefficient_c · y_c, as a loss.
#[derive(Debug)]
struct Dot {
    input: [Var; 1],
    coefficients: [ValueSlot; 1],
}

impl Op<f64> for Dot {
    fn kind(&self) -> &'static str {
        "dot"
    }

    fn n_cols(&self) -> usize {
        1
    }

    fn inputs(&self) -> &[Var] {
        &self.input
    }

    fn value_slots(&self) -> &[ValueSlot] {
        &self.coefficients
    }

    fn forward(&self, pass: &mut Forward<'_, f64>) {
        let (y, c) = (pass.input(0), pass.values(self.coefficients[0], DIM));
        let (mut out, _) = pass.output();
        for r in 0..y.rows() {
            out.row(r)[0] = y.row(r).iter().zip(c.row(r)).map(|(y, c)| y * c).sum();
        }
    }

    fn backward(&self, pass: &mut Backprop<'_, f64>) {
        let (d, c) = (pass.take_gradient(), pass.values(self.coefficients[0], DIM));
        let mut sink = pass.input_gradient(0).expect("the table wants it");
        for r in 0..c.rows() {
            let d = d.as_mat().row(r)[0];
            sink.put_row(r, c.row(r).iter().map(|c| d * c));
        }
    }
}

fn golden() -> Value {
    let path = format!("{}/tests/golden/sequences.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("the golden file is in the repository");
    serde_json::from_str(&text).expect("the golden file is JSON")
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        other => vec![other.as_f64().expect("a number")],
    }
}

fn ids(value: &Value) -> Vec<u32> {
    numbers(value).iter().map(|&id| id as u32).collect()
}

fn items(value: &Value) -> &[Value] {
    value.as_array().expect("an array")
}

fn assert_near(what: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= 1e-12 * (1.0 + b.abs()), "{what} [{i}]: {a} against {b}");
    }
}

/// The layers of `golden`, at the paths `<i>.weight` and `<i>.bias`.
fn layers(b: &mut GraphBuilder<f64>, golden: &Value, name: &str) -> Result<TargetAttentionParams> {
    let (mut layers, mut units, mut n_in) = (Vec::new(), Vec::new(), 4 * DIM);
    for (i, layer) in items(&golden["layers"]).iter().enumerate() {
        let n_out = items(&layer[1]).len();
        let zero = Init::Constant(0.0);
        let weight = b.param(format!("{i}.weight"), (n_in, n_out), Role::Weight, zero)?;
        layers.push((weight, b.param(format!("{i}.bias"), (1, n_out), Role::Bias, zero)?));
        units.push(n_out);
        n_in = n_out;
    }
    let activation = if name.contains("relu") { Activation::Relu } else { Activation::Sigmoid };
    let softmax = name.contains("softmax");
    Ok(TargetAttentionParams { layers, units, activation, softmax })
}

struct Case {
    graph: Arc<Graph<f64>>,
    table: TableId,
    y: Var,
}

fn case(golden: &Value, name: &str) -> Result<Case> {
    let mut b = GraphBuilder::new();
    let longest = items(&golden["lists"]).iter().map(|list| items(list).len()).max().unwrap_or(0);
    let (slot, target) = (b.lists("list", longest)?, b.ids("target"));
    let table = b.table("table", 7, DIM, Init::Constant(0.0))?;
    let h = |b: &mut GraphBuilder<f64>| b.push("h", EmbedList::new(slot, longest, table, DIM));
    let y = match name {
        "sum" | "mean" => {
            let part = Part::Pooled { slot, table, dim: DIM, mean: name == "mean" };
            b.push("y", Embed::new(vec![part]))?
        }
        "max" => {
            let h = h(&mut b)?;
            b.push("y", MaxPool::new(h, slot, DIM))?
        }
        _ => {
            let t = vec![Part::Lookup { slot: target, table, dim: DIM }];
            let (t, h) = (b.push("t", Embed::new(t))?, h(&mut b)?);
            let settings = layers(&mut b, golden, name)?;
            b.push("y", TargetAttention::new(h, slot, t, settings))?
        }
    };
    let coefficients = [b.values("coefficients", DIM)?];
    let loss = b.push("loss", Dot { input: [y], coefficients })?;
    b.loss("loss", loss)?;
    Ok(Case { graph: Arc::new(b.finish()), table, y })
}

#[test]
fn pooled_and_attended_as_pytorch_does() -> Result<()> {
    let golden = golden();
    for (name, expected) in golden["cases"].as_object().expect("cases by name") {
        let Case { graph, table, y } = case(&golden, name)?;
        let mut params = Params::init(graph.layout(), 1);
        params.set("table", (7, DIM), &numbers(&golden["table"]))?;
        if name.starts_with("din") {
            for (i, layer) in items(&golden["layers"]).iter().enumerate() {
                let shape = (items(&layer[0]).len(), items(&layer[1]).len());
                params.set(&format!("{i}.weight"), shape, &numbers(&layer[0]))?;
                params.set(&format!("{i}.bias"), (1, shape.1), &numbers(&layer[1]))?;
            }
        }
        let lists = items(&golden["lists"]).iter().map(ids).collect::<Vec<_>>();
        let mut batch = Batch::for_graph(&graph);
        batch.rows = lists.len();
        batch.lists[0] = lists.iter().map(Vec::as_slice).collect();
        batch.ids[0] = ids(&golden["targets"]);
        batch.values[0] = numbers(&golden["coefficients"]);

        let mut predictor = mtl_nn::Predictor::of(Arc::clone(&graph), vec![y]);
        let found = predictor.predict(&params, &batch)?;
        assert_near(name, found.as_slice().expect("contiguous"), &numbers(&expected["y"]));

        let sgd = Rule::Sgd { lr: 0.1, momentum: 0.0 };
        let config = OptimiserConfig { dense: sgd, ..OptimiserConfig::default() };
        let mut optimiser = Optimiser::new(config, graph.layout())?;
        let mut step = Step::new(Arc::clone(&graph))?;
        step.run(&mut params, &mut optimiser, &batch, &[1.0], 0)?;
        let sparse = step.table_gradient(table);
        let mut gradient = vec![0.0; 7 * DIM];
        for (&id, row) in sparse.ids().iter().zip(sparse.rows().chunks(DIM)) {
            gradient[id as usize * DIM..][..DIM].copy_from_slice(row);
        }
        assert_near(&format!("{name} table"), &gradient, &numbers(&expected["table_gradient"]));
        for (i, layer) in expected["layer_gradients"].as_array().into_iter().flatten().enumerate() {
            for (part, expected) in ["weight", "bias"].iter().zip(items(layer)) {
                let path = format!("{i}.{part}");
                let mtl_nn::Entry::Param(id) = graph.layout().find(&path)? else { continue };
                let found = step.dense_gradient(id);
                let found: Vec<f64> =
                    (0..found.rows()).flat_map(|r| found.row(r).to_vec()).collect();
                assert_near(&format!("{name} {path}"), &found, &numbers(expected));
            }
        }
    }
    Ok(())
}

/// Mean and max of one slot, over a table of `rows` rows.
fn pools<S: Scalar>(rows: usize) -> Result<(Arc<Graph<S>>, ListSlot)> {
    let mut b = GraphBuilder::new();
    let slot = b.lists("history", 3)?;
    let table = b.table("table", rows, 2, Init::Uniform(1.0))?;
    let mean =
        b.push("mean", Embed::new(vec![Part::Pooled { slot, table, dim: 2, mean: true }]))?;
    let h = b.push("h", EmbedList::new(slot, 3, table, 2))?;
    let max = b.push("max", MaxPool::new(h, slot, 2))?;
    b.output("mean", mean)?;
    b.output("max", max)?;
    Ok((Arc::new(b.finish()), slot))
}

#[test]
fn a_batch_whose_lists_do_not_fit_is_refused_with_slot_and_row() -> Result<()> {
    let (graph, _) = pools::<f32>(4)?;
    let params = Params::init(graph.layout(), 1);
    for (lists, expected) in [
        (vec![&[1u32][..]], "batch: `history` has 1 values, expected 2 (2 rows)"),
        (
            vec![&[1], &[1, 2, 3, 0]],
            "batch: `history` row 1 has a list of 4 ids, expected at most 3",
        ),
        (vec![&[], &[1, 4]], "batch: `history` row 1 has id 4, but table `table` has 4 rows"),
    ] {
        let mut batch = Batch::for_graph(&graph);
        batch.rows = 2;
        batch.lists[0] = lists.into_iter().collect();
        let mut predictor = mtl_nn::Predictor::new(Arc::clone(&graph));
        let error = predictor.predict(&params, &batch).expect_err("it does not fit");
        assert_eq!(error.to_string(), expected);
    }
    Ok(())
}

#[test]
fn a_row_is_pooled_alike_alone_and_among_others() -> Result<()> {
    let (graph, slot) = pools::<f32>(9)?;
    let params = Params::init(graph.layout(), 1);
    let mut predictor = mtl_nn::Predictor::new(Arc::clone(&graph));
    let mut many = Batch::for_graph(&graph);
    many.rows = 600;
    for r in 0..600u32 {
        let list: Vec<u32> = (0..r % 4).map(|j| (r * 7 + j * j) % 9).collect();
        many.lists[slot.index()].push(&list);
    }
    let together = predictor.predict(&params, &many)?;
    for r in [0, 255, 256, 511, 599] {
        let mut one = Batch::for_graph(&graph);
        one.rows = 1;
        one.lists[0] = Lists::new();
        one.lists[0].extend_rows(&many.lists[0], r, r + 1);
        let alone = predictor.predict(&params, &one)?;
        assert_eq!(alone.row(0), together.row(r), "row {r}");
    }
    Ok(())
}
