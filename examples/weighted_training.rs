//! `mtl-train` alone: loss weightings at work. One Shared-Bottom on two regressions of correlation
//! −0.5, and for each method its weights and, where it compares gradients, their last cosine.
//!
//! `cargo run --release -p mtl-examples --example weighted_training [-- ROWS]`

use mtl_data::correlated;
use mtl_examples::{Anything, rows};
use mtl_model::{Model, ModelConfig, ModelSpec, TaskConfig};
use mtl_train::{LossConfig, Silent, TrainConfig, evaluate, fit};

fn main() -> Result<(), Anything> {
    let rows = rows(1, 10_000)?;
    let config = correlated::Config { rows, dims: 20, correlation: -0.5, ..Default::default() };
    let data = correlated::load(&config)?;
    let tasks: Vec<_> = data.schema.labels().iter().map(TaskConfig::from_label).collect();
    for method in ["equal", "uncertainty", "gradnorm", "pareto", "nash_mtl", "upgrad"] {
        let architecture = toml::from_str("bottom_units = [32, 16]\ntower_units = [8]")?;
        let model = ModelConfig { architecture, ..ModelConfig::new("shared_bottom") };
        let spec = ModelSpec::new(model, tasks.clone(), None)?;
        let mut model = Model::new(spec, data.schema.clone(), 1)?;
        let train = TrainConfig {
            epochs: 5,
            batch_size: 128,
            loss: LossConfig::named(method)?,
            ..TrainConfig::default()
        };
        let fitted = fit(&mut model, (&data.train, &data.validation), &train, None, &mut Silent)?;

        print!("{method:12}");
        for task in evaluate(&model, &data.test)?.tasks {
            let report = task.metrics.regression().ok_or("both tasks are regressions")?;
            print!(" rmse {} {:.3} ", task.task, report.rmse.value().unwrap_or(f64::NAN));
        }
        let last = fitted.history.epochs.last().ok_or("five epochs")?;
        for (task, weight) in &last.weights {
            print!(" weight {task} {weight:.3} ");
        }
        for (_, _, cosine) in &last.cosines {
            print!(" cosine {cosine:+.2}");
        }
        println!();
    }
    Ok(())
}
