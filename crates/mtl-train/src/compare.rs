//! Several models over several seeds on the same rows.

use mtl_data::Dataset;
use mtl_model::{Model, ModelSpec};

use crate::{
    Error, Evaluation, History, Observer, Result, Results, TrainConfig, TruthOf, evaluate, fit,
    measure_truth,
};

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

/// What models are compared on.
#[derive(Clone, Copy, Debug)]
pub struct Compared<'d> {
    /// The data's name.
    pub name: &'d str,
    /// The rows.
    pub dataset: &'d Dataset,
    /// What outputs are measured against, where the data has its truth.
    pub truths: &'d [TruthOf],
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
    data: Compared<'_>,
    contenders: &[Contender],
    seeds: &[u64],
    mut observer: impl FnMut(&str, u64) -> Box<dyn Observer>,
) -> Result<Results> {
    let Compared { name, dataset, truths } = data;
    let truth = dataset.truth.as_ref();
    let (rows, truth, reported) = match (dataset.test.is_empty(), dataset.validation.is_empty()) {
        (false, _) => (&dataset.test, truth.map(|t| &t.test), "test"),
        (true, false) => (&dataset.validation, truth.map(|t| &t.validation), "validation"),
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
            let mut evaluation = evaluate(&model, rows)?;
            if let Some(truth) = truth {
                evaluation.truth = measure_truth(&model, rows, truth, truths)?;
            }
            runs.push(Comparison {
                model: contender.name.clone(),
                seed,
                parameters: model.n_parameters(),
                history: fitted.history,
                evaluation,
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
    Ok(Results::new(name, reported, rows.n_rows(), names, &runs))
}
