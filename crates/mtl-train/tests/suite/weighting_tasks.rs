//! Every weighting and the tasks it is given: in any order, and sixteen of them.

use std::fmt::Write as _;

use mtl_data::{Dataset, funnel};
use mtl_loss::WeightingConfig;
use mtl_model::{Model, ModelConfig, ModelSpec, TaskConfig};
use mtl_train::{Fitted, LossConfig, RunConfig, Silent, TrainConfig, TrainingState, fit};

type Failure = Box<dyn std::error::Error>;

fn funnel() -> Result<Dataset, Failure> {
    Ok(funnel::load(&funnel::Config { rows: 1_500, users: 60, items: 30, ..Default::default() })?)
}

fn of_tasks(names: &[&str]) -> Result<ModelSpec, Failure> {
    let mut model = ModelConfig::new("mmoe");
    model.architecture.expert_units = Some(vec![8, 6]);
    model.architecture.gate_units = Some(vec![4]);
    model.architecture.tower_units = Some(vec![6]);
    let tasks = names.iter().map(|name| TaskConfig::binary(*name)).collect();
    Ok(ModelSpec::new(model, tasks, None)?)
}

/// Trains on all training rows, without validation.
fn train(
    spec: &ModelSpec,
    data: &Dataset,
    config: &TrainConfig,
    state: Option<&TrainingState>,
) -> Result<(Model, Fitted), Failure> {
    let mut model = Model::new(spec.clone(), data.schema.clone(), config.seed)?;
    let nothing = data.train.select(&[]);
    let fitted = fit(&mut model, (&data.train, &nothing), config, state, &mut Silent)?;
    Ok((model, fitted))
}

fn config(loss: &str, epochs: usize) -> Result<TrainConfig, Failure> {
    let loss = LossConfig::parse(toml::from_str(loss)?)?;
    let learning_rate = Some(0.01);
    Ok(TrainConfig { epochs, batch_size: 300, seed: 3, learning_rate, loss, ..Default::default() })
}

fn assert_same(one: &Model, other: &Model, what: &str) -> Result<(), Failure> {
    for path in one.graph().layout().paths() {
        assert_eq!(one.params.get(path)?, other.params.get(path)?, "{what}: {path}");
    }
    Ok(())
}

/// Losses are in the order of their names wherever a weighting sees them, so this holds for those too
/// that draw random numbers by position.
#[test]
fn the_order_of_tasks_changes_no_bit_under_any_method() -> Result<(), Failure> {
    let data = funnel()?;
    let one = of_tasks(&["click", "action", "purchase"])?;
    let other = of_tasks(&["purchase", "click", "action"])?;
    for method in WeightingConfig::NAMES {
        let config = config(&format!("weighting = '{method}'"), 2)?;
        let (model, fitted) = train(&one, &data, &config, None)?;
        let (permuted, refitted) = train(&other, &data, &config, None)?;
        assert_same(&model, &permuted, method)?;
        let weights = |fitted: &Fitted| fitted.history.epochs[1].weights.clone();
        assert_eq!(weights(&fitted), weights(&refitted), "{method}");
    }
    Ok(())
}

/// By default the nadir is of the fifth epoch, and what is saved before it is zero.
#[test]
fn the_nadir_of_an_early_epoch_is_resumed() -> Result<(), Failure> {
    let (data, spec) = (funnel()?, of_tasks(&["click", "action"])?);
    let config = |epochs| config("weighting = { method = 'stch', warmup_epochs = 0 }", epochs);
    let (whole, _) = train(&spec, &data, &config(3)?, None)?;
    let (_, half) = train(&spec, &data, &config(1)?, None)?;
    let state = TrainingState::from_bytes(&half.state()?.to_bytes()?, "state")?;
    let (resumed, _) = train(&spec, &data, &config(3)?, Some(&state))?;
    assert_same(&whole, &resumed, "stch")
}

/// Sixteen labels of one number and some noise, every other one turned round.
fn sixteen() -> Result<(ModelSpec, Dataset), Failure> {
    let folder = tempfile::tempdir()?;
    let mut rows = "user,item".to_owned();
    let mut text = r#"
        [data]
        train = "log.csv"
        [[feature]]
        name = "user"
        kind = "numeric"
        transform = "standardise"
        [[feature]]
        name = "item"
        kind = "categorical"
        [model]
        name = "mmoe"
        expert_units = [8, 6]
        gate_units = [4]
        tower_units = [6]
    "#
    .to_owned();
    for t in 0..16 {
        write!(rows, ",t{t:02}")?;
        write!(text, "\n[[task]]\nname = 't{t:02}'")?;
    }
    for i in 0..600 {
        let user = i * 7 % 20;
        write!(rows, "\n{user},i{}", i * 13 % 30)?;
        for t in 0..16 {
            let is_high = user + i * (2 * t + 1) % 7 > 6 + t;
            write!(rows, ",{}", u8::from(is_high == (t % 2 == 0)))?;
        }
    }
    std::fs::write(folder.path().join("log.csv"), rows + "\n")?;
    let config = RunConfig::parse(&text)?;
    let data = config.data.clone().relative_to(folder.path());
    let data = mtl_data::load(&data, config.features.clone(), config.labels()?)?;
    Ok((config.named_model()?, data))
}

#[test]
fn every_method_trains_sixteen_tasks() -> Result<(), Failure> {
    let (spec, data) = sixteen()?;
    for method in WeightingConfig::NAMES {
        let (model, fitted) =
            train(&spec, &data, &config(&format!("weighting = '{method}'"), 6)?, None)?;
        let predicted = model.predict(&data.train)?;
        assert!(predicted.values().iter().all(|p| p.is_finite()), "{method}");
        let total = |epoch: usize| -> f64 {
            fitted.history.epochs[epoch].losses.iter().filter_map(|(_, loss)| *loss).sum()
        };
        assert_eq!(fitted.history.epochs[0].losses.len(), 16);
        assert!(total(5) < total(0), "{method}: {} → {}", total(0), total(5));
    }
    Ok(())
}
