//! Errors that only the truth can tell: a generator's, or columns of a file that no log has. Against
//! true probabilities, over the entire space.

use std::path::Path;

use mtl_data::{
    Dataset, Part, ReadOptions, Reader, RowSource, Truth, TruthColumns, read_truth, read_truth_in,
};
use mtl_eval::{BinaryRows, Measured, auc};
use mtl_feature::FeatureTable;
use mtl_model::{Measure, Model};
use serde::{Deserialize, Deserializer, Serialize};

use crate::evaluate::{Beside, NamedMetrics, binary, measure};
use crate::{Error, Evaluation, Result, RunConfig, Scored};

/// Which truth an output is measured against: `[[truth]]` of a configuration.
///
/// A log can teach P(purchase | click, x). What would follow if the click were *forced* is another
/// number where clickers differ from the others by more than x shows, and no log has it. Both are
/// measured, each under its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TruthOf {
    /// The output, such as `pCVR`.
    pub output: String,
    /// The truth's columns whose product is the probability that a log can teach; none if that is not
    /// known.
    #[serde(default, deserialize_with = "one_or_several")]
    pub probability: Vec<String>,
    /// What would happen if the click were forced, for an output that is conditional on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_clicked: Option<IfClicked>,
}

/// The truth's columns of what follows a click that is forced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IfClicked {
    /// The probability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<String>,
    /// What would have happened, 0 or 1, for every row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// A column, or a list of them.
fn one_or_several<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a column or a list of columns")]
    enum Columns {
        One(String),
        Several(Vec<String>),
    }
    Ok(match Columns::deserialize(deserializer)? {
        Columns::One(column) => vec![column],
        Columns::Several(columns) => columns,
    })
}

impl TruthOf {
    /// An output and the columns whose product is its probability.
    pub fn new(output: impl Into<String>, probability: &[&str]) -> Self {
        let probability = probability.iter().map(|&column| column.to_owned()).collect();
        Self { output: output.into(), probability, if_clicked: None }
    }

    /// With the columns of what a click that is forced would lead to: the probability, and 0 or 1.
    #[must_use]
    pub fn if_clicked(self, probability: &str, label: &str) -> Self {
        let (probability, label) = (Some(probability.to_owned()), Some(label.to_owned()));
        Self { if_clicked: Some(IfClicked { probability, label }), ..self }
    }

    /// Checks that it is of an output that is measured, and has something to measure by.
    ///
    /// # Errors
    /// [`Error::Config`], naming the output.
    pub fn check(&self, measures: &[Measure]) -> Result<()> {
        let wrong = |message: String| {
            let file = "configuration".to_owned();
            Err(Error::Config { file, message: format!("[[truth]] {message}") })
        };
        let output = &self.output;
        let binary = measures.iter().filter(|measure| measure.is_binary());
        let known: Vec<&str> = binary.map(|measure| measure.output.as_str()).collect();
        if !known.contains(&output.as_str()) {
            let near = mtl_feature::nearest_names(output, &known);
            let hint = near.first().map_or(String::new(), |n| format!("; did you mean `{n}`?"));
            let known = known.join(", ");
            return wrong(format!("`output` is `{output}`, expected one of {known}{hint}"));
        }
        if self.columns().next().is_none() {
            let expected = "expected `probability` or `if_clicked` with a column";
            return wrong(format!("of `{output}` names no column, {expected}"));
        }
        Ok(())
    }

    /// Every column that it reads.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let forced = self.if_clicked.iter();
        let forced = forced.flat_map(|forced| [&forced.probability, &forced.label]).flatten();
        self.probability.iter().chain(forced).map(String::as_str)
    }

    /// The columns of all of them, by what they hold.
    pub fn columns_of(truths: &[Self]) -> TruthColumns {
        let mut columns = TruthColumns::default();
        for truth in truths {
            columns.probabilities.extend(truth.probability.iter().cloned());
            if let Some(forced) = &truth.if_clicked {
                columns.probabilities.extend(forced.probability.clone());
                columns.labels.extend(forced.label.clone());
            }
        }
        columns
    }
}

impl RunConfig {
    /// The truth about the rows that a data set of this configuration reports on, read beside them;
    /// `None` if the configuration tells of none.
    ///
    /// # Errors
    /// Files without a column of `[[truth]]`, or with a cell that cannot be.
    pub fn truth<R: RowSource>(&self, dataset: &Dataset<R>) -> Result<Option<Truth>> {
        let Some(reported) = dataset.reported().filter(|_| !self.truths.is_empty()) else {
            return Ok(None);
        };
        let part = if reported.part == "test" { Part::Test } else { Part::Validation };
        let table = read_truth(&self.data, part, &TruthOf::columns_of(&self.truths))?;
        Ok(Some(Truth::of(part, table)))
    }

    /// The truth about all rows of a file, by the columns of `[[truth]]` that it has; `None` of a log,
    /// which has none of them.
    ///
    /// # Errors
    /// A file that cannot be read, or a cell that cannot be.
    pub fn truth_in(&self, file: &Path, options: &ReadOptions) -> Result<Option<FeatureTable>> {
        if self.truths.is_empty() {
            return Ok(None);
        }
        let mut columns = TruthOf::columns_of(&self.truths);
        let reader = Reader::open(file, options)?;
        for names in [&mut columns.probabilities, &mut columns.labels] {
            names.retain(|name| reader.names().contains(name));
        }
        if columns.probabilities.is_empty() && columns.labels.is_empty() {
            return Ok(None);
        }
        Ok(Some(read_truth_in(file, options, &columns)?))
    }
}

/// An output's errors over the entire space.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TruthMetrics {
    /// The output.
    pub output: String,
    /// AUC against what would have happened with a click, over all rows.
    pub auc_entire: Option<Measured>,
    /// √ mean (ln p̂/(1 − p̂) − ln p/(1 − p))² over all rows, p what a log can teach.
    pub log_odds_rmse: Option<f64>,
    /// The same with p the probability if the click were forced.
    pub log_odds_rmse_if_clicked: Option<f64>,
    /// Mean prediction over mean probability, over all rows, p what a log can teach.
    pub ratio: Option<f64>,
}

/// A probability closer to 0 or 1 counts as this: an `f32` has no digits left beyond.
const LEAST: f64 = 1e-7;

/// Measures every task of rows that are predicted, as [`measure`] does, and where the truth about
/// these rows is known, the outputs that `truths` names against it.
///
/// # Errors
/// Those of [`measure`] and of [`measure_truth`].
pub fn measure_with_truth(
    model: &Model,
    scored: &Scored,
    truth: Option<&FeatureTable>,
    truths: &[TruthOf],
) -> Result<Evaluation> {
    let mut evaluation = measure(model, scored)?;
    if let Some(truth) = truth {
        evaluation.truth = measure_truth(model, scored, truth, truths)?;
    }
    Ok(evaluation)
}

/// Measures the outputs of `model` that `truths` names on scored rows beside their truth. What the
/// truth has no column of is `None`; rows where it is missing do not count.
///
/// # Errors
/// A truth of another number of rows; a prediction that is NaN.
pub fn measure_truth(
    model: &Model,
    scored: &Scored,
    truth: &FeatureTable,
    truths: &[TruthOf],
) -> Result<Vec<TruthMetrics>> {
    let (n_truth, n_rows) = (truth.n_rows(), scored.n_rows());
    if n_truth != n_rows {
        let message = format!("the truth is of {n_truth} rows, expected the data's {n_rows}");
        return Err(Error::Data(message));
    }
    let predictions = scored.predictions(model);
    let mut metrics = Vec::new();
    for of in truths {
        let Some(predicted) = predictions.column(&of.output) else { continue };
        metrics.extend(errors(&predicted.to_vec(), truth, of)?);
    }
    Ok(metrics)
}

/// The truth as if it were a model: what the best possible one reaches on these rows, and how far
/// from calibrated a sample of this size makes even that one look. `scored` has the labels of the
/// measures that any model of the comparison has.
pub(crate) fn evaluate_truth(
    scored: &Scored,
    truth: &FeatureTable,
    truths: &[TruthOf],
) -> Result<Evaluation> {
    let (mut tasks, mut metrics) = (Vec::new(), Vec::new());
    for of in truths {
        let Some(p) = probability(truth, &of.probability) else { continue };
        metrics.extend(errors(&p, truth, of)?);
        // A measure is named by its output, or by what `p_` stands before.
        let names = [Some(of.output.as_str()), of.output.strip_prefix("p_")];
        let named = |name: &str| Some((name.to_owned(), scored.labels.get(name)?));
        if let Some((task, labels)) = names.into_iter().flatten().find_map(named) {
            // Where the truth is missing it says nothing.
            let known = |(&label, p): (&f32, &f32)| if p.is_nan() { f32::NAN } else { label };
            let labels: Vec<f32> = labels.iter().zip(&p).map(known).collect();
            let p: Vec<f32> = p.iter().map(|p| if p.is_nan() { 0.5 } else { *p }).collect();
            let (metrics, _) = binary(None, &labels, &p, Beside::from(scored))?;
            tasks.push(NamedMetrics { task, metrics });
        }
    }
    Ok(Evaluation::of_truth(scored.n_rows(), tasks, metrics))
}

/// `None` where the truth has none of the columns.
fn errors(predicted: &[f32], truth: &FeatureTable, of: &TruthOf) -> Result<Option<TruthMetrics>> {
    let observed = probability(truth, &of.probability);
    let forced = of.if_clicked.as_ref();
    let column = |name: &Option<String>| truth.label_of(name.as_deref()?);
    let label = forced.and_then(|forced| column(&forced.label));
    let forced = forced.and_then(|forced| column(&forced.probability));
    if observed.is_none() && label.is_none() && forced.is_none() {
        return Ok(None);
    }
    let auc_entire = label.map(|label| Ok::<_, Error>(auc(&BinaryRows::new(label, predicted)?)));
    Ok(Some(TruthMetrics {
        output: of.output.clone(),
        auc_entire: auc_entire.transpose()?,
        log_odds_rmse: observed.as_deref().and_then(|p| log_odds_rmse(predicted, p)),
        log_odds_rmse_if_clicked: forced.and_then(|p| log_odds_rmse(predicted, p)),
        ratio: observed.as_deref().and_then(|p| ratio(predicted, p)),
    }))
}

/// The product of columns, row by row; `None` without columns.
fn probability(truth: &FeatureTable, columns: &[String]) -> Option<Vec<f32>> {
    let (first, rest) = columns.split_first()?;
    let mut product = truth.label_of(first)?.to_vec();
    for column in rest {
        product.iter_mut().zip(truth.label_of(column)?).for_each(|(p, factor)| *p *= factor);
    }
    Some(product)
}

/// Predictions beside probabilities, where those are known.
fn known<'a>(predicted: &'a [f32], p: &'a [f32]) -> impl Iterator<Item = (f64, f64)> + 'a {
    let pairs = predicted.iter().zip(p).filter(|(_, p)| !p.is_nan());
    pairs.map(|(&found, &p)| (f64::from(found), f64::from(p)))
}

fn ratio(predicted: &[f32], p: &[f32]) -> Option<f64> {
    let (found, truly) =
        known(predicted, p).fold((0.0, 0.0), |(found, truly), (a, b)| (found + a, truly + b));
    (truly > 0.0).then(|| found / truly)
}

fn log_odds_rmse(predicted: &[f32], p: &[f32]) -> Option<f64> {
    let log_odds = |p: f64| {
        let p = p.clamp(LEAST, 1.0 - LEAST);
        (p / (1.0 - p)).ln()
    };
    let error = |(found, p): (f64, f64)| (log_odds(found) - log_odds(p)).powi(2);
    let n = known(predicted, p).count();
    (n > 0).then(|| (known(predicted, p).map(error).sum::<f64>() / n as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[(&str, &[f32])]) -> FeatureTable {
        let n_rows = columns.first().map_or(0, |(_, values)| values.len());
        let mut table = FeatureTable::new(n_rows);
        for (name, values) in columns {
            table = table.with_label(*name, values.to_vec()).unwrap();
        }
        table
    }

    /// ln 3 is the log-odds of ¾, so the errors are known by hand.
    #[test]
    fn what_is_missing_does_not_count_and_what_is_not_there_is_none() -> Result<()> {
        let truth = table(&[
            ("a", &[0.75, 0.5, f32::NAN]),
            ("b", &[1.0, 0.5, 1.0]),
            ("would", &[1.0, 0.0, f32::NAN]),
        ]);
        let of = |probability: &[&str], label: Option<&str>| TruthOf {
            output: "p".to_owned(),
            probability: probability.iter().map(|&column| column.to_owned()).collect(),
            if_clicked: label
                .map(|label| IfClicked { label: Some(label.to_owned()), probability: None }),
        };
        let predicted = [0.5, 0.25, 0.9];
        // p = (¾, ¼, unknown): the first is ln 3 off, the second right.
        let found = errors(&predicted, &truth, &of(&["a", "b"], Some("would")))?.unwrap();
        let rmse = (3f64.ln().powi(2) / 2.0).sqrt();
        assert!((found.log_odds_rmse.unwrap() - rmse).abs() < 1e-6, "{found:?}");
        assert!((found.ratio.unwrap() - 0.75).abs() < 1e-6, "{found:?}");
        assert_eq!(found.auc_entire.unwrap().value(), Some(1.0));
        assert_eq!(found.log_odds_rmse_if_clicked, None);
        let label_alone = errors(&predicted, &truth, &of(&[], Some("would")))?.unwrap();
        assert_eq!((label_alone.log_odds_rmse, label_alone.ratio), (None, None));
        assert_eq!(errors(&predicted, &truth, &of(&["c"], None))?, None);
        Ok(())
    }
}
