//! A fusion formula: several outputs into the one number that a list is ranked by.
//!
//! ∏ p^a, or Σ w·p, over some named outputs.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, Model, Predictions, Result};

/// Probabilities are held at or above this before a power is taken: with a negative exponent a 0 of
/// an isotonic curve would be infinite.
const LOWEST: f64 = 1e-30;

/// A formula over outputs, by name.
///
/// ```
/// use mtl_model::Fusion;
///
/// let fusion: Fusion = toml::from_str("product = { p_click = 1.0, p_buy = 0.5 }")?;
/// assert_eq!(fusion.to_string(), "p_buy^0.5 · p_click^1");
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fusion {
    /// ∏ p^a: exponents by output, which are probabilities.
    Product(BTreeMap<String, f64>),
    /// Σ w·p: weights by output.
    Sum(BTreeMap<String, f64>),
}

impl Fusion {
    /// The outputs and their exponents or weights, in order of name.
    pub const fn terms(&self) -> &BTreeMap<String, f64> {
        match self {
            Self::Product(terms) | Self::Sum(terms) => terms,
        }
    }

    /// Whether a model has the outputs, and the numbers are finite.
    ///
    /// # Errors
    /// [`Error::Config`], naming the term and what was expected.
    pub fn check(&self, model: &Model) -> Result<()> {
        self.check_against(model.outputs())
    }

    fn check_against(&self, outputs: Vec<(String, bool)>) -> Result<()> {
        let wrong = |message: String| Err(Error::config("fusion", message));
        let known: Vec<String> = match self {
            Self::Product(_) => outputs.into_iter().filter(|o| o.1).map(|o| o.0).collect(),
            Self::Sum(_) => outputs.into_iter().map(|o| o.0).collect(),
        };
        if self.terms().is_empty() {
            return wrong(format!("no terms, expected some of {}", known.join(", ")));
        }
        for (name, factor) in self.terms() {
            if !known.contains(name) {
                let near = mtl_feature::nearest_names(name, &known);
                let hint = near.first().map_or(String::new(), |n| format!("; did you mean `{n}`?"));
                let what =
                    if matches!(self, Self::Product(_)) { "probabilities" } else { "outputs" };
                let known = known.join(", ");
                return wrong(format!("`{name}` is none of the {what}, which are {known}{hint}"));
            }
            if !factor.is_finite() {
                return wrong(format!("`{name}` has {factor}, expected a finite number"));
            }
        }
        Ok(())
    }

    /// The formula's value for each row.
    ///
    /// # Panics
    /// If an output is not among the predictions: [`Fusion::check`] says so first.
    pub fn scores(&self, predictions: &Predictions) -> Vec<f64> {
        let start = if matches!(self, Self::Product(_)) { 1.0 } else { 0.0 };
        let mut scores = vec![start; predictions.values().nrows()];
        for (name, &factor) in self.terms() {
            let column = predictions.column(name).expect("a checked formula");
            for (score, &p) in scores.iter_mut().zip(column) {
                match self {
                    Self::Product(_) => *score *= f64::from(p).max(LOWEST).powf(factor),
                    Self::Sum(_) => *score += factor * f64::from(p),
                }
            }
        }
        scores
    }
}

impl fmt::Display for Fusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let term = |(name, factor): (&String, &f64)| match self {
            Self::Product(_) => format!("{name}^{factor}"),
            Self::Sum(_) => format!("{factor}·{name}"),
        };
        let terms: Vec<String> = self.terms().iter().map(term).collect();
        f.write_str(&terms.join(if matches!(self, Self::Product(_)) { " · " } else { " + " }))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn fusion(text: &str) -> Fusion {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn products_and_sums_by_hand() {
        let names = vec!["p_buy".to_owned(), "p_click".to_owned()];
        let predictions = Predictions::new(names, array![[0.25, 0.5], [0.0, 1.0]]);
        let product = fusion("product = { p_click = 2.0, p_buy = 0.5 }").scores(&predictions);
        assert!((product[0] - 0.125).abs() < 1e-12 && product[1] == 1e-15);
        let sum = fusion("sum = { p_click = 1.0, p_buy = -4.0 }").scores(&predictions);
        assert_eq!(sum, [-0.5, 1.0]);
    }

    #[test]
    fn a_formula_is_checked_against_the_model() {
        let outputs = vec![("p_click".to_owned(), true), ("p_seconds".to_owned(), false)];
        for (text, expected) in [
            ("product = { p_clik = 1.0 }", "did you mean `p_click`?"),
            ("product = { p_seconds = 1.0 }", "none of the probabilities, which are p_click"),
            ("sum = { p_click = inf }", "expected a finite number"),
            ("sum = {}", "no terms, expected some of p_click, p_seconds"),
        ] {
            let error = fusion(text).check_against(outputs.clone()).unwrap_err().to_string();
            assert!(error.starts_with("[fusion]") && error.contains(expected), "{error}");
        }
        fusion("sum = { p_click = 1.0, p_seconds = 0.1 }").check_against(outputs).unwrap();
    }
}
