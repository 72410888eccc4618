//! `watch` of `[loss]`: gradients are compared under any weighting, and nothing else is different.

use mtl_data::{Dataset, funnel};
use mtl_model::{Model, ModelConfig, ModelSpec, TaskConfig};
use mtl_train::{Fitted, History, LossConfig, Observer, Silent, TrainConfig, TrainingState, fit};

use crate::after::After;

type Failure = Box<dyn std::error::Error>;

fn data() -> Result<Dataset, Failure> {
    Ok(funnel::load(&funnel::Config { rows: 2_500, users: 60, items: 30, ..Default::default() })?)
}

fn model(data: &Dataset) -> Result<Model, Failure> {
    let mut model = ModelConfig::new("mmoe");
    model.architecture.expert_units = Some(vec![8, 6]);
    model.architecture.gate_units = Some(vec![4]);
    model.architecture.tower_units = Some(vec![6]);
    let tasks = ["click", "action", "purchase"].map(TaskConfig::binary).to_vec();
    Ok(Model::new(ModelSpec::new(model, tasks, None)?, data.schema.clone(), 3)?)
}

fn config(loss: &str) -> Result<TrainConfig, Failure> {
    let loss = LossConfig::parse(toml::from_str(loss)?)?;
    let learning_rate = Some(0.01);
    let config = TrainConfig { epochs: 2, batch_size: 300, seed: 3, ..Default::default() };
    Ok(TrainConfig { learning_rate, loss, ..config })
}

fn train(
    data: &Dataset,
    loss: &str,
    state: Option<&TrainingState>,
    watch: &mut dyn Observer,
) -> Result<(Model, Fitted), Failure> {
    let mut model = model(data)?;
    let tables = (&data.train, &data.validation);
    let fitted = fit(&mut model, tables, &config(loss)?, state, watch)?;
    Ok((model, fitted))
}

fn assert_same(one: &Model, other: &Model, what: &str) -> Result<(), Failure> {
    for path in one.graph().layout().paths() {
        assert_eq!(one.params.get(path)?, other.params.get(path)?, "{what}: {path}");
    }
    Ok(())
}

/// What the epochs say, without their seconds; gradients too, if asked for.
fn told(history: &History, gradients: bool) -> Result<Vec<serde_json::Value>, Failure> {
    let told = history.epochs.iter().map(|epoch| {
        let mut epoch = serde_json::to_value(epoch)?;
        epoch["seconds"].take();
        if !gradients {
            epoch["loss_gradient_norms"].take();
            epoch["cosines"].take();
        }
        Ok(epoch)
    });
    told.collect()
}

#[test]
fn watching_changes_no_bit_of_what_is_trained() -> Result<(), Failure> {
    let data = data()?;
    let methods = ["equal", "fixed", "uncertainty", "imtl_l", "gls", "dwa", "rlw", "famo", "stch"];
    let places = ["last_layer", "all", "representation"];
    for (method, shared) in methods.into_iter().zip(places.into_iter().cycle()) {
        let plain = format!("weighting = '{method}'\nshared = '{shared}'");
        let (model, fitted) = train(&data, &plain, None, &mut Silent)?;
        for watch in if method == "equal" { vec![1, 3, 1_000] } else { vec![3] } {
            let watched = format!("{plain}\nwatch = {watch}");
            let (other, seen) = train(&data, &watched, None, &mut Silent)?;
            assert_same(&model, &other, &watched)?;
            assert_eq!(told(&fitted.history, false)?, told(&seen.history, false)?, "{watched}");
            for (epoch, without) in seen.history.epochs.iter().zip(&fitted.history.epochs) {
                assert!(without.loss_gradient_norms.is_empty() && without.cosines.is_empty());
                let norms = &epoch.loss_gradient_norms;
                assert_eq!((norms.len(), epoch.cosines.len()), (3, 3), "{watched}");
                assert!(norms.iter().all(|(_, norm)| *norm > 0.0), "{watched}: {norms:?}");
                let cosine = |(_, _, cosine): &(String, String, f64)| cosine.abs() <= 1.0 + 1e-9;
                assert!(epoch.cosines.iter().all(cosine), "{watched}: {:?}", epoch.cosines);
            }
        }
    }
    Ok(())
}

/// Pareto's weights with a minimum of ⅓ each are ⅓ each, and it looks at every step by itself.
#[test]
fn what_is_watched_is_what_a_weighting_sees() -> Result<(), Failure> {
    let data = data()?;
    let third = 1.0 / 3.0;
    let all = |value: f64| format!("{{ click = {value}, action = {value}, purchase = {value} }}");
    let pareto = format!("weighting = {{ method = 'pareto', min_weights = {} }}", all(third));
    let fixed = format!("weighting = {{ method = 'fixed', weights = {} }}\nwatch = 1", all(third));
    let (_, sees) = train(&data, &pareto, None, &mut Silent)?;
    let (_, watched) = train(&data, &fixed, None, &mut Silent)?;
    for (a, b) in sees.history.epochs.iter().zip(&watched.history.epochs) {
        for ((name, one), (_, other)) in a.loss_gradient_norms.iter().zip(&b.loss_gradient_norms) {
            assert!((one / other - 1.0).abs() < 1e-3, "{name}: {one} {other}");
        }
        for ((x, y, one), (_, _, other)) in a.cosines.iter().zip(&b.cosines) {
            assert!((one - other).abs() < 1e-3, "{x} {y}: {one} {other}");
        }
        assert_eq!((a.cosines.len(), b.cosines.len()), (3, 3));
    }
    // A weighting that looks at every step has no need of `watch`.
    let (one, plain) = train(&data, "weighting = 'pcgrad'", None, &mut Silent)?;
    let (other, watched) = train(&data, "weighting = 'pcgrad'\nwatch = 4", None, &mut Silent)?;
    assert_same(&one, &other, "pcgrad")?;
    assert_eq!(told(&plain.history, true)?, told(&watched.history, true)?);
    Ok(())
}

#[test]
fn an_interrupted_run_watches_the_same_steps() -> Result<(), Failure> {
    let data = data()?;
    let loss = "weighting = 'uncertainty'\nwatch = 2";
    let (whole, expected) = train(&data, loss, None, &mut Silent)?;
    for stop in 1..=5 {
        let (_, left) = train(&data, loss, None, &mut After(stop))?;
        assert!(left.steps_partway().is_some(), "{stop}");
        let state = TrainingState::from_bytes(&left.state()?.to_bytes()?, "state")?;
        let (resumed, rest) = train(&data, loss, Some(&state), &mut Silent)?;
        assert_same(&whole, &resumed, &stop.to_string())?;
        assert_eq!(told(&expected.history, true)?, told(&rest.history, true)?, "{stop}");
        // Since nothing that is trained depends on it, it may be another one now.
        let (resumed, _) = train(&data, "weighting = 'uncertainty'", Some(&state), &mut Silent)?;
        assert_same(&whole, &resumed, &stop.to_string())?;
    }
    Ok(())
}
