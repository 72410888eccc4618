//! A fusion formula: several outputs into the one number that a list is ranked by.
//!
//! ∏ p^a, or Σ w·p, over some named outputs.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use ndarray::s;
use serde::{Deserialize, Serialize};

use crate::{Error, Model, Predictions, Result};

/// Exponents of a product lie within ± this. A common factor changes no order, so a formula with a
/// larger one can be written with smaller ones.
pub const MAX_EXPONENT: f64 = 10.0;

/// Weights of a sum lie within ± this.
pub const MAX_WEIGHT: f64 = 1e9;

/// Probabilities are held at or above this before a power is taken: with a negative exponent a 0 of
/// an isotonic curve would be infinite.
const LOWEST: f64 = 1e-30;

/// The logarithm of a product is held within ± this, that of 1e300: of many outputs it may lie beyond what
/// a float can be.
const LARGEST_LOG: f64 = 300.0 * std::f64::consts::LN_10;

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
    /// ∏ p^a: exponents by output, which are probabilities; each within ± [`MAX_EXPONENT`].
    Product(BTreeMap<String, f64>),
    /// Σ w·p: weights by output; each within ± [`MAX_WEIGHT`].
    Sum(BTreeMap<String, f64>),
}

impl Fusion {
    /// The outputs and their exponents or weights, in order of name.
    pub const fn terms(&self) -> &BTreeMap<String, f64> {
        match self {
            Self::Product(terms) | Self::Sum(terms) => terms,
        }
    }

    /// Whether a model has the outputs, and the numbers are such that every score is finite.
    ///
    /// # Errors
    /// [`Error::Config`] for outputs that there are none of, [`Error::Fusion`] for an exponent or a
    /// weight.
    pub fn check(&self, model: &Model) -> Result<()> {
        self.check_against(model.outputs())
    }

    fn check_against(&self, outputs: Vec<(String, bool)>) -> Result<()> {
        let wrong = |message: String| Err(Error::config("fusion", message));
        let (form, largest, expected) = match self {
            Self::Product(_) => ("product", MAX_EXPONENT, "an exponent from -10 to 10"),
            Self::Sum(_) => ("sum", MAX_WEIGHT, "a weight from -1e9 to 1e9"),
        };
        let known: Vec<String> = match self {
            Self::Product(_) => outputs.into_iter().filter(|o| o.1).map(|o| o.0).collect(),
            Self::Sum(_) => outputs.into_iter().map(|o| o.0).collect(),
        };
        if self.terms().is_empty() {
            return wrong(format!("no terms, expected some of {}", known.join(", ")));
        }
        for (name, &value) in self.terms() {
            if !known.contains(name) {
                let near = mtl_feature::nearest_names(name, &known);
                let hint = near.first().map_or(String::new(), |n| format!("; did you mean `{n}`?"));
                let what =
                    if matches!(self, Self::Product(_)) { "probabilities" } else { "outputs" };
                let known = known.join(", ");
                return wrong(format!("`{name}` is none of the {what}, which are {known}{hint}"));
            }
            // What is no number is not within the bounds either.
            if !(-largest..=largest).contains(&value) {
                return Err(Error::Fusion { form, output: name.clone(), value, expected });
            }
        }
        Ok(())
    }

    /// The formula's value for each row; a product's is held within 1e±300.
    ///
    /// # Panics
    /// If an output is not among the predictions: [`Fusion::check`] says so first.
    pub fn scores(&self, predictions: &Predictions) -> Vec<f64> {
        self.scores_of(predictions, 0..predictions.values().nrows())
    }

    /// The same for some of the rows.
    ///
    /// # Panics
    /// If there are no such rows, too.
    pub fn scores_of(&self, predictions: &Predictions, rows: Range<usize>) -> Vec<f64> {
        let mut scores = vec![0.0; rows.len()];
        for (name, &factor) in self.terms() {
            let column = predictions.column(name).expect("a checked formula");
            for (score, &p) in scores.iter_mut().zip(column.slice(s![rows.clone()])) {
                *score += factor * self.term(f64::from(p));
            }
        }
        if matches!(self, Self::Product(_)) {
            scores.iter_mut().for_each(|s| *s = s.clamp(-LARGEST_LOG, LARGEST_LOG).exp());
        }
        scores
    }

    /// What a prediction adds for each unit of its exponent or weight: to the logarithm of a
    /// product, to a sum.
    pub fn term(&self, p: f64) -> f64 {
        match self {
            Self::Product(_) => p.max(LOWEST).ln(),
            Self::Sum(_) => p,
        }
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
        assert!((product[0] - 0.125).abs() < 1e-12 && (product[1] / 1e-15 - 1.0).abs() < 1e-12);
        let sum = fusion("sum = { p_click = 1.0, p_buy = -4.0 }").scores(&predictions);
        assert_eq!(sum, [-0.5, 1.0]);
        let second = fusion("sum = { p_click = 1.0, p_buy = -4.0 }").scores_of(&predictions, 1..2);
        assert_eq!(second, [1.0]);
    }

    /// The largest exponents that may be, of outputs that are 0 and 1: a score was once infinite,
    /// which JSON has no word for.
    #[test]
    fn every_score_is_a_number() {
        let names: Vec<String> = ["a", "b", "c", "d"].map(str::to_owned).to_vec();
        let predictions =
            Predictions::new(names, array![[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0]]);
        for text in [
            "product = { a = -10.0, b = -10.0, c = 10.0, d = 10.0 }",
            "product = { a = 10.0, b = 10.0, c = 10.0, d = 10.0 }",
            "sum = { a = 1e9, b = -1e9, c = 1e9, d = -1e9 }",
        ] {
            let scores = fusion(text).scores(&predictions);
            assert!(scores.iter().all(|score| score.is_finite()), "{text}: {scores:?}");
        }
        let product = fusion("product = { a = -10.0, b = -10.0 }").scores(&predictions);
        assert!(product[0] > 1e299);
    }

    #[test]
    fn a_formula_is_checked_against_the_model() {
        let outputs = vec![("p_click".to_owned(), true), ("p_seconds".to_owned(), false)];
        for (text, expected) in [
            ("product = { p_clik = 1.0 }", "did you mean `p_click`?"),
            ("product = { p_seconds = 1.0 }", "none of the probabilities, which are p_click"),
            (
                "product = { p_click = -5000 }",
                "product.p_click: found -5000, expected an exponent from -10 to 10",
            ),
            ("product = { p_click = nan }", "found NaN, expected an exponent"),
            ("sum = { p_click = inf }", "sum.p_click: found inf, expected a weight from"),
            ("sum = { p_seconds = -2e9 }", "found -2000000000, expected a weight from -1e9 to 1e9"),
            ("sum = {}", "no terms, expected some of p_click, p_seconds"),
        ] {
            let error = fusion(text).check_against(outputs.clone()).unwrap_err().to_string();
            assert!(error.starts_with("[fusion]") && error.contains(expected), "{error}");
        }
        fusion("sum = { p_click = 1.0, p_seconds = 0.1 }").check_against(outputs).unwrap();
    }
}
