//! Calibration after training: outputs made to mean what they say, on rows not trained on.

use std::collections::BTreeMap;

use mtl_calibrate::{Calibrator, FitRows, Method, NegativeSampling, Quality};
use mtl_data::RowSource;
use mtl_model::{Calibration, Measure, Model};
use serde::{Deserialize, Serialize};

use crate::{Error, Result, Scored};

/// The `[calibration]` table.
///
/// | key | default | purpose |
/// |---|---|---|
/// | `method` | `"none"` | what is fitted to every probability: `"platt"`, `"isotonic"`, `"none"` |
/// | `tasks` | none | another method for some, such as `{ buy = "isotonic" }` |
/// | `negative_sampling` | none | the share of negatives kept in the rows, such as `{ click = 0.1 }` |
///
/// Names are those of measures: tasks, and under a chain its outputs (pCTR) or events.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CalibrationConfig {
    /// What is fitted to every probability.
    pub method: Method,
    /// Another method for some.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tasks: BTreeMap<String, Method>,
    /// The share of negatives kept in the rows.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub negative_sampling: BTreeMap<String, f64>,
}

/// Whether the rows that a calibration is fitted to were sampled as the training rows were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sampled {
    /// They were: each negative stands for 1/w of them.
    AsTrained,
    /// No negative was left out.
    Not,
}

/// One output before and after; `skipped` says why it was left as it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CalibratedOutput {
    /// The measure's name: a task, or an output of the chain.
    pub task: String,
    /// The output.
    pub output: String,
    /// What was fitted.
    pub method: Method,
    /// Measured before, negatives that were left out counted in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Quality>,
    /// Measured after, on the rows of the fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Quality>,
    /// Why nothing was fitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    /// Whether the map that the model had before stays, since there was nothing to fit another to.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub kept: bool,
}

impl CalibrationConfig {
    /// Whether rows are needed: a correction for sampled negatives alone needs none.
    pub fn needs_rows(&self) -> bool {
        self.method != Method::None || self.tasks.values().any(|&m| m != Method::None)
    }

    /// Checks names and shares for what the model is measured by.
    ///
    /// # Errors
    /// [`Error::Config`], naming the key.
    pub fn check(&self, measures: &[Measure]) -> Result<()> {
        let wrong = |message: String| {
            let file = "configuration".to_owned();
            Err(Error::Config { file, message: format!("[calibration] {message}") })
        };
        let binary = measures.iter().filter(|measure| measure.is_binary());
        let names: Vec<&str> = binary.map(|measure| measure.name.as_str()).collect();
        let tasks = self.tasks.keys().map(|name| ("tasks", name));
        let shares = self.negative_sampling.keys().map(|name| ("negative_sampling", name));
        for (key, name) in tasks.chain(shares) {
            if !names.contains(&name.as_str()) {
                let known = names.join(", ");
                let near = mtl_feature::nearest_names(name, &names);
                let hint = near.first().map_or(String::new(), |n| format!("; did you mean `{n}`?"));
                return wrong(format!("`{key}` names `{name}`, expected one of {known}{hint}"));
            }
        }
        for (name, &share) in &self.negative_sampling {
            if let Err(error) = NegativeSampling::new(share) {
                return wrong(format!("`negative_sampling` of `{name}`: {error}"));
            }
        }
        Ok(())
    }

    fn method_of(&self, name: &str) -> Method {
        self.tasks.get(name).copied().unwrap_or(self.method)
    }

    fn sampling_of(&self, name: &str) -> Option<NegativeSampling> {
        self.negative_sampling.get(name).and_then(|&share| NegativeSampling::new(share).ok())
    }
}

/// Fits a calibration to rows and gives it to the model, in place of any that it has. An
/// output that cannot be fitted keeps its correction for sampled negatives, if it has one; one whose rows
/// are all of one class keeps the map that it had.
///
/// # Errors
/// Settings that do not fit the model, rows without a feature that the model reads, what is wrong with
/// a file, or a prediction that is NaN.
pub fn calibrate<R: RowSource + ?Sized>(
    model: &mut Model,
    rows: &R,
    config: &CalibrationConfig,
    sampled: Sampled,
) -> Result<Vec<CalibratedOutput>> {
    let measures = model.measures();
    config.check(&measures)?;
    if *config == CalibrationConfig::default() {
        model.set_calibration(Calibration::default())?;
        return Ok(Vec::new());
    }
    let scored = Scored::of(model, rows)?;
    let (mut calibration, mut outputs) = (Calibration::default(), Vec::new());
    for measure in measures.iter().filter(|measure| measure.is_binary()) {
        let (method, sampling) =
            (config.method_of(&measure.name), config.sampling_of(&measure.name));
        if method == Method::None && sampling.is_none() {
            continue;
        }
        let Some(predicted) = scored.raw.column(&measure.output) else { continue };
        let (predicted, labels) = (predicted.to_vec(), &scored.labels[&measure.name]);
        let weights = scored.weights.as_deref().map(Into::into);
        let rows = FitRows::new(labels, &predicted, weights);
        let earlier = model.calibration().of(&measure.output);
        let (calibrator, done) = fit_one(measure, (method, sampling, earlier), rows, sampled)?;
        if calibrator != Calibrator::default() {
            calibration.insert(&measure.output, calibrator);
        }
        outputs.push(done);
    }
    model.set_calibration(calibration)?;
    Ok(outputs)
}

fn fit_one(
    measure: &Measure,
    (method, sampling, earlier): (Method, Option<NegativeSampling>, Option<&Calibrator>),
    rows: mtl_calibrate::Result<FitRows>,
    sampled: Sampled,
) -> Result<(Calibrator, CalibratedOutput)> {
    let correction = Calibrator::new(sampling, None)?;
    let (task, output) = (measure.name.clone(), measure.output.clone());
    let (before, after) = (None, None);
    let mut done =
        CalibratedOutput { task, output, method, before, after, skipped: None, kept: false };
    let whole = match rows {
        Ok(rows) => rows,
        // A rare task may have no positive row to learn from; the others are calibrated all the same.
        Err(error @ mtl_calibrate::Error::OneClass { .. }) => {
            done.skipped = Some(error.to_string());
            // Rows that tell nothing of a task take nothing away from it.
            let earlier = earlier.filter(|e| e.map().is_some() && method != Method::None);
            done.kept = earlier.is_some();
            return Ok((earlier.cloned().unwrap_or(correction), done));
        }
        Err(error) => return Err(error.into()),
    };
    let weighed = |rows: FitRows, correct: bool| match (sampling, sampled) {
        (None, _) => rows,
        (Some(w), Sampled::AsTrained) if correct => rows.unsampled(w),
        (Some(w), Sampled::AsTrained) => rows.weighed(w),
        (Some(w), Sampled::Not) if correct => rows.corrected(w),
        (Some(_), Sampled::Not) => rows,
    };
    let rows = weighed(whole.clone(), true);
    let fitted = Calibrator::fit(method, sampling, &rows).unwrap_or_else(|error| {
        done.skipped = Some(error.to_string());
        correction
    });
    done.before = Some(Quality::of(&weighed(whole, false), &Calibrator::default())?);
    done.after = Some(Quality::of(&rows, &fitted)?);
    Ok((fitted, done))
}
