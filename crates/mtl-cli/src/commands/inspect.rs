//! `mtl inspect`: what a trained model is made of.

use std::collections::BTreeMap;

use anyhow::Context;
use mtl_data::read_table;
use mtl_feature::Targets;
use mtl_model::Model;
use mtl_nn::Role;
use mtl_nn::kernel::{Kernels, Precision};
use mtl_train::{EpochRecord, Gate, History, gates};
use serde::{Deserialize, Serialize};

use crate::args::InspectArgs;
use crate::{commands, render};

#[derive(Serialize)]
struct Inspection {
    model: String,
    tasks: Vec<String>,
    /// What the architecture gives a logit each: tasks, and edges of the chain.
    towers: Vec<String>,
    /// The behaviour graph over them, an equation a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<Vec<String>>,
    parameters: usize,
    instructions: &'static str,
    /// The kernels of a training step on this machine, by precision.
    products: BTreeMap<&'static str, String>,
    layers: Vec<Layer>,
    groups: Vec<Group>,
    gates: Vec<Gate>,
    /// The last epoch's: loss weights, gradient norms, cosines between losses.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_epoch: Option<EpochRecord>,
}

/// A node of the graph.
#[derive(Serialize)]
struct Layer {
    name: String,
    kind: &'static str,
    columns: usize,
    inputs: Vec<String>,
    parameters: usize,
}

/// Parameters that belong together: a table, an expert, a tower.
#[derive(Serialize)]
struct Group {
    path: String,
    shape: String,
    parameters: usize,
}

/// A tensor as `mtl export --format safetensors` writes it and `--init` wants it.
#[derive(Serialize)]
struct Tensor {
    name: String,
    shape: Vec<usize>,
}

pub(crate) fn run(args: &InspectArgs, json: bool) -> anyhow::Result<()> {
    let (model, options) = commands::open(&args.model)?;
    if args.dot {
        anyhow::ensure!(!json, "--dot beside --json, expected one of them");
        let chain = model.chain().with_context(|| {
            let folder = args.model.display();
            format!("{folder}: the model has no [chain], expected one for --dot to draw")
        })?;
        say!("{}", chain.to_dot().trim_end());
        return Ok(());
    }
    if args.tensors {
        return tensors(&model, json);
    }
    let noted = Noted::read(args)?;
    let gates = match &args.data {
        Some(file) => {
            gates(&model, &read_table(file, model.schema(), &options, Targets::Ignored)?)?
        }
        None => noted.gates,
    };
    let inspection = Inspection {
        model: model.spec().model.name.clone(),
        tasks: model.spec().tasks.iter().map(|task| task.name.clone()).collect(),
        towers: towers(&model),
        chain: model.chain().map(|chain| chain.to_string().lines().map(str::to_owned).collect()),
        parameters: model.n_parameters(),
        instructions: mtl_nn::kernel::instructions(),
        products: [("f32", Precision::F32), ("bf16", Precision::Bf16)]
            .map(|(name, precision)| (name, Kernels::new(precision).to_string()))
            .into(),
        layers: layers(&model),
        groups: groups(&model),
        gates,
        last_epoch: noted.history.epochs.last().cloned(),
    };
    if json {
        return render::json(&inspection);
    }
    print(&inspection);
    Ok(())
}

/// Tasks and the chain's towers, by name.
fn towers(model: &Model) -> Vec<String> {
    let tasks = model.spec().tasks.iter().map(|task| task.name.as_str());
    let of_chain = model.chain().into_iter().flat_map(|chain| chain.towers());
    let mut towers: Vec<String> = tasks.chain(of_chain).map(str::to_owned).collect();
    if model.chain().is_some() {
        towers.sort_unstable();
    }
    towers
}

fn tensors(model: &Model, json: bool) -> anyhow::Result<()> {
    let tensors = mtl_export::tensor_shapes(model.graph().layout())?;
    let tensors: Vec<_> = tensors.into_iter().map(|(name, shape)| Tensor { name, shape }).collect();
    if json {
        return render::json(&serde_json::json!({ "tensors": tensors }));
    }
    let shape = |sizes: &[usize]| sizes.iter().map(usize::to_string).collect::<Vec<_>>();
    let rows: Vec<_> =
        tensors.iter().map(|t| vec![t.name.clone(), shape(&t.shape).join(" × ")]).collect();
    render::table(&["tensor", "shape"].map(str::to_owned), &rows);
    Ok(())
}

fn layers(model: &Model) -> Vec<Layer> {
    let graph = model.graph();
    // A table that several layers read is counted where it is read first.
    let mut seen = std::collections::BTreeSet::new();
    let layer = |node: &mtl_nn::Node<f32>| {
        let op = node.op();
        let inputs = op.inputs().iter().map(|var| {
            let input = &graph.nodes()[var.node().index()];
            match var.n_cols() == input.n_cols() {
                true => input.name().to_owned(),
                false => {
                    let (start, end) = (var.start(), var.start() + var.n_cols());
                    format!("{}[{start}..{end}]", input.name())
                }
            }
        });
        let size = |id: &mtl_nn::ParamId| {
            let spec = graph.layout().param(*id);
            if spec.role == Role::State { 0 } else { spec.rows * spec.cols }
        };
        let lookups = op.lookups().iter().map(|lookup| lookup.table);
        let tables: Vec<_> = lookups.filter(|&table| seen.insert(table)).collect();
        let table_size = |id: &mtl_nn::TableId| {
            let spec = graph.layout().table(*id);
            spec.rows * spec.dim
        };
        Layer {
            name: node.name().to_owned(),
            kind: op.kind(),
            columns: node.n_cols(),
            inputs: inputs.collect(),
            parameters: op.params().iter().map(size).sum::<usize>()
                + tables.iter().map(table_size).sum::<usize>(),
        }
    };
    graph.nodes().iter().map(layer).collect()
}

/// Parameters by the path without the layer's number and the kind of value.
fn groups(model: &Model) -> Vec<Group> {
    let layout = model.graph().layout();
    let mut groups: Vec<Group> = Vec::new();
    let dense = layout.params().iter().filter(|p| p.role != Role::State);
    let tables = layout.tables().iter().map(|t| (t.path.as_str(), t.rows, t.dim));
    for (path, rows, cols) in tables.chain(dense.map(|p| (p.path.as_str(), p.rows, p.cols))) {
        let mut parts: Vec<&str> = path.split('.').collect();
        let is_weight = parts.last() == Some(&"weight");
        while parts.last().is_some_and(|part| {
            matches!(*part, "weight" | "bias" | "table" | "gamma" | "beta" | "norm")
        }) {
            parts.pop();
        }
        let is_layer = |part: &&str| part.parse::<usize>().is_ok();
        if !path.ends_with(".table") && parts.last().is_some_and(is_layer) {
            parts.pop();
        }
        let stem = parts.join(".");
        let shape = format!("{rows} × {cols}");
        match groups.iter_mut().find(|group| group.path == stem) {
            Some(group) => {
                group.parameters += rows * cols;
                if is_weight {
                    group.shape = match group.shape.is_empty() {
                        true => shape,
                        false => format!("{} → {cols}", group.shape),
                    };
                }
            }
            None => groups.push(Group {
                path: stem,
                shape: if is_weight || path.ends_with(".table") { shape } else { String::new() },
                parameters: rows * cols,
            }),
        }
    }
    groups
}

/// What training noted in the folder's `metrics.json`.
#[derive(Default, Deserialize)]
struct Noted {
    gates: Vec<Gate>,
    history: History,
}

impl Noted {
    /// Without that file the model is as good as with it: what is in it is all that is not shown.
    fn read(args: &InspectArgs) -> anyhow::Result<Self> {
        let path = args.model.join(commands::METRICS);
        if !path.exists() {
            let gates = match args.data {
                Some(_) => "",
                None => " gates (measured with --data FILE) or",
            };
            tell!("note: there is no {}, and so no{gates} last epoch to show", path.display());
            return Ok(Self::default());
        }
        let text = std::fs::read(&path).with_context(|| path.display().to_string())?;
        serde_json::from_slice(&text).with_context(|| path.display().to_string())
    }
}

fn print(inspection: &Inspection) {
    let text = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    say!(
        "{} of {}: {} parameters; element-wise loops run in {}",
        inspection.model,
        inspection.towers.join(", "),
        inspection.parameters,
        inspection.instructions
    );
    let products = inspection.products.values().map(String::as_str);
    say!("Training here: {}", products.collect::<Vec<_>>().join("; "));
    if let Some(chain) = &inspection.chain {
        say!("\nChain: the probability of each event\n{}", chain.join("\n"));
    }
    say!("\nLayers");
    let row = |layer: &Layer| {
        let (columns, parameters) = (layer.columns.to_string(), layer.parameters.to_string());
        let inputs = match layer.inputs.len() {
            0..=3 => layer.inputs.join(", "),
            n => format!("{}, … ({n} inputs)", layer.inputs[..2].join(", ")),
        };
        vec![layer.name.clone(), layer.kind.to_owned(), columns, parameters, inputs]
    };
    let rows: Vec<_> = inspection.layers.iter().map(row).collect();
    render::table(&text(&["node", "op", "columns", "parameters", "reads"]), &rows);
    say!("\nParameters");
    let row = |g: &Group| vec![g.path.clone(), g.shape.clone(), g.parameters.to_string()];
    let rows: Vec<_> = inspection.groups.iter().map(row).collect();
    render::table(&text(&["path", "shape", "parameters"]), &rows);
    print_gates(inspection);
    print_conflict(inspection);
}

/// Weights, norms and cosines of the last epoch's losses.
fn print_conflict(inspection: &Inspection) {
    let Some(epoch) = &inspection.last_epoch else { return };
    // Under equal weights there are none, and gradients only if they were watched.
    let named = if epoch.weights.is_empty() { &epoch.loss_gradient_norms } else { &epoch.weights };
    if named.is_empty() {
        return;
    }
    say!("\nLosses in the last epoch: weight, norm of the gradient of shared parameters");
    let of = |values: &[(String, f64)], name: &String| {
        values.iter().find(|(other, _)| other == name).map(|&(_, value)| value)
    };
    let row = |(name, _): &(String, f64)| {
        let (weight, norm) = (of(&epoch.weights, name), of(&epoch.loss_gradient_norms, name));
        vec![name.clone(), render::number(weight, 4), render::number(norm, 5)]
    };
    let rows: Vec<_> = named.iter().map(row).collect();
    let text = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    render::table(&text(&["loss", "weight", "gradient norm"]), &rows);
    if let Some(solves) = epoch.solves.filter(|solves| solves.fallbacks > 0.0) {
        say!(
            "In {:.1} % of its steps the weighting's own equations had no solution and its fallback was \
             taken (worst relative residual {:.0e})",
            100.0 * solves.fallbacks,
            solves.worst_residual
        );
    }
    if !epoch.cosines.is_empty() {
        say!("\nCosine between gradients of two losses (below 0 they conflict)");
        let row = |(a, b, cosine): &(String, String, f64)| {
            vec![a.clone(), b.clone(), format!("{cosine:+.3}")]
        };
        let rows: Vec<_> = epoch.cosines.iter().map(row).collect();
        render::table(&text(&["loss", "loss", "cosine"]), &rows);
    }
}

fn print_gates(inspection: &Inspection) {
    let text = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    if inspection.gates.is_empty() {
        return;
    }
    say!("\nGates: mean weight of each expert (share of rows where it is the largest)");
    let mut rows = Vec::new();
    for gate in &inspection.gates {
        let (mean, top) = (gate.utilisation.iter().flatten(), gate.top.iter().flatten());
        for (k, (mean, top)) in mean.zip(top).enumerate() {
            let expert = &gate.experts[k];
            let dead = if gate.dead.contains(expert) { "dead" } else { "" };
            let name = if k == 0 { gate.path.clone() } else { String::new() };
            let entropy = if k == 0 { render::number(gate.entropy, 3) } else { String::new() };
            let weight = format!("{mean:.3} ({:.1} %)", 100.0 * top);
            rows.push(vec![name, expert.clone(), bar(*mean), weight, entropy, dead.to_owned()]);
        }
    }
    render::table(&text(&["gate", "expert", "", "weight", "entropy", ""]), &rows);
}

/// A share as a bar, so that rows of experts can be read as a picture.
fn bar(share: f64) -> String {
    const WIDTH: usize = 20;
    let full = (share.clamp(0.0, 1.0) * WIDTH as f64).round() as usize;
    "█".repeat(full) + &"·".repeat(WIDTH - full)
}
