//! Several models over several seeds on the same rows.

use mtl_data::Dataset;
use mtl_model::{Model, ModelSpec};

use crate::{Error, Evaluation, History, Observer, Result, Results, TrainConfig, evaluate, fit};

/// A model to compare, with its training.
#[derive(Clone, Debug)]
pub struct Contender {
    /// Its name in the table.
    pub name: String,
    /// Its settings and tasks.
    pub spec: ModelSpec,
    /// Its training; the seed is the comparison's.
    pub train: TrainConfig,
}

/// One trained model of a comparison.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The contender's name.
    pub model: String,
    /// The seed.
    pub seed: u64,
    /// Trainable values.
    pub parameters: usize,
    /// How training went.
    pub history: History,
    /// The metrics on the rows that are reported.
    pub evaluation: Evaluation,
}

/// Trains every contender with every seed and gathers the table of results. `observer` is called
/// with the name and the seed before each run and gives what watches it.
///
/// The rows reported on are the test rows; where there are none, the validation rows, and the
/// results say so.
///
/// # Errors
/// Data without rows to report on; what [`fit`] and [`crate::evaluate`] return.
pub fn compare(
    data: &str,
    dataset: &Dataset,
    contenders: &[Contender],
    seeds: &[u64],
    mut observer: impl FnMut(&str, u64) -> Box<dyn Observer>,
) -> Result<Results> {
    let (rows, reported) = match (dataset.test.is_empty(), dataset.validation.is_empty()) {
        (false, _) => (&dataset.test, "test"),
        (true, false) => (&dataset.validation, "validation"),
        (true, true) => {
            let expected = "expected `test` or `validation` files, or a `split`";
            return Err(Error::Data(format!("[data] there are no rows to report on: {expected}")));
        }
    };
    let mut runs = Vec::with_capacity(contenders.len() * seeds.len());
    for contender in contenders {
        for &seed in seeds {
            let train = TrainConfig { seed, ..contender.train.clone() };
            let mut model = Model::new(contender.spec.clone(), dataset.schema.clone(), seed)?;
            let mut watch = observer(&contender.name, seed);
            let tables = (&dataset.train, &dataset.validation);
            let fitted = fit(&mut model, tables, &train, None, &mut *watch)?;
            drop(watch);
            runs.push(Comparison {
                model: contender.name.clone(),
                seed,
                parameters: model.n_parameters(),
                history: fitted.history,
                evaluation: evaluate(&model, rows)?,
            });
        }
    }
    // Contenders may be measured by different things (a chain's events beside plain tasks).
    let mut names: Vec<String> = Vec::new();
    for contender in contenders {
        for measure in contender.spec.measures()? {
            if !names.contains(&measure.name) {
                names.push(measure.name);
            }
        }
    }
    Ok(Results::new(data, reported, rows.n_rows(), names, &runs))
}
