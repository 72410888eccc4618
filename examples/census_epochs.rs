//! What happens to each task of the census, epoch by epoch: AUC on validation and test rows, how
//! many of its tower's hidden units are dead (0 for every validation row), and on how many rows, in
//! per cent, the whole tower is off: these all get one score. `docs/census.md` reports it.
//!
//! `cargo run --release -p mtl-examples --example census_epochs -- mmoe 1,2,3 [tower width] [dim]`

use std::sync::Arc;

use mtl_data::census::{Group, load};
use mtl_feature::{FeatureTable, Feed, InputConfig};
use mtl_model::{Model, ModelConfig, ModelSpec, TaskConfig};
use mtl_nn::{Batch, Predictor};
use mtl_train::{Silent, TrainConfig, evaluate, fit};

type Anything = Box<dyn std::error::Error>;

const EPOCHS: usize = 12;

fn main() -> Result<(), Anything> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "mmoe".to_owned());
    let seeds = arguments.next().unwrap_or_else(|| "1".to_owned());
    let width: usize = arguments.next().map_or(Ok(8), |text| text.parse())?;
    let dim: usize = arguments.next().map_or(Ok(4), |text| text.parse())?;
    let data = load(Group::Income)?;
    let tasks: Vec<_> = data.schema.labels().iter().map(TaskConfig::from_label).collect();
    let mut model = ModelConfig::new(name);
    model.embedding = InputConfig { dim, ..InputConfig::default() };
    model.architecture = toml::from_str(&format!(
        "preset = 'paper'\nbottom_units = [117]\nexpert_units = [16]\ntower_units = [{width}]
         experts = 8\ntask_experts = 3\nshared_experts = 2\ndropout = 0.0"
    ))?;
    let spec = ModelSpec::new(model, tasks, None)?;
    println!("model seed epoch task validation test dead off");
    for seed in seeds.split(',') {
        let seed = seed.parse()?;
        let mut model = Model::new(spec.clone(), data.schema.clone(), seed)?;
        let nothing = data.train.select(&[]);
        let mut state = None;
        for epoch in 1..=EPOCHS {
            // Without validation rows the last epoch's weights are kept: those to look at.
            let train = TrainConfig { epochs: epoch, seed, ..TrainConfig::default() };
            let tables = (&data.train, &nothing);
            let fitted = fit(&mut model, tables, &train, state.as_ref(), &mut Silent)?;
            state = Some(fitted.state()?);
            report(&model, seed, epoch, width, &data.validation, &data.test)?;
        }
    }
    Ok(())
}

/// A line for each task.
fn report(
    model: &Model,
    seed: u64,
    epoch: usize,
    width: usize,
    validation: &FeatureTable,
    test: &FeatureTable,
) -> Result<(), Anything> {
    let towers = towers(model, validation, width)?;
    let (validation, test) = (evaluate(model, validation)?, evaluate(model, test)?);
    for (task, dead, off) in towers {
        let auc = |evaluation: &mtl_train::Evaluation| -> Option<f64> {
            evaluation.task(&task)?.binary()?.auc.value()
        };
        let (name, v, t) = (&model.spec().model.name, auc(&validation), auc(&test));
        println!(
            "{name} {seed} {epoch} {task} {:.4} {:.4} {dead} {off:.1}",
            v.unwrap_or(f64::NAN),
            t.unwrap_or(f64::NAN)
        );
    }
    Ok(())
}

/// For each task: dead units of its tower, and per cent of the rows on which all its units are 0.
fn towers(
    model: &Model,
    table: &FeatureTable,
    width: usize,
) -> Result<Vec<(String, usize, f64)>, Anything> {
    let graph = model.graph();
    let mut tasks: Vec<_> = model.spec().tasks.iter().map(|task| task.name.clone()).collect();
    tasks.sort(); // as the towers are
    let hidden = graph.var(graph.node("towers.0")?);
    let mut predictor = Predictor::of(Arc::clone(graph), vec![hidden]);
    let feed = Feed::new(graph, table)?;
    let mut batch = Batch::for_graph(graph);
    let mut alive = vec![false; hidden.n_cols()];
    let mut off = vec![0usize; tasks.len()];
    for start in (0..table.n_rows()).step_by(4096) {
        feed.fill_range(start, table.n_rows().min(start + 4096), &mut batch);
        for row in predictor.predict(&model.params, &batch)?.rows() {
            for (t, units) in row.as_slice().ok_or("rows are contiguous")?.chunks(width).enumerate()
            {
                let active = alive[t * width..].iter_mut().zip(units);
                active.for_each(|(alive, &h)| *alive |= h > 0.0);
                off[t] += usize::from(units.iter().all(|&h| h <= 0.0));
            }
        }
    }
    let tower = |(t, task): (usize, String)| {
        let dead = alive[t * width..(t + 1) * width].iter().filter(|alive| !**alive).count();
        (task, dead, 100.0 * off[t] as f64 / table.n_rows() as f64)
    };
    Ok(tasks.into_iter().enumerate().map(tower).collect())
}
