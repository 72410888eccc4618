//! Optimisers and losses against an independent implementation; see the README beside the
//! generator in `mtl-arch/tests/golden`.

use std::sync::Arc;

use mtl_nn::ops::{
    Bce, Bpr, Embed, Focal, Huber, LogCosh, Part, PointLoss, RowLoss, SoftmaxLoss, SquaredError,
    WeightedBce,
};
use mtl_nn::{
    Backprop, Batch, Epsilon, Forward, Graph, GraphBuilder, Init, Op, Optimiser, OptimiserConfig,
    ParamId, Params, Result, Role, Rule, Schedule, Step, TableUpdate, ValueSlot, Var, Wanted,
};
use serde_json::Value;

fn read(name: &str) -> Value {
    let path = format!("{}/tests/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("the golden file is in the repository");
    serde_json::from_str(&text).expect("the golden file is JSON")
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        other => vec![number(other)],
    }
}

fn items(value: &Value) -> &[Value] {
    value.as_array().expect("an array")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

/// Within 1e-12 of the larger of 1 and the value.
fn assert_near(what: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= 1e-12 * (1.0 + b.abs()), "{what} [{i}]: {a} against {b}");
    }
}

// --- optimisers -------------------------------------------------------------------------------

/// A loss of 0 whose gradients are what the batch says: of its input the slot `x_gradient`, of
/// its parameter the first row of the slot `w_gradient`.
#[derive(Debug)]
struct Given {
    input: [Var; 1],
    params: [ParamId; 1],
    slots: [ValueSlot; 2],
}

impl Op<f64> for Given {
    fn kind(&self) -> &'static str {
        "given"
    }

    fn n_cols(&self) -> usize {
        1
    }

    fn inputs(&self) -> &[Var] {
        &self.input
    }

    fn params(&self) -> &[ParamId] {
        &self.params
    }

    fn value_slots(&self) -> &[ValueSlot] {
        &self.slots
    }

    fn forward(&self, pass: &mut Forward<'_, f64>) {
        pass.output().0.fill(0.0);
    }

    fn backward(&self, pass: &mut Backprop<'_, f64>) {
        let [x, w] = [pass.values(self.slots[0], 2), pass.values(self.slots[1], 6)];
        let mut sink = pass.input_gradient(0).expect("the table wants it");
        (0..x.rows()).for_each(|r| sink.put_row(r, x.row(r).iter().copied()));
        let mut sink = pass.param_gradient(0).expect("the optimiser wants it");
        w.row(0).chunks(2).enumerate().for_each(|(r, g)| sink.put_row(r, g.iter().copied()));
    }
}

/// The 3 × 2 matrix `w` and the 4 × 2 table of the golden problem.
fn given() -> Result<Arc<Graph<f64>>> {
    let mut b = GraphBuilder::new();
    let slots = [b.values("x_gradient", 2)?, b.values("w_gradient", 6)?];
    let ids = b.ids("rows");
    let table = b.table("table", 4, 2, Init::Constant(0.0))?;
    let w = b.param("w", (3, 2), Role::Weight, Init::Constant(0.0))?;
    let x = b.push("x", Embed::new(vec![Part::Lookup { slot: ids, table, dim: 2 }]))?;
    let loss = b.push("loss", Given { input: [x], params: [w], slots })?;
    b.loss("given", loss)?;
    Ok(Arc::new(b.finish()))
}

fn rule(case: &Value) -> Rule {
    let settings = &case["settings"];
    let get = |name: &str| settings.get(name).map_or(0.0, number);
    let (lr, epsilon, initial) = (get("learning_rate"), get("epsilon"), get("initial_accumulator"));
    match text(&case["optimiser"]) {
        "sgd" | "sgd_momentum" => Rule::Sgd { lr, momentum: get("momentum") },
        "adam" | "adamw" => Rule::Adam {
            lr,
            beta1: get("beta1"),
            beta2: get("beta2"),
            epsilon,
            form: match text(&settings["epsilon_form"]) {
                "outside" => Epsilon::Outside,
                _ => Epsilon::Hat,
            },
            weight_decay: get("weight_decay"),
        },
        "adagrad" => Rule::Adagrad { lr, initial, epsilon },
        "rowwise_adagrad" => Rule::RowAdagrad { lr, initial, epsilon },
        other => panic!("no rule for {other}"),
    }
}

fn config(case: &Value, table_update: TableUpdate) -> OptimiserConfig {
    let (rule, settings) = (rule(case), &case["settings"]);
    // A row-wise rule is for tables; the file then has no matrix to compare.
    let rowwise = matches!(rule, Rule::RowAdagrad { .. });
    let l2 = settings.get("l2").map_or(0.0, number);
    OptimiserConfig {
        dense: if rowwise { Rule::adam(1e-3) } else { rule },
        tables: Some(rule),
        table_update,
        l2,
        l2_tables: l2,
        clip_norm: settings.get("clip_norm").map(number),
        schedule: Schedule::Constant,
    }
}

fn run_case(problem: &Value, case: &Value, table_update: TableUpdate) -> Result<()> {
    let graph = given()?;
    let mut params = Params::init(graph.layout(), 0);
    params.set("w", (3, 2), &numbers(&problem["matrix"]))?;
    params.set("table", (4, 2), &numbers(&problem["table"]))?;
    let mut optimiser = Optimiser::new(config(case, table_update), graph.layout())?;
    let mut step = Step::new(Arc::clone(&graph))?;
    for (t, (given, expected)) in
        items(&problem["steps"]).iter().zip(items(&case["after_step"])).enumerate()
    {
        let what = format!("{} {table_update:?} step {}", case["name"], t + 1);
        let ids: Vec<u32> = numbers(&given["table_rows"]).iter().map(|&id| id as u32).collect();
        let matrix = numbers(&given["matrix_gradient"]);
        let batch = Batch {
            rows: ids.len(),
            values: vec![numbers(&given["table_gradient"]), matrix.repeat(ids.len())],
            ids: vec![ids],
            lists: vec![],
        };
        let report = step.run(&mut params, &mut optimiser, &batch, &[1.0], 0)?;
        assert_near(&what, &[report.gradient_norm], &[number(&expected["gradient_norm"])]);
        let values = |path: &str| params.get(path).map(|m| m.iter().copied().collect::<Vec<_>>());
        assert_near(&format!("{what} table"), &values("table")?, &numbers(&expected["table"]));
        if let Some(matrix) = expected.get("matrix") {
            assert_near(&format!("{what} matrix"), &values("w")?, &numbers(matrix));
        }
    }
    Ok(())
}

#[test]
fn every_optimiser_follows_its_golden_trace() -> Result<()> {
    let file = read("optimisers");
    let cases = items(&file["cases"]);
    assert!(cases.len() >= 20, "the file has its {} cases", cases.len());
    for case in cases {
        let form = text(&case["table_update"]);
        if form != "dense" {
            run_case(&file["problem"], case, TableUpdate::Lazy)?;
        }
        if form != "lazy" {
            run_case(&file["problem"], case, TableUpdate::Dense)?;
        }
    }
    Ok(())
}

// --- losses -----------------------------------------------------------------------------------

/// Values and slopes on the grid, to 1e-12 of themselves: the saturated ends count too.
fn check_points(loss: &impl PointLoss, logits: &[f64], case: &Value) {
    for target in items(&case["pointwise"]) {
        let y = number(&target["target"]);
        let expected = numbers(&target["value"]).into_iter().zip(numbers(&target["gradient"]));
        for (&z, (value, slope)) in logits.iter().zip(expected) {
            let what = format!("{} {} z {z} y {y}", case["name"], case["settings"]);
            for (found, exact) in [(loss.loss(z, y), value), (loss.slope(z, y), slope)] {
                assert!(
                    (found - exact).abs() <= 1e-12 * exact.abs(),
                    "{what}: {found:e} against {exact:e}"
                );
            }
        }
    }
}

/// The weighted mean over rows of which one has no label, through a training step.
fn check_mean(loss: impl PointLoss + 'static, batch: &Value, expected: &Value) -> Result<()> {
    let mut b = GraphBuilder::<f64>::new();
    let (z, y, w) = (b.values("z", 1)?, b.values("label", 1)?, b.values("weight", 1)?);
    let z = b.read(z)?;
    let node = b.push("loss", RowLoss::new(loss, z, y, Some(w)))?;
    b.loss("loss", node)?;
    let graph = b.finish();
    let logits = numbers(&batch["logits"]);
    let targets = items(&batch["targets"]).iter().map(|y| y.as_f64().unwrap_or(f64::NAN));
    let rows = logits.len();
    let batch = Batch {
        rows,
        ids: Vec::new(),
        lists: Vec::new(),
        values: vec![logits, targets.collect(), numbers(&batch["weights"])],
    };
    let root = node.node();
    let plan = mtl_nn::Plan::new(&graph, &[root], true);
    let wanted = Wanted::none(&graph).node(z.node());
    let backward = mtl_nn::Backward::new(&graph, &[root], &wanted);
    let params = Params::init(graph.layout(), 0);
    let total = graph.nodes()[root.index()].op().total_weight(&batch).expect("a loss");
    let mut workspace = mtl_nn::Workspace::new(&graph, &plan, Some(&backward), rows);
    let mode = mtl_nn::Mode::Train { seed: 0, step: 1 };
    let pass = mtl_nn::Pass { batch: &batch, first_row: 0, rows, mode };
    workspace.forward(&graph, &plan, &params, pass);
    let value = workspace.value(&graph, node);
    let mean = (0..rows).map(|r| value.row(r)[0]).sum::<f64>() / total;
    assert_near("mean", &[mean], &[number(&expected["value"])]);
    workspace.backward(&graph, &backward, &params, pass, &[1.0 / total], &mut []);
    let gradient = workspace.gradient(&graph, z.node());
    let gradient: Vec<f64> = (0..rows).map(|r| gradient.row(r)[0]).collect();
    assert_near("gradient", &gradient, &numbers(&expected["gradient"]));
    Ok(())
}

#[test]
fn every_loss_matches_sixty_digits() -> Result<()> {
    let file = read("losses");
    let logits = numbers(&file["logits"]);
    let run = |case: &Value| -> Result<()> {
        fn each(
            loss: impl PointLoss + Copy + 'static,
            logits: &[f64],
            batch: &Value,
            case: &Value,
        ) -> Result<()> {
            check_points(&loss, logits, case);
            check_mean(loss, batch, &case["weighted_mean"])
        }
        let (settings, batch) = (&case["settings"], &file["batch"]);
        let setting = |name: &str| number(&settings[name]);
        match text(&case["name"]) {
            "bce" => each(Bce, &logits, batch, case),
            "mse" => each(SquaredError, &logits, batch, case),
            "huber" => each(Huber::new(setting("delta"))?, &logits, batch, case),
            "focal" => each(Focal::new(setting("gamma"), setting("alpha"))?, &logits, batch, case),
            "weighted_bce" => {
                each(WeightedBce::new(setting("positive_weight"))?, &logits, batch, case)
            }
            "log_cosh" => each(LogCosh, &logits, batch, case),
            other => panic!("no loss for {other}"),
        }
    };
    assert_eq!(items(&file["cases"]).len(), 7);
    items(&file["cases"]).iter().try_for_each(run)
}

/// The loss and its gradient by the logits, which are a table's rows, read in order.
fn check_table_loss(
    expected: &Value,
    columns: usize,
    loss: impl FnOnce(&mut GraphBuilder<f64>, Var) -> Result<Var>,
) -> Result<()> {
    let logits = numbers(&expected["logits"]);
    let rows = logits.len() / columns;
    let mut b = GraphBuilder::<f64>::new();
    let row = b.ids("row");
    let table = b.table("z", rows, columns, Init::Constant(0.0))?;
    let z = b.push("z", Embed::new(vec![Part::Lookup { slot: row, table, dim: columns }]))?;
    let node = loss(&mut b, z)?;
    b.loss("loss", node)?;
    let graph = Arc::new(b.finish());
    let mut params = Params::init(graph.layout(), 0);
    params.set("z", (rows, columns), &logits)?;
    let mut batch = Batch::for_graph(&graph);
    batch.rows = rows;
    for (slot, ids) in graph.id_slots().iter().zip(&mut batch.ids) {
        *ids = match slot.name.as_str() {
            "row" => (0..rows as u32).collect(),
            _ => numbers(&expected["groups"]).into_iter().map(|g| g as u32).collect(),
        };
    }
    for (slot, values) in graph.value_slots().iter().zip(&mut batch.values) {
        let column = items(&expected[&slot.name]).iter();
        *values = column.map(|value| value.as_f64().unwrap_or(f64::NAN)).collect();
    }
    let mut step = Step::new(Arc::clone(&graph))?;
    let mut optimiser = Optimiser::new(OptimiserConfig::default(), graph.layout())?;
    step.gradients(&params, &optimiser, &batch, &[1.0], 0)?;
    let table = mtl_nn::TableId::first();
    let mut gradient = vec![0.0; logits.len()];
    let sparse = step.table_gradient(table);
    for (&id, row) in sparse.ids().iter().zip(sparse.rows().chunks(columns)) {
        gradient[id as usize * columns..][..columns].copy_from_slice(row);
    }
    assert_near("gradient", &gradient, &numbers(&expected["gradient"]));
    let report = step.run(&mut params, &mut optimiser, &batch, &[1.0], 0)?;
    assert_near("mean", report.losses, &[number(&expected["value"])]);
    if let Some(total) = expected["total_weight"].as_f64() {
        assert_near("total weight", report.total_weights, &[total]);
    }
    Ok(())
}

#[test]
fn losses_of_classes_and_of_pairs_match_pytorch() -> Result<()> {
    let file = read("losses");
    check_table_loss(&file["softmax"], 4, |b, z| {
        let (label, weight) = (b.values("labels", 1)?, b.values("weights", 1)?);
        b.push("loss", SoftmaxLoss::new(z, label, Some(weight)))
    })?;
    check_table_loss(&file["pairwise"], 1, |b, z| {
        let (label, weight) = (b.values("labels", 1)?, b.values("weights", 1)?);
        let group = b.ids("groups");
        b.push("loss", Bpr::new(z, label, group, Some(weight)))
    })
}
