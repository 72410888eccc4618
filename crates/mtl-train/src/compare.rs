//! Several models over several seeds on the same rows.

use std::borrow::Cow;
use std::num::NonZeroUsize;

use mtl_data::{Dataset, Reported, RowSource};
use mtl_feature::FeatureTable;
use mtl_loss::WeightingConfig;
use mtl_model::{Model, ModelSpec};
use serde::Serialize;

use crate::truth::evaluate_truth;
use crate::{
    Error, Evaluation, Gate, History, LossConfig, MissingRuns, Observer, Result, Results, Scored,
    SharedParameters, TrainConfig, TruthOf, check_test_rows, fit, gates, measure_with_truth,
    summarise,
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
    /// How its gates use their experts on those rows.
    pub gates: Vec<Gate>,
    /// Its settings, as TOML.
    pub configuration: String,
}

impl Contender {
    /// The settings of model, losses and training as TOML, without the seed.
    fn configuration(&self) -> Result<String> {
        #[derive(Serialize)]
        struct Tables<'c> {
            #[serde(flatten)]
            spec: &'c ModelSpec,
            loss: Loss<'c>,
            train: toml::Table,
        }
        #[derive(Serialize)]
        struct Loss<'c> {
            shared: SharedParameters,
            watch: Option<NonZeroUsize>,
            weighting: Cow<'c, WeightingConfig>,
        }
        let wrong = |error: toml::ser::Error| Error::Data(format!("{}: {error}", self.name));
        let mut train = toml::Table::try_from(&self.train).map_err(wrong)?;
        train.remove("seed");
        let LossConfig { weighting, shared, watch } = &self.train.loss;
        let weighting = match weighting {
            Some(weighting) => Cow::Borrowed(weighting),
            None => Cow::Owned(WeightingConfig::from_name(self.train.loss.name())?),
        };
        let loss = Loss { shared: *shared, watch: *watch, weighting };
        toml::to_string(&Tables { spec: &self.spec, loss, train }).map_err(wrong)
    }
}

/// What models are compared on.
#[derive(Clone, Copy, Debug)]
pub struct Compared<'d, R = FeatureTable> {
    /// The data's name.
    pub name: &'d str,
    /// The rows.
    pub dataset: &'d Dataset<R>,
    /// What outputs are measured against, where the data has its truth.
    pub truths: &'d [TruthOf],
}

/// A trained model, and the rows that it is reported on.
#[derive(Clone, Copy, Debug)]
pub struct Finished<'r> {
    /// The contender's name.
    pub name: &'r str,
    /// The seed.
    pub seed: u64,
    /// The model, with the weights of its best epoch.
    pub model: &'r Model,
    /// The rows.
    pub rows: &'r dyn RowSource,
}

/// Trains every contender with every seed and gathers the table of results. `observer` is called
/// with the name and the seed before each run and gives what watches it.
///
/// The rows reported on are the test rows; where there are none, the validation rows, and the
/// results say so. An observer that [interrupts](Observer::interrupts) ends it: the results have the
/// runs that are done, and name those that are [missing](Results::interrupted).
///
/// # Errors
/// Data without rows to report on; what [`fit`] and [`crate::evaluate`] return.
pub fn compare<R: RowSource>(
    data: Compared<'_, R>,
    contenders: &[Contender],
    seeds: &[u64],
    observer: impl FnMut(&str, u64) -> Box<dyn Observer>,
) -> Result<Results> {
    compare_and(data, contenders, seeds, observer, |_| Ok(()))
}

/// As [`compare`], and shows each model to `keep` once it is trained: to write its predictions,
/// say.
///
/// # Errors
/// Those of [`compare`], and what `keep` returns.
pub fn compare_and<R: RowSource, E: From<Error>>(
    data: Compared<'_, R>,
    contenders: &[Contender],
    seeds: &[u64],
    mut observer: impl FnMut(&str, u64) -> Box<dyn Observer>,
    mut keep: impl FnMut(Finished<'_>) -> std::result::Result<(), E>,
) -> std::result::Result<Results, E> {
    let Compared { name, dataset, truths } = data;
    let Some(Reported { part: reported, rows, truth, .. }) = dataset.reported() else {
        let expected = "expected `test` or `validation` files, or a `split`";
        let problem = format!("[data] there are no rows to report on: {expected}");
        return Err(Error::Data(problem).into());
    };
    // Before hours of training, not after.
    let notes = contenders.iter().map(|contender| check_test_rows(&contender.spec, dataset));
    let notes = notes.collect::<Result<Vec<_>>>()?;
    let mut runs = Vec::with_capacity(contenders.len() * seeds.len());
    // The rows as the first model scored them, with the labels of every measure of any model.
    let (mut known, mut parts) = (None::<Scored>, Vec::new());
    'runs: for (contender, notes) in contenders.iter().zip(&notes) {
        for &seed in seeds {
            let mut watch = observer(&contender.name, seed);
            if watch.interrupts() {
                break 'runs;
            }
            let train = TrainConfig { seed, ..contender.train.clone() };
            let mut model = Model::new(contender.spec.clone(), dataset.schema.clone(), seed)
                .map_err(Error::from)?;
            notes.iter().for_each(|note| watch.note(note));
            let tables = (&dataset.train, &dataset.validation);
            let fitted = fit(&mut model, tables, &train, None, &mut *watch)?;
            drop(watch);
            if fitted.steps_partway().is_some() {
                break 'runs;
            }
            // The optimiser's moments are let go before anything is measured.
            let (history, part) = fitted.into_history();
            if parts.is_empty() {
                parts = summarise(&part, dataset)?;
            }
            let scored = Scored::of(&model, rows)?;
            let evaluation = measure_with_truth(&model, &scored, truth, truths)?;
            if truth.is_some() {
                match &mut known {
                    Some(known) => known.labels.extend(scored.labels),
                    None => known = Some(scored),
                }
            }
            keep(Finished { name: &contender.name, seed, model: &model, rows })?;
            runs.push(Comparison {
                model: contender.name.clone(),
                seed,
                parameters: model.n_parameters(),
                history,
                gates: gates(&model, rows)?,
                configuration: contender.configuration()?,
                evaluation,
            });
        }
    }
    // Contenders may be measured by different things (a chain's events beside plain tasks).
    let mut names: Vec<String> = Vec::new();
    for contender in contenders {
        for measure in contender.spec.measures().map_err(Error::from)? {
            if !names.contains(&measure.name) {
                names.push(measure.name);
            }
        }
    }
    let missing = MissingRuns::after(runs.len(), contenders, seeds);
    let results = Results::new(name, reported, rows.n_rows(), names, &runs)
        .with_parts(parts)
        .with_missing(missing);
    Ok(match truth.zip(known) {
        Some((truth, known)) => results.with_truth(&evaluate_truth(&known, truth, truths)?),
        None => results,
    })
}

#[cfg(test)]
mod tests {
    use mtl_model::{ModelConfig, TaskConfig};

    use super::*;

    /// The losses that a contender's configuration tells are those that it trains by.
    #[test]
    fn a_configuration_of_results_has_the_whole_loss() -> Result<()> {
        let names = WeightingConfig::NAMES.iter().map(|name| format!("weighting = '{name}'"));
        let own = [
            "weighting = { method = 'gradnorm', alpha = 0.25, learning_rate = 0.1 }\nshared = 'all'",
            "weighting = { method = 'fixed', weights = { click = 3.0 } }",
            "shared = 'dense'",
        ];
        let spec =
            ModelSpec::new(ModelConfig::new("mmoe"), vec![TaskConfig::binary("click")], None)?;
        for text in names.chain(own.map(str::to_owned)) {
            let loss = LossConfig::parse(text.parse().expect("TOML"))?;
            let train = TrainConfig { loss: loss.clone(), ..TrainConfig::default() };
            let contender = Contender { name: "mmoe".to_owned(), spec: spec.clone(), train };
            let mut told: toml::Table = contender.configuration()?.parse().expect("TOML");
            let Some(toml::Value::Table(table)) = told.remove("loss") else { panic!("no [loss]") };
            let read = LossConfig::parse(table)?;
            assert_eq!((read.shared, read.name()), (loss.shared, loss.name()), "{text}");
            if loss.weighting.is_some() {
                assert_eq!(read, loss, "{text}");
            }
        }
        Ok(())
    }
}
