//! Trained parameters are the same bits for any number of threads.

use mtl_arch::{ArchitectureConfig, Preset};
use mtl_nn::Scalar;

use crate::model::{Failure, Model, bits_by_path, every, small};

const TASKS: [&str; 3] = ["buy", "click", "like"];
/// Two whole shards and one of 188 rows.
const ROWS: usize = 700;
const STEPS: usize = 4;

fn check<S: Scalar>(name: &str, config: &ArchitectureConfig) -> Result<(), Failure> {
    let trained = |threads: usize| -> Result<_, Failure> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        // An error that is sent to another thread must be one that can be.
        let bits = pool.install(|| {
            let model = Model::<S>::new(name, config, &TASKS).map_err(|e| e.to_string())?;
            let params = model.trained(ROWS, STEPS).map_err(|e| e.to_string())?;
            bits_by_path(&params).map_err(|e| e.to_string())
        })?;
        Ok(bits)
    };
    let one = trained(1)?;
    for threads in [2, 3] {
        assert!(trained(threads)? == one, "{name}: {threads} threads differ from one");
    }
    Ok(())
}

#[test]
fn one_two_and_three_threads_train_the_same_bits() {
    every(|name, preset| {
        check::<f32>(name, &small(preset))?;
        check::<f64>(name, &small(preset))
    });
}

#[test]
fn so_they_do_where_batch_norm_makes_the_shards_wait() {
    every(|name, preset| {
        check::<f32>(name, &ArchitectureConfig { batch_norm: true, ..small(preset) })
    });
}

#[test]
fn the_seed_of_dropout_is_what_changes_them() -> Result<(), Failure> {
    // Otherwise the two tests above could not fail.
    let dropout = |rate| ArchitectureConfig { dropout: Some(rate), ..small(Preset::Tutorial) };
    let trained = |rate| -> Result<_, Failure> {
        let model = Model::<f32>::new("mmoe", &dropout(rate), &TASKS)?;
        bits_by_path(&model.trained(ROWS, STEPS)?)
    };
    assert!(trained(0.1)? != trained(0.0)?);
    Ok(())
}
