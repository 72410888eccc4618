//! A calibration of one output: the correction for sampled negatives, then a fitted map.

use serde::{Deserialize, Serialize};

use crate::{Error, FitRows, Isotonic, NegativeSampling, Platt, Result};

/// What is fitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Method {
    /// Nothing: the correction for sampled negatives alone.
    #[default]
    None,
    /// [`Platt`]: two numbers; for few rows, and where the order of rows must stay.
    Platt,
    /// [`Isotonic`]: a rising curve of any shape ([`Isotonic::fit_smooth`]); for a thousand positives
    /// or more. It makes ties.
    Isotonic,
}

/// A fitted map from probability to probability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Map {
    /// A line over the logit.
    Platt(Platt),
    /// A rising curve.
    Isotonic(Isotonic),
}

impl Map {
    /// The calibrated probability.
    pub fn apply(&self, p: f64) -> f64 {
        match self {
            Self::Platt(line) => line.apply(p),
            Self::Isotonic(curve) => curve.apply(p),
        }
    }

    fn check(&self) -> Result<()> {
        match self {
            Self::Platt(line) if !line.is_whole() => {
                Err(Error::Saved { what: "a slope or offset that is not finite, or no slope > 0" })
            }
            Self::Isotonic(curve) if !curve.is_whole() => {
                Err(Error::Saved { what: "knots of an isotonic curve that do not rise in [0, 1]" })
            }
            _ => Ok(()),
        }
    }
}

/// What is done to one output: q = map(correction(p)), each part if it is there.
///
/// It is plain data; what is read back is checked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Saved")]
pub struct Calibrator {
    #[serde(skip_serializing_if = "Option::is_none")]
    negative_sampling: Option<NegativeSampling>,
    #[serde(skip_serializing_if = "Option::is_none")]
    map: Option<Map>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    negative_sampling: Option<NegativeSampling>,
    map: Option<Map>,
}

impl TryFrom<Saved> for Calibrator {
    type Error = Error;

    fn try_from(saved: Saved) -> Result<Self> {
        Self::new(saved.negative_sampling, saved.map)
    }
}

impl Calibrator {
    /// From its parts.
    ///
    /// # Errors
    /// [`Error::Saved`] for a map that no fit would have made.
    pub fn new(negative_sampling: Option<NegativeSampling>, map: Option<Map>) -> Result<Self> {
        map.as_ref().map_or(Ok(()), Map::check)?;
        Ok(Self { negative_sampling, map })
    }

    /// Fits a map to rows whose predictions have been corrected already where negatives were
    /// sampled: [`FitRows::unsampled`] or [`FitRows::corrected`].
    ///
    /// # Errors
    /// [`Error::Reversed`].
    pub fn fit(
        method: Method,
        negative_sampling: Option<NegativeSampling>,
        rows: &FitRows,
    ) -> Result<Self> {
        let map = match method {
            Method::None => None,
            Method::Platt => Some(Map::Platt(Platt::fit(rows)?)),
            Method::Isotonic => Some(Map::Isotonic(Isotonic::fit_smooth(rows))),
        };
        Ok(Self { negative_sampling, map })
    }

    /// The correction for sampled negatives, applied first.
    pub const fn negative_sampling(&self) -> Option<NegativeSampling> {
        self.negative_sampling
    }

    /// The fitted map, applied second.
    pub const fn map(&self) -> Option<&Map> {
        self.map.as_ref()
    }

    /// The calibrated probability.
    pub fn apply(&self, p: f64) -> f64 {
        let p = self.negative_sampling.map_or(p, |sampling| sampling.apply(p));
        self.map.as_ref().map_or(p, |map| map.apply(p))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_correction_comes_first() {
        let sampling = NegativeSampling::new(0.1).unwrap();
        let line = Platt { slope: 2.0, offset: 0.5 };
        let both = Calibrator::new(Some(sampling), Some(Map::Platt(line))).unwrap();
        assert_eq!(both.apply(0.3), line.apply(sampling.apply(0.3)));
        assert_eq!(Calibrator::default().apply(0.3), 0.3);
    }

    #[test]
    fn what_is_read_back_is_the_same_and_is_checked() {
        let labels = [0.0, 1.0, 0.0, 1.0, 1.0];
        let rows = FitRows::new(&labels, &[0.1, 0.3, 0.3, 0.7, 0.9], None).unwrap();
        for method in [Method::None, Method::Platt, Method::Isotonic] {
            let fitted = Calibrator::fit(method, NegativeSampling::new(0.5).ok(), &rows).unwrap();
            let text = serde_json::to_string(&fitted).unwrap();
            assert_eq!(serde_json::from_str::<Calibrator>(&text).unwrap(), fitted);
        }
        for (text, expected) in [
            (r#"{"map":{"isotonic":{"x":[0.2,0.1],"y":[0.1,0.2]}}}"#, "do not rise"),
            (r#"{"map":{"isotonic":{"x":[],"y":[]}}}"#, "do not rise"),
            (r#"{"map":{"platt":{"slope":-1.0,"offset":0.0}}}"#, "no slope > 0"),
            (r#"{"negative_sampling":0.0}"#, "above 0 to 1"),
        ] {
            let error = serde_json::from_str::<Calibrator>(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn sampled_rows_are_fitted_as_if_all_were_there() {
        // 1 of 4 negatives kept; the model is right among the sampled rows.
        let labels: Vec<f64> = (0..800).map(|i| f64::from(i % 4 == 0)).collect();
        let predictions = vec![0.25; 800];
        let sampling = NegativeSampling::new(0.25).unwrap();
        let rows = FitRows::new(&labels, &predictions, None).unwrap();
        let fitted =
            Calibrator::fit(Method::Isotonic, Some(sampling), &rows.unsampled(sampling)).unwrap();
        let all = 200.0 / (200.0 + 600.0 * 4.0);
        assert!((fitted.apply(0.25) - all).abs() < 1e-12);
    }
}
