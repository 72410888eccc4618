//! What a run leaves that fails: weights that predict, and the truth about which those are.

use crate::pair::{self, data};
use mtl_data::Dataset;
use mtl_feature::FeatureTable;
use mtl_model::Model;
use mtl_train::{Error, LastGood, LossConfig, Silent, TrainConfig, TrainingState, fit};

type Failure = Box<dyn std::error::Error>;

/// A step of Adam by this much takes the square of any prediction beyond f32.
const DIVERGING: f64 = 1e25;

fn model(data: &Dataset) -> Result<Model, Failure> {
    pair::model(data, false)
}

fn config(method: &str, learning_rate: f64, epochs: usize) -> Result<TrainConfig, Failure> {
    let loss = LossConfig::named(method)?;
    let learning_rate = Some(learning_rate);
    Ok(TrainConfig { epochs, batch_size: 200, seed: 3, learning_rate, loss, ..Default::default() })
}

/// Trains until it fails; which weights are said to be left, and in the model they are `expected`.
fn fails(
    data: &Dataset,
    validation: &FeatureTable,
    config: &TrainConfig,
    state: Option<&TrainingState>,
    expected: &Model,
) -> Result<LastGood, Failure> {
    let mut model = model(data)?;
    let found = fit(&mut model, (&data.train, validation), config, state, &mut Silent);
    let Err(Error::Stopped { left, cause }) = found else {
        return Err("it does not diverge".into());
    };
    let name = config.loss.name();
    assert!(cause.to_string().contains("step "), "{name}: {cause}");
    for path in expected.graph().layout().paths() {
        assert_eq!(model.params.get(path)?, expected.params.get(path)?, "{name}: {path}");
    }
    let predicted = model.predict(&data.test)?;
    assert!(predicted.values().iter().all(|p| p.is_finite()), "{name}: a prediction");
    Ok(left)
}

#[test]
fn a_rate_that_diverges_at_once_leaves_the_weights_of_the_start() -> Result<(), Failure> {
    let data = data()?;
    let (nothing, start) = (data.train.select(&[]), model(&data)?);
    for method in ["equal", "uncertainty", "famo", "gradnorm", "mgda"] {
        let config = config(method, DIVERGING, 2)?;
        for validation in [&nothing, &data.validation] {
            let left = fails(&data, validation, &config, None, &start)?;
            assert_eq!(left, LastGood::Start, "{method}");
        }
    }
    Ok(())
}

/// With one step an epoch no later step of it could notice.
#[test]
fn a_last_step_that_diverges_is_noticed_before_its_epoch_counts() -> Result<(), Failure> {
    let data = data()?;
    let (nothing, start) = (data.train.select(&[]), model(&data)?);
    for method in ["equal", "uncertainty", "famo", "mgda"] {
        let batch_size = data.train.n_rows();
        let config = TrainConfig { batch_size, ..config(method, DIVERGING, 1)? };
        for validation in [&nothing, &data.validation] {
            let left = fails(&data, validation, &config, None, &start)?;
            assert_eq!(left, LastGood::Start, "{method}");
        }
    }
    Ok(())
}

#[test]
fn a_rate_that_diverges_later_leaves_the_best_epoch_or_what_was_resumed() -> Result<(), Failure> {
    let data = data()?;
    let nothing = data.train.select(&[]);
    for method in ["equal", "uncertainty", "famo", "mgda"] {
        for (validation, expected) in
            [(&data.validation, LastGood::Epoch(1)), (&nothing, LastGood::Start)]
        {
            let mut trained = model(&data)?;
            let tables = (&data.train, validation);
            let fitted = fit(&mut trained, tables, &config(method, 0.01, 1)?, None, &mut Silent)?;
            let state = fitted.state()?;
            let config = config(method, DIVERGING, 3)?;
            let left = fails(&data, validation, &config, Some(&state), &trained)?;
            assert_eq!(left, expected, "{method}");
        }
    }
    Ok(())
}
