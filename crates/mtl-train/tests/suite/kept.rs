//! Where the best weights are kept: in a file they are those that memory would have held.

use std::path::Path;

use crate::pair::{self, data};
use mtl_data::Dataset;
use mtl_model::Model;
use mtl_train::{
    Checkpoint, Error, LastGood, Observer, Silent, TrainConfig, TrainingState, WeightStore, fit,
};

type Failure = Box<dyn std::error::Error>;

/// Running statistics are kept too.
fn model(data: &Dataset) -> Result<Model, Failure> {
    pair::model(data, true)
}

/// Training whose best epoch is not the last: at this rate it overshoots.
fn config(epochs: usize, kept: WeightStore) -> TrainConfig {
    let learning_rate = Some(0.3);
    TrainConfig { epochs, batch_size: 200, seed: 3, learning_rate, kept, ..Default::default() }
}

fn in_a_file(folder: &Path) -> WeightStore {
    WeightStore { folder: Some(folder.to_owned()), in_memory: 0 }
}

fn assert_same(one: &Model, other: &Model) -> Result<(), Failure> {
    for path in one.graph().layout().paths() {
        assert_eq!(one.params.get(path)?, other.params.get(path)?, "{path}");
    }
    Ok(())
}

/// Writes every checkpoint to a file, and takes the last one along.
struct Both<'p>(&'p Path, Option<TrainingState>);

impl Observer for Both<'_> {
    fn checkpoint(&mut self, checkpoint: &Checkpoint<'_>) {
        checkpoint.write(self.0).expect("a folder that can be written");
        self.1 = Some(checkpoint.state().expect("room"));
    }
}

#[test]
fn a_file_changes_no_bit_of_a_run_and_nothing_is_left_of_it() -> Result<(), Failure> {
    let (data, folder) = (data()?, tempfile::tempdir()?);
    let tables = (&data.train, &data.validation);
    let [mut held, mut filed] = [model(&data)?, model(&data)?];
    let whole = fit(&mut held, tables, &config(6, WeightStore::default()), None, &mut Silent)?;
    let best = whole.history.best_epoch.ok_or("validation rows")?;
    assert!(best < 6, "the best epoch is the last one, {best}: nothing is shown");
    let config = |epochs| config(epochs, in_a_file(folder.path()));
    let fitted = fit(&mut filed, tables, &config(6), None, &mut Silent)?;
    assert_same(&held, &filed)?;
    assert_eq!(fitted.history.best_epoch, whole.history.best_epoch);
    assert_eq!(folder.path().read_dir()?.count(), 0);

    // What is written after an epoch is what is taken along; from either training goes on.
    let path = folder.path().join("run.bin");
    let mut both = Both(&path, None);
    let half = fit(&mut model(&data)?, tables, &config(3), None, &mut both)?;
    let taken = both.1.ok_or("a checkpoint")?;
    assert!(taken.to_bytes()? == std::fs::read(&path)?);
    assert!(half.state()?.to_bytes()? == std::fs::read(&path)?);
    for state in [taken, TrainingState::open(&path)?] {
        let mut resumed = model(&data)?;
        state.check(&resumed, &config(6))?;
        fit(&mut resumed, tables, &config(6), Some(&state), &mut Silent)?;
        assert_same(&resumed, &held)?;
    }
    // Nothing is left to train, and the state is written all the same.
    std::fs::remove_file(&path)?;
    let state = half.state()?;
    fit(&mut model(&data)?, tables, &config(3), Some(&state), &mut Both(&path, None))?;
    assert!(state.to_bytes()? == std::fs::read(&path)?);
    Ok(())
}

#[test]
fn a_run_that_fails_goes_back_to_the_file() -> Result<(), Failure> {
    let (data, folder) = (data()?, tempfile::tempdir()?);
    let tables = (&data.train, &data.validation);
    let mut good = model(&data)?;
    let state =
        fit(&mut good, tables, &config(1, Default::default()), None, &mut Silent)?.state()?;
    // A step of Adam by this much takes the square of any prediction beyond f32.
    let config = TrainConfig { learning_rate: Some(1e25), ..config(3, in_a_file(folder.path())) };
    let mut failed = model(&data)?;
    let found = fit(&mut failed, tables, &config, Some(&state), &mut Silent);
    let Err(Error::Stopped { left, .. }) = found else { return Err("it does not diverge".into()) };
    assert_eq!(left, LastGood::Epoch(1));
    assert_same(&failed, &good)
}

#[test]
fn no_room_is_said_before_training() -> Result<(), Failure> {
    let (data, folder) = (data()?, tempfile::tempdir()?);
    let mut model = model(&data)?;
    let config = config(2, in_a_file(&folder.path().join("absent")));
    let tables = (&data.train, &data.validation);
    let error = fit(&mut model, tables, &config, None, &mut Silent).unwrap_err();
    assert!(matches!(error, Error::BestWeights { .. }), "{error}");
    assert!(error.to_string().contains("absent: the weights of the best epoch"), "{error}");
    Ok(())
}

#[test]
fn a_state_that_is_damaged_or_cut_off_names_its_file() -> Result<(), Failure> {
    let (data, folder) = (data()?, tempfile::tempdir()?);
    let (nothing, path) = (data.train.select(&[]), folder.path().join("m.training.bin"));
    let tables = (&data.train, &nothing);
    let fitted =
        fit(&mut model(&data)?, tables, &config(1, Default::default()), None, &mut Silent)?;
    let bytes = fitted.state()?.to_bytes()?;
    let mut damaged = bytes.clone();
    let middle = bytes.len() / 2;
    damaged[middle] ^= 1;
    for (bytes, expected) in [
        (&bytes[..middle], "truncated: "),
        (&damaged[..], "the checksum does not match"),
        (&bytes[..10], "this is no checkpoint"),
    ] {
        std::fs::write(&path, bytes)?;
        let error = TrainingState::open(&path).unwrap_err().to_string();
        assert!(error.contains("m.training.bin: ") && error.contains(expected), "{error}");
    }
    let error = TrainingState::open(&folder.path().join("gone")).unwrap_err().to_string();
    assert!(error.contains("gone: "), "{error}");
    Ok(())
}
