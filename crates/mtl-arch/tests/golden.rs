//! Every architecture and preset against an independent float64 implementation
//! (`golden/generate.py`): logits, losses, every gradient, every parameter after three steps.

#![allow(clippy::unwrap_used, reason = "a golden file that lacks a key is a failure of the test")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use mtl_arch::{ArchitectureConfig, Counts, InputKind, Inputs, PerLevel, Preset, architecture};
use mtl_nn::ops::{Bce, Domains, Embed, Part, RowLoss};
use mtl_nn::{
    Batch, Entry, Epsilon, Graph, GraphBuilder, Init, Optimiser, OptimiserConfig, Params,
    Predictor, Role, Rule, Step, TableUpdate, Var,
};
use serde_json::Value;

const TOLERANCE: f64 = 1e-9;

type Failure = Box<dyn std::error::Error>;

#[test]
fn every_file_agrees() -> Result<(), Failure> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut n = 0;
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "json") {
            let case: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
            if case.get("architecture").is_some() {
                check(&Case { name: path.display().to_string(), json: case })?;
                n += 1;
            }
        }
    }
    assert_eq!(n, 24, "ten architectures and two with batch norm, in two presets");
    Ok(())
}

struct Case {
    name: String,
    json: Value,
}

fn check(case: &Case) -> Result<(), Failure> {
    let graph = Arc::new(case.graph()?);
    assert_eq!(graph.layout().n_values() as u64, case.json["parameter_count"].as_u64().unwrap());
    let weights = case.weights(&graph);
    let rows: Vec<usize> = (0..case.n_rows()).collect();
    let (params, batch) = (case.initial(&graph)?, case.batch(&graph, &rows));

    // Without statistics of the batch prediction and training agree; with them the losses tell.
    if case.json["batch_norm"].is_null() && case.json["domain"].is_null() {
        case.compare_logits(&graph, &params, &batch, &case.json["logits"])?;
    }
    let optimiser = Optimiser::new(OptimiserConfig::default(), graph.layout())?;
    let mut step = Step::new(Arc::clone(&graph))?;
    step.gradients(&params, &optimiser, &batch, &weights, 0)?;
    for (path, expected) in case.json["gradients"].as_object().unwrap() {
        case.compare(path, &gradient(&step, &graph, path)?, expected);
    }
    for (name, variant) in case.json["after_3_steps"].as_object().unwrap() {
        after_steps(case, &graph, name, variant)?;
    }
    Ok(())
}

fn after_steps(
    case: &Case,
    graph: &Arc<Graph<f64>>,
    name: &str,
    variant: &Value,
) -> Result<(), Failure> {
    let mut params = case.initial(graph)?;
    let settings = &variant["optimiser"];
    let rule = Rule::Adam {
        lr: settings["learning_rate"].as_f64().unwrap(),
        beta1: settings["beta1"].as_f64().unwrap(),
        beta2: settings["beta2"].as_f64().unwrap(),
        epsilon: settings["epsilon"].as_f64().unwrap(),
        form: match settings["epsilon_form"].as_str().unwrap() {
            "outside" => Epsilon::Outside,
            _ => Epsilon::Hat,
        },
        weight_decay: 0.0,
    };
    let table_update = match settings["table_update"].as_str().unwrap() {
        "lazy" => TableUpdate::Lazy,
        _ => TableUpdate::Dense,
    };
    let config = OptimiserConfig { dense: rule, table_update, ..OptimiserConfig::default() };
    let mut optimiser = Optimiser::new(config, graph.layout())?;
    let mut step = Step::new(Arc::clone(graph))?;
    let weights = case.weights(graph);
    for (i, rows) in variant["rows_per_step"].as_array().unwrap().iter().enumerate() {
        let rows: Vec<usize> =
            rows.as_array().unwrap().iter().map(|r| r.as_u64().unwrap() as usize).collect();
        let batch = case.batch(graph, &rows);
        let report = step.run(&mut params, &mut optimiser, &batch, &weights, 0)?;
        let total: f64 = report.losses.iter().zip(&weights).map(|(l, w)| l * w).sum();
        let expected = variant["total_loss_before_step"][i].as_f64().unwrap();
        assert!((total - expected).abs() < TOLERANCE, "{} {name} step {i}", case.name);
        if let Some(running) = variant["running_after_step"].get(i) {
            for (path, expected) in running.as_object().unwrap() {
                case.compare(path, &flat(&params, path)?, expected);
            }
        }
    }
    for (path, expected) in variant["parameters"].as_object().unwrap() {
        case.compare(&format!("{name} {path}"), &flat(&params, path)?, expected);
    }
    let all: Vec<usize> = (0..case.n_rows()).collect();
    case.compare_logits(graph, &params, &case.batch(graph, &all), &variant["predicted_logits"])
}

fn gradient(step: &Step<f64>, graph: &Graph<f64>, path: &str) -> Result<Vec<f64>, Failure> {
    Ok(match graph.layout().find(path)? {
        Entry::Param(id) => {
            let g = step.dense_gradient(id);
            (0..g.rows()).flat_map(|r| g.row(r).to_vec()).collect()
        }
        Entry::Table(id) => {
            let (spec, sparse) = (graph.layout().table(id), step.table_gradient(id));
            let mut dense = vec![0.0; spec.rows * spec.dim];
            for (&id, row) in sparse.ids().iter().zip(sparse.rows().chunks(spec.dim)) {
                dense[id as usize * spec.dim..(id as usize + 1) * spec.dim].copy_from_slice(row);
            }
            dense
        }
    })
}

fn flat(params: &Params<f64>, path: &str) -> Result<Vec<f64>, Failure> {
    Ok(params.get(path)?.iter().copied().collect())
}

/// The initial values of the README's formula.
fn initial_value(path: &str, row: usize, col: usize) -> f64 {
    let h: u64 = path.bytes().enumerate().map(|(i, b)| (i as u64 + 1) * u64::from(b)).sum();
    0.6 * (12.9898 * (row as f64 + 1.0) + 78.233 * (col as f64 + 1.0) + h as f64).sin()
}

impl Case {
    fn units(&self, key: &str) -> Option<Vec<usize>> {
        let list = self.json.get(key)?.as_array()?;
        Some(list.iter().map(|n| n.as_u64().unwrap() as usize).collect())
    }

    fn names(&self, key: &str) -> Option<Vec<String>> {
        let names = self.json.get(key)?.as_array()?;
        Some(names.iter().map(|name| name.as_str().unwrap().to_owned()).collect())
    }

    fn tasks(&self) -> Vec<String> {
        self.names("tasks").unwrap()
    }

    /// The column of domains, and the number of its ids.
    fn domains(&self, b: &mut GraphBuilder<f64>) -> Domains {
        let name = self.json["domain"].as_str().unwrap();
        let features = self.json["features"].as_array().unwrap();
        let feature = features.iter().find(|feature| feature["name"] == name).unwrap();
        Domains { slot: b.ids(name), n: feature["rows"].as_u64().unwrap() as usize }
    }

    fn config(&self) -> ArchitectureConfig {
        let mut config = ArchitectureConfig {
            preset: match self.json["preset"].as_str().unwrap() {
                "paper" => Preset::Paper,
                _ => Preset::Tutorial,
            },
            bottom_units: self.units("expert_units"),
            expert_units: self.units("expert_units"),
            gate_units: self.units("gate_units"),
            tower_units: self.units("tower_units"),
            experts: self.json.get("experts").and_then(Value::as_u64).map(|n| n as usize),
            dropout: Some(0.0),
            batch_norm: !self.json["batch_norm"].is_null(),
            sequence: self.names("sequence"),
            ..ArchitectureConfig::default()
        };
        if let Some(levels) = self.json.get("levels").and_then(Value::as_array) {
            config.levels = Some(levels.len());
            let counts = |level: &Value| -> BTreeMap<String, usize> {
                let counts = level["task_experts"].as_object().unwrap();
                counts.iter().map(|(t, n)| (t.clone(), n.as_u64().unwrap() as usize)).collect()
            };
            let own = levels.iter().map(|l| Counts::ByTask(counts(l))).collect();
            config.task_experts = Some(PerLevel::Each(own));
            let shared = levels.iter().map(|l| l["shared_experts"].as_u64().unwrap() as usize);
            config.shared_experts = Some(PerLevel::Each(shared.collect()));
        }
        config
    }

    fn input(&self, b: &mut GraphBuilder<f64>, prefix: &str) -> Result<Var, Failure> {
        let mut parts = Vec::new();
        for feature in self.json["features"].as_array().unwrap() {
            let name = feature["name"].as_str().unwrap();
            parts.push(if feature["kind"] == "categorical" {
                let size = |key: &str| feature[key].as_u64().unwrap() as usize;
                let (rows, dim) = (size("rows"), size("dim"));
                let path = format!("{prefix}embedding.{name}.table");
                let table = b.table(path, rows, dim, Init::Constant(0.0))?;
                Part::Lookup { slot: b.ids(name), table, dim }
            } else {
                Part::Values { slot: b.values(name, 1)?, n_cols: 1 }
            });
        }
        Ok(b.push(&format!("{prefix}x"), Embed::new(parts))?)
    }

    fn graph(&self) -> Result<Graph<f64>, Failure> {
        let mut b = GraphBuilder::new();
        let name = self.json["architecture"].as_str().unwrap();
        let arch = architecture::<f64>(name, &self.config(), &self.tasks())?;
        let inputs = match arch.input_kind() {
            InputKind::Shared => Inputs::Shared(self.input(&mut b, "")?),
            InputKind::Domain => {
                let domains = self.domains(&mut b);
                Inputs::Domain { x: self.input(&mut b, "")?, domains }
            }
            InputKind::PerTask => {
                let mut tasks = self.tasks();
                tasks.sort();
                let inputs = tasks.iter().map(|t| self.input(&mut b, &format!("task.{t}.")));
                Inputs::PerTask(inputs.collect::<Result<_, _>>()?)
            }
        };
        let weight = b.values("weight", 1)?;
        let built = arch.build(&mut b, &inputs)?;
        for (task, z) in built.logits.clone() {
            let label = b.values(&format!("label.{task}"), 1)?;
            let mut loss = RowLoss::new(Bce, z, label, Some(weight));
            if let Some(penalty) = built.penalty(&task) {
                loss = loss.plus(penalty.rows);
            }
            let loss = b.push(&format!("loss.{task}"), loss)?;
            b.loss(&task, loss)?;
            b.output(&task, z)?;
        }
        Ok(b.finish())
    }

    fn weights(&self, graph: &Graph<f64>) -> Vec<f64> {
        let weight = |(task, _): &(String, _)| self.json["task_weights"][task].as_f64().unwrap();
        graph.losses().iter().map(weight).collect()
    }

    fn initial(&self, graph: &Graph<f64>) -> Result<Params<f64>, Failure> {
        let mut params = Params::init(graph.layout(), 0);
        let layout = Arc::clone(params.layout());
        for path in layout.paths() {
            let (rows, cols) = match layout.find(path)? {
                // γ, β and the running statistics start as the layer says.
                Entry::Param(id) if layout.param(id).role == Role::State => continue,
                Entry::Param(_) if path.contains(".norm.") => continue,
                Entry::Param(id) => (layout.param(id).rows, layout.param(id).cols),
                Entry::Table(id) => (layout.table(id).rows, layout.table(id).dim),
            };
            let values: Vec<f64> =
                (0..rows * cols).map(|i| initial_value(path, i / cols, i % cols)).collect();
            let sum = self.json["initial_sums"][path].as_f64().unwrap();
            assert!((values.iter().sum::<f64>() - sum).abs() < 1e-12, "{path}");
            params.set(path, (rows, cols), &values)?;
        }
        Ok(params)
    }

    fn n_rows(&self) -> usize {
        self.json["batch"]["weights"].as_array().unwrap().len()
    }

    fn batch(&self, graph: &Graph<f64>, rows: &[usize]) -> Batch<f64> {
        let json = &self.json["batch"];
        let mut batch = Batch::for_graph(graph);
        batch.rows = rows.len();
        for (slot, ids) in graph.id_slots().iter().zip(&mut batch.ids) {
            let column = &json["categorical"][&slot.name];
            ids.extend(rows.iter().map(|&r| column[r].as_u64().unwrap() as u32));
        }
        for (slot, values) in graph.value_slots().iter().zip(&mut batch.values) {
            let column = match slot.name.strip_prefix("label.") {
                Some(task) => &json["labels"][task],
                None if slot.name == "weight" => &json["weights"],
                None => &json["numeric"][&slot.name],
            };
            values.extend(rows.iter().map(|&r| column[r].as_f64().unwrap_or(f64::NAN)));
        }
        batch
    }

    fn compare_logits(
        &self,
        graph: &Arc<Graph<f64>>,
        params: &Params<f64>,
        batch: &Batch<f64>,
        expected: &Value,
    ) -> Result<(), Failure> {
        let logits = Predictor::new(Arc::clone(graph)).predict(params, batch)?;
        for (t, (task, _)) in graph.outputs().iter().enumerate() {
            let column: Vec<f64> = logits.column(t).to_vec();
            self.compare(&format!("logits of {task}"), &column, &expected[task]);
        }
        Ok(())
    }

    /// Compares with a JSON list of numbers, or of rows of them.
    fn compare(&self, what: &str, found: &[f64], expected: &Value) {
        let list = |v: &Value| -> Vec<f64> {
            match v.as_array() {
                Some(row) => row.iter().map(|v| v.as_f64().unwrap()).collect(),
                None => vec![v.as_f64().unwrap()],
            }
        };
        let expected: Vec<f64> = expected.as_array().unwrap().iter().flat_map(list).collect();
        assert_eq!(found.len(), expected.len(), "{}: {what}", self.name);
        for (i, (f, e)) in found.iter().zip(&expected).enumerate() {
            let slack = TOLERANCE * (1.0 + e.abs());
            assert!((f - e).abs() <= slack, "{}: {what} [{i}]: {f} against {e}", self.name);
        }
    }
}
