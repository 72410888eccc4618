//! Every weighting through the training loop: it trains, to the same bits for any number of threads
//! and after an interruption, with one task, absent tasks and tasks without a gradient; a loss that
//! is not finite stops it before the damage.

use std::sync::Arc;

use mtl_data::{Dataset, Shuffle, correlated, funnel};
use mtl_feature::{FeatureTable, Feed};
use mtl_loss::WeightingConfig;
use mtl_model::{Model, ModelConfig, ModelSpec, TaskConfig};
use mtl_nn::{Batch, Optimiser};
use mtl_train::{
    Fitted, History, LossConfig, Observer, SharedParameters, Silent, TrainConfig, TrainingState,
    Weighting, fit,
};

use crate::after::After;

type Failure = Box<dyn std::error::Error>;

const TASKS: [&str; 3] = ["click", "action", "purchase"];

fn data() -> Result<Dataset, Failure> {
    Ok(funnel::load(&funnel::Config { rows: 2_500, users: 60, items: 30, ..Default::default() })?)
}

fn spec(tasks: Vec<TaskConfig>) -> Result<ModelSpec, Failure> {
    let mut model = ModelConfig::new("mmoe");
    model.embedding.dim = 4;
    model.architecture.experts = Some(3);
    model.architecture.expert_units = Some(vec![8, 6]);
    model.architecture.gate_units = Some(vec![4]);
    model.architecture.tower_units = Some(vec![6]);
    Ok(ModelSpec::new(model, tasks, None)?)
}

fn binary(names: &[&str]) -> Vec<TaskConfig> {
    names.iter().map(|name| TaskConfig::binary(*name)).collect()
}

fn config(method: &str, epochs: usize) -> Result<TrainConfig, Failure> {
    let loss = LossConfig::named(method)?;
    let learning_rate = Some(0.01);
    Ok(TrainConfig { epochs, batch_size: 400, seed: 3, learning_rate, loss, ..Default::default() })
}

/// Trains on all rows without validation, so that the last epoch's weights are kept.
fn train(
    spec: &ModelSpec,
    data: &Dataset,
    table: &FeatureTable,
    config: &TrainConfig,
    state: Option<&TrainingState>,
) -> Result<(Model, Fitted), Failure> {
    let mut model = Model::new(spec.clone(), data.schema.clone(), config.seed)?;
    let nothing = table.select(&[]);
    let fitted = fit(&mut model, (table, &nothing), config, state, &mut Silent)?;
    Ok((model, fitted))
}

fn assert_same(one: &Model, other: &Model, what: &str) -> Result<(), Failure> {
    for path in one.graph().layout().paths() {
        assert_eq!(one.params.get(path)?, other.params.get(path)?, "{what}: {path}");
    }
    Ok(())
}

fn assert_finite(model: &Model, what: &str) -> Result<(), Failure> {
    for path in model.graph().layout().paths() {
        assert!(model.params.get(path)?.iter().all(|v| v.is_finite()), "{what}: {path}");
    }
    Ok(())
}

/// What an epoch says, without its seconds.
fn told(history: &History) -> Result<Vec<serde_json::Value>, Failure> {
    let told = history.epochs.iter().map(|epoch| {
        let mut epoch = serde_json::to_value(epoch)?;
        epoch["seconds"].take();
        Ok(epoch)
    });
    told.collect()
}

/// Σ of the tasks' losses in an epoch.
fn total(history: &History, epoch: usize) -> f64 {
    history.epochs[epoch].losses.iter().filter_map(|(_, loss)| *loss).sum()
}

/// The table with another column of labels in the place of one.
fn with_label(table: &FeatureTable, name: &str, new: Vec<f32>) -> Result<FeatureTable, Failure> {
    let mut out = FeatureTable::new(table.n_rows());
    for (name, ids) in table.ids() {
        out = out.with_ids(name, ids.clone())?;
    }
    for (name, values) in table.values() {
        out = out.with_values(name, values.clone())?;
    }
    for (old, labels) in table.labels() {
        let labels = if old == name { new.clone() } else { labels.clone() };
        out = out.with_label(old, labels)?;
    }
    Ok(out)
}

#[test]
fn every_method_trains_to_the_same_bits_on_one_thread_and_two() -> Result<(), Failure> {
    let (data, spec) = (data()?, spec(binary(&TASKS))?);
    let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build();
    let (one, two) = (pool(1)?, pool(2)?);
    for method in WeightingConfig::NAMES {
        let config = config(method, 3)?;
        let run = || train(&spec, &data, &data.train, &config, None).map_err(|e| e.to_string());
        let (model, fitted) = one.install(run)?;
        let (first, last) = (total(&fitted.history, 0), total(&fitted.history, 2));
        assert!(last < first, "{method}: {first} → {last}");
        let (other, refitted) = two.install(run)?;
        assert_same(&model, &other, method)?;
        assert_eq!(told(&fitted.history)?, told(&refitted.history)?, "{method}");
    }
    Ok(())
}

#[test]
fn every_method_resumes_as_if_it_had_never_stopped() -> Result<(), Failure> {
    let (data, spec) = (data()?, spec(binary(&TASKS))?);
    for method in WeightingConfig::NAMES {
        let (model, whole) = train(&spec, &data, &data.train, &config(method, 3)?, None)?;
        let (_, half) = train(&spec, &data, &data.train, &config(method, 1)?, None)?;
        let state = TrainingState::from_bytes(&half.state()?.to_bytes()?, "state")?;
        let (resumed, rest) = train(&spec, &data, &data.train, &config(method, 3)?, Some(&state))?;
        assert_same(&model, &resumed, method)?;
        assert_eq!(told(&whole.history)?, told(&rest.history)?, "{method}");
    }
    Ok(())
}

#[test]
fn every_method_goes_on_from_any_step_as_if_it_had_never_stopped() -> Result<(), Failure> {
    let (data, spec) = (data()?, spec(binary(&TASKS))?);
    let tables = (&data.train, &data.validation);
    let per_epoch = data.train.n_rows().div_ceil(400);
    // With dropout, and the best epoch chosen.
    let fit =
        |model: &mut Model, method, state: Option<&TrainingState>, watch: &mut dyn Observer| {
            fit(model, tables, &config(method, 2).unwrap(), state, watch)
        };
    let model = || Model::new(spec.clone(), data.schema.clone(), 3);
    for method in WeightingConfig::NAMES {
        let mut whole = model()?;
        let expected = fit(&mut whole, method, None, &mut Silent)?;
        // The first step, the middle of an epoch, its last step, and the next one's first.
        let (mut state, mut done) = (None::<TrainingState>, 0);
        for stop in [1, per_epoch / 2, per_epoch, per_epoch + 1] {
            let left =
                fit(&mut model()?, method, state.as_ref(), &mut After(stop - done))?.state()?;
            let (epochs, steps) = (left.history().epochs.len(), left.steps_partway());
            assert_eq!(epochs * per_epoch + steps.unwrap(), stop, "{method}");
            (state, done) = (Some(TrainingState::from_bytes(&left.to_bytes()?, "state")?), stop);
        }
        let mut resumed = model()?;
        let rest = fit(&mut resumed, method, state.as_ref(), &mut Silent)?;
        assert_eq!(rest.steps_partway(), None);
        assert_same(&whole, &resumed, method)?;
        assert_eq!(told(&expected.history)?, told(&rest.history)?, "{method}");
    }
    Ok(())
}

#[test]
fn an_interruption_within_and_between_blocks_changes_nothing() -> Result<(), Failure> {
    let (data, spec) = (data()?, spec(binary(&TASKS))?);
    let nothing = data.train.select(&[]);
    let tables = (&data.train, &nothing);
    // Blocks of three steps, the last one of 100 rows; the last block is shorter.
    let config = TrainConfig { shuffle_rows: Some(900), ..config("gradnorm", 2)? };
    let model = || Model::new(spec.clone(), data.schema.clone(), 3);
    let mut whole = model()?;
    let expected = fit(&mut whole, tables, &config, None, &mut Silent)?;
    let mut stop = 0;
    loop {
        stop += 1;
        let left = fit(&mut model()?, tables, &config, None, &mut After(stop))?.state()?;
        if left.steps_partway().is_none() {
            break;
        }
        let mut resumed = model()?;
        let rest = fit(&mut resumed, tables, &config, Some(&left), &mut Silent)?;
        assert_same(&whole, &resumed, &stop.to_string())?;
        assert_eq!(told(&expected.history)?, told(&rest.history)?, "{stop}");
    }
    assert!(stop > 7, "an epoch has steps in several blocks: {stop}");
    Ok(())
}

#[test]
fn running_gradients_are_resumed() -> Result<(), Failure> {
    let (data, spec) = (data()?, spec(binary(&TASKS))?);
    for shared in ["last_layer", "dense"] {
        let table = format!("weighting = {{ method = 'db_mtl', beta = 0.9 }}\nshared = '{shared}'");
        let loss = LossConfig::parse(toml::from_str(&table)?)?;
        let config =
            |epochs| TrainConfig { loss: loss.clone(), ..config("equal", epochs).unwrap() };
        let (model, whole) = train(&spec, &data, &data.train, &config(3), None)?;
        let (_, half) = train(&spec, &data, &data.train, &config(1), None)?;
        let state = TrainingState::from_bytes(&half.state()?.to_bytes()?, "state")?;
        let (resumed, rest) = train(&spec, &data, &data.train, &config(3), Some(&state))?;
        assert_same(&model, &resumed, shared)?;
        assert_eq!(told(&whole.history)?, told(&rest.history)?, "{shared}");
        let (first, last) = (total(&whole.history, 0), total(&whole.history, 2));
        assert!(last < first, "{shared}: {first} → {last}");
    }
    Ok(())
}

#[test]
fn a_run_is_not_resumed_under_another_weighting() -> Result<(), Failure> {
    let (data, spec) = (data()?, spec(binary(&TASKS))?);
    let with = |loss: &str, epochs| -> Result<TrainConfig, Failure> {
        let loss = LossConfig::parse(toml::from_str(loss)?)?;
        Ok(TrainConfig { loss, ..config("equal", epochs)? })
    };
    for (was, is, expected) in [
        (
            "weighting = 'uncertainty'",
            "weighting = 'gradnorm'",
            "`loss.weighting.method` was \"uncertainty\", and is \"gradnorm\" now",
        ),
        ("weighting = 'mgda'", "", "`loss.weighting.method` was \"mgda\", and is \"equal\" now"),
        ("", "weighting = 'famo'", "`loss.weighting.method` was \"equal\", and is \"famo\" now"),
        (
            "weighting = 'gradnorm'",
            "weighting = { method = 'gradnorm', alpha = 0.5 }",
            "`loss.weighting.alpha` was 1.5, and is 0.5 now",
        ),
        (
            "weighting = { method = 'nash_mtl', max_norm = 1.0 }",
            "weighting = 'nash_mtl'",
            "`loss.weighting.max_norm` was 1.0, and is not set now",
        ),
        (
            "weighting = { method = 'fixed', weights = { click = 0.5 } }",
            "weighting = { method = 'fixed', weights = { click = 0.5, action = 2.0 } }",
            "`loss.weighting.weights.action` was not set, and is 2.0 now",
        ),
        (
            "weighting = 'pcgrad'",
            "weighting = 'pcgrad'\nshared = 'all'",
            "`loss.shared` was \"last_layer\", and is \"all\" now",
        ),
    ] {
        let (model, fitted) = train(&spec, &data, &data.train, &with(was, 1)?, None)?;
        let state = TrainingState::from_bytes(&fitted.state()?.to_bytes()?, "m.training.bin")?;
        let expected = format!("m.training.bin: {expected}");
        let other = with(is, 2)?;
        assert_eq!(state.check(&model, &other).unwrap_err().to_string(), expected);
        let error = train(&spec, &data, &data.train, &other, Some(&state)).unwrap_err();
        assert_eq!(error.to_string(), expected);
        state.check(&model, &with(was, 2)?)?;
    }
    // Defaults that are written out are the same settings.
    let (model, fitted) =
        train(&spec, &data, &data.train, &with("weighting = 'gradnorm'", 1)?, None)?;
    let same = "weighting = { method = 'gradnorm', alpha = 1.5 }\nshared = 'last_layer'";
    Ok(fitted.state()?.check(&model, &with(same, 2)?)?)
}

#[test]
fn a_state_of_another_version_says_so() -> Result<(), Failure> {
    let old = mtl_nn::checkpoint::encode("mtl training state 3", &1_u32);
    let error = TrainingState::from_bytes(&old, "m.training.bin").unwrap_err().to_string();
    let expected = "m.training.bin: it was written by another version (`mtl training state 3`, ";
    assert!(error.starts_with(expected), "{error}");
    let other = mtl_nn::checkpoint::encode("mtl schema", &1_u32);
    let error = TrainingState::from_bytes(&other, "m.training.bin").unwrap_err().to_string();
    assert!(error.contains("it holds `mtl schema`"), "{error}");
    Ok(())
}

#[test]
fn every_method_trains_one_task_alone() -> Result<(), Failure> {
    let (data, spec) = (data()?, spec(binary(&["click"]))?);
    for method in WeightingConfig::NAMES {
        let (model, fitted) = train(&spec, &data, &data.train, &config(method, 3)?, None)?;
        assert_finite(&model, method)?;
        let (first, last) = (total(&fitted.history, 0), total(&fitted.history, 2));
        assert!(last < first, "{method}: {first} → {last}");
    }
    Ok(())
}

#[test]
fn every_method_bears_a_task_that_is_absent_from_most_batches() -> Result<(), Failure> {
    let (data, spec) = (data()?, spec(binary(&TASKS))?);
    // Three labels: of five batches an epoch at least two carry none.
    let mut labels = vec![f32::NAN; data.train.n_rows()];
    (labels[7], labels[500], labels[900]) = (1.0, 0.0, 1.0);
    let table = with_label(&data.train, "action", labels)?;
    for method in WeightingConfig::NAMES {
        for shared in
            [SharedParameters::LastLayer, SharedParameters::All, SharedParameters::Representation]
        {
            let mut config = config(method, 2)?;
            config.loss.shared = shared;
            let (model, fitted) = train(&spec, &data, &table, &config, None)?;
            assert_finite(&model, method)?;
            let loss = |epoch: usize, name: &str| {
                let losses = &fitted.history.epochs[epoch].losses;
                losses.iter().find(|(found, _)| found == name).and_then(|(_, loss)| *loss)
            };
            let (first, last) = (loss(0, "click"), loss(1, "click"));
            assert!(last < first, "{method}: {first:?} → {last:?}");
        }
    }
    Ok(())
}

#[test]
fn a_weight_is_a_mean_over_the_steps_that_have_the_task() -> Result<(), Failure> {
    let (data, spec) = (data()?, spec(binary(&TASKS))?);
    // Three labels: of five batches an epoch at least two carry none.
    let mut labels = vec![f32::NAN; data.train.n_rows()];
    (labels[7], labels[500], labels[900]) = (1.0, 0.0, 1.0);
    let table = with_label(&data.train, "action", labels)?;
    let (_, fitted) = train(&spec, &data, &table, &config("fixed", 2)?, None)?;
    for epoch in &fitted.history.epochs {
        let ones: Vec<(String, f64)> =
            ["action", "click", "purchase"].iter().map(|name| ((*name).to_owned(), 1.0)).collect();
        assert_eq!(epoch.weights, ones);
    }
    Ok(())
}

/// Shared weights that gradients can only be along or against: a row at a time and one column.
#[test]
fn a_run_that_is_mostly_a_fallback_says_so() -> Result<(), Failure> {
    let data = data()?;
    let mut bottom = ModelConfig::new("shared_bottom");
    bottom.architecture.bottom_units = Some(vec![4, 1]);
    let opposed = ModelSpec::new(bottom, binary(&TASKS), None)?;
    let some = data.train.select(&(0..60).collect::<Vec<u32>>());
    for (method, falls_back) in [("nash_mtl", true), ("fairgrad", true), ("mgda", false)] {
        let one_row = TrainConfig { batch_size: 1, ..config(method, 1)? };
        let (_, fitted) = train(&opposed, &data, &some, &one_row, None)?;
        let solves = fitted.history.epochs[0].solves.expect(method);
        assert_eq!(solves.fallbacks > 0.1, falls_back, "{method}: {solves:?}");
        assert!(solves.worst_residual <= 1e-8, "{method}: {solves:?}");
    }
    // Where a solution is, it is taken; a method that solves nothing has nothing to say.
    let wide = spec(binary(&TASKS))?;
    let solves = |method| -> Result<_, Failure> {
        let (_, fitted) = train(&wide, &data, &data.train, &config(method, 1)?, None)?;
        Ok(fitted.history.epochs[0].solves)
    };
    let nash = solves("nash_mtl")?.ok_or("it solves an equation")?;
    assert_eq!(nash.fallbacks, 0.0);
    assert!(nash.worst_residual > 0.0 && nash.worst_residual <= 1e-8, "{nash:?}");
    assert_eq!(solves("uncertainty")?, None);
    Ok(())
}

#[test]
fn every_method_bears_a_task_without_a_gradient() -> Result<(), Failure> {
    let (data, mut tasks) = (data()?, binary(&TASKS));
    tasks[1].weight = 0.0; // the loss is 0 for every method, and so is its gradient
    let spec = spec(tasks)?;
    for method in WeightingConfig::NAMES {
        let (model, fitted) = train(&spec, &data, &data.train, &config(method, 2)?, None)?;
        assert_finite(&model, method)?;
        assert!(total(&fitted.history, 1).is_finite(), "{method}");
    }
    Ok(())
}

/// A label whose square is beyond f32, in a row that comes third of the batches.
#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_leaves_the_last_good_weights() -> Result<(), Failure>
{
    let data =
        correlated::load(&correlated::Config { rows: 2_500, dims: 6, ..Default::default() })?;
    let regression = |name: &str| -> Result<TaskConfig, Failure> {
        Ok(toml::from_str(&format!("name = '{name}'\nkind = 'regression'"))?)
    };
    let spec = spec(vec![regression("y_1")?, regression("y_2")?])?;
    let config = config("gradnorm", 1)?;
    let shuffle = Shuffle::new(data.train.n_rows(), config.seed, 1);
    let row = shuffle.batches(config.batch_size).nth(2).expect("three batches")[300];
    let mut labels = data.train.label_of("y_2").expect("the pair has it").to_vec();
    labels[row as usize] = 1e30;
    let table = with_label(&data.train, "y_2", labels)?;

    let mut model = Model::new(spec.clone(), data.schema.clone(), config.seed)?;
    let nothing = table.select(&[]);
    let error = fit(&mut model, (&table, &nothing), &config, None, &mut Silent).unwrap_err();
    assert_eq!(error.to_string(), "step 3: the loss `y_2` is inf in batch rows 200..400");

    let by_hand = two_steps(&spec, &data, &table, &config)?;
    assert_same(&model, &by_hand, "two steps")
}

/// The first two steps of the loop, with the same parts.
fn two_steps(
    spec: &ModelSpec,
    data: &Dataset,
    table: &FeatureTable,
    config: &TrainConfig,
) -> Result<Model, Failure> {
    let mut model = Model::new(spec.clone(), data.schema.clone(), config.seed)?;
    let graph = Arc::clone(model.graph());
    let names: Vec<String> = graph.losses().iter().map(|loss| loss.0.clone()).collect();
    let method = config.loss.weighting.as_ref().expect("a method");
    let initial = initial_losses(table, &names);
    let rule = config.optimiser().dense;
    let mut weighting = Weighting::new(method, &names, Some(&initial), rule)?;
    let mut step = weighting.step(Arc::clone(&graph), config.loss.shared)?;
    let mut optimiser = Optimiser::new(config.optimiser(), graph.layout())?;
    let feed = Feed::new(&graph, table)?;
    let mut batch = Batch::for_graph(&graph);
    let weights = model.loss_weights().to_vec();
    for rows in Shuffle::new(table.n_rows(), config.seed, 1).batches(config.batch_size).take(2) {
        feed.fill(rows, &mut batch);
        let user = (&weights[..], config.seed);
        weighting.run(&mut step, &mut model.params, &mut optimiser, &batch, user)?;
    }
    Ok(model)
}

/// L(0) of a squared error: the variance of the label.
fn initial_losses(table: &FeatureTable, names: &[String]) -> Vec<f64> {
    let variance = |name: &String| {
        let labels = table.label_of(name).expect("a label of the pair");
        let n = labels.len() as f64;
        let mean = labels.iter().map(|&y| f64::from(y)).sum::<f64>() / n;
        labels.iter().map(|&y| (f64::from(y) - mean).powi(2)).sum::<f64>() / n
    };
    names.iter().map(variance).collect()
}
