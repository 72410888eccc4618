//! Metrics of a task of several classes: log loss, accuracy, AUC of each class against the rest.

use serde::Serialize;

use crate::rows::{check_length, check_weights, first_row};
use crate::sums::{merge_sums, sum_over_rows};
use crate::{BinaryRows, Column, Error, Measured, Undefined, auc, macro_mean};

/// The rows of a task of several classes, checked once. A label is the number of a class, from 0, or
/// NaN where it is missing; rows with a missing label or a weight of 0 count nowhere.
///
/// ```
/// use mtl_eval::{ClassReport, ClassRows};
///
/// let (red, green, blue) = ([0.7_f32, 0.2, 0.1], [0.2_f32, 0.5, 0.6], [0.1_f32, 0.3, 0.3]);
/// let rows = ClassRows::new(&[0.0_f32, 1.0, 2.0], &[&red[..], &green[..], &blue[..]])?;
/// let report = ClassReport::new(&rows, &["red", "green", "blue"])?;
/// assert_eq!(report.accuracy.value(), Some(2.0 / 3.0));
/// assert_eq!(report.auc[0].auc.value(), Some(1.0));
/// # Ok::<(), mtl_eval::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ClassRows<'a> {
    labels: Column<'a>,
    /// By class.
    probabilities: Vec<Column<'a>>,
    weights: Option<Column<'a>>,
}

impl<'a> ClassRows<'a> {
    /// Checks labels and the probabilities of each class.
    ///
    /// # Errors
    ///
    /// Lengths differ, there are fewer than two classes, a label is no number of a class, or a
    /// prediction is not in \[0, 1\].
    pub fn new(
        labels: impl Into<Column<'a>>,
        probabilities: &[impl Into<Column<'a>> + Copy],
    ) -> Result<Self, Error> {
        let labels = labels.into();
        let probabilities: Vec<Column<'a>> = probabilities.iter().map(|&c| c.into()).collect();
        let (n, n_classes) = (labels.len(), probabilities.len());
        if n_classes < 2 {
            return Err(Error::Classes { found: n_classes });
        }
        let is_class =
            |y: f64| y.is_nan() || (y >= 0.0 && y < n_classes as f64 && y.fract() == 0.0);
        if let Some(row) = first_row(n, |row| !is_class(labels.get(row))) {
            return Err(Error::NotAClass { row, label: labels.get(row), n_classes });
        }
        for column in &probabilities {
            check_length("probabilities", n, column.len())?;
            if let Some(row) = first_row(n, |row| !(0.0..=1.0).contains(&column.get(row))) {
                return Err(Error::NotAProbability { row, prediction: column.get(row) });
            }
        }
        Ok(Self { labels, probabilities, weights: None })
    }

    /// Gives every row a weight.
    ///
    /// # Errors
    ///
    /// Lengths differ, or a weight is neither 0 nor between 1e-100 and 1e100.
    pub fn with_weights(mut self, weights: impl Into<Column<'a>>) -> Result<Self, Error> {
        let weights = weights.into();
        check_weights(weights, self.labels.len())?;
        self.weights = Some(weights);
        Ok(self)
    }

    fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights.get(row))
    }

    /// Rows that count, Σ w, Σ w·loss, Σ w over the rows whose likeliest class is their own.
    fn sums(&self) -> [f64; 4] {
        let epsilon = self.probabilities[0].epsilon();
        let add = |sums: &mut [f64; 4], row: usize| {
            let (label, weight) = (self.labels.get(row), self.weight(row));
            if label.is_nan() || weight == 0.0 {
                return;
            }
            let class = label as usize;
            let of_class = self.probabilities[class].get(row).clamp(epsilon, 1.0 - epsilon);
            let right = f64::from(self.likeliest(row) == class);
            let terms = [1.0, weight, -weight * of_class.ln(), weight * right];
            sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
        };
        sum_over_rows(self.labels.len(), || [0.0; 4], add, merge_sums)
    }

    /// The class of the largest probability, the first of several.
    fn likeliest(&self, row: usize) -> usize {
        let mut best = 0;
        for class in 1..self.probabilities.len() {
            if self.probabilities[class].get(row) > self.probabilities[best].get(row) {
                best = class;
            }
        }
        best
    }

    /// The AUC of one class against all others.
    fn auc_of(&self, class: usize) -> Result<Measured, Error> {
        let is_class = |y: f64| if y.is_nan() { y } else { f64::from(y == class as f64) };
        let labels: Vec<f64> =
            (0..self.labels.len()).map(|row| is_class(self.labels.get(row))).collect();
        let mut rows = BinaryRows::new(&labels, self.probabilities[class])?;
        if let Some(weights) = self.weights {
            rows = rows.with_weights(weights)?;
        }
        Ok(auc(&rows))
    }
}

/// The AUC of one class against the rest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassAuc {
    /// The class.
    pub class: String,
    /// Undefined if every row is of the class, or none.
    pub auc: Measured,
}

/// All metrics of a task of several classes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassReport {
    /// Number of rows that count.
    pub rows: usize,
    /// Mean of −ln p of the row's own class, clipped as in [`log_loss`](crate::log_loss).
    pub log_loss: Measured,
    /// Share of the rows whose likeliest class (the first of equal ones) is their own.
    pub accuracy: Measured,
    /// Mean over the classes of the AUC of one against the rest; undefined if one of them is.
    pub auc_macro: Measured,
    /// The AUC of each class against the rest.
    pub auc: Vec<ClassAuc>,
}

impl ClassReport {
    /// Measures the rows; `classes` are their names.
    ///
    /// # Errors
    ///
    /// Names that are not one a class, or more rows than can be ranked.
    pub fn new(rows: &ClassRows<'_>, classes: &[impl AsRef<str>]) -> Result<Self, Error> {
        check_length("classes", rows.probabilities.len(), classes.len())?;
        let [n, weight, loss, right] = rows.sums();
        let mean = |sum: f64| if n == 0.0 { Err(Undefined::NoRows) } else { Ok(sum / weight) };
        let mut auc = Vec::with_capacity(classes.len());
        for (i, class) in classes.iter().enumerate() {
            auc.push(ClassAuc { class: class.as_ref().to_owned(), auc: rows.auc_of(i)? });
        }
        Ok(Self {
            rows: n as usize,
            log_loss: mean(loss).into(),
            accuracy: mean(right).into(),
            auc_macro: macro_mean(auc.iter().map(|c| (c.class.as_str(), &c.auc))),
            auc,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::approx_eq;

    const RED: [f64; 5] = [0.6, 0.3, 0.2, 0.4, 0.1];
    const GREEN: [f64; 5] = [0.3, 0.3, 0.5, 0.2, 0.1];
    const BLUE: [f64; 5] = [0.1, 0.4, 0.3, 0.4, 0.8];
    const NAMES: [&str; 3] = ["red", "green", "blue"];

    #[test]
    fn by_hand_with_weights_and_a_missing_label() {
        let labels = [0.0, 1.0, 1.0, 2.0, f64::NAN];
        let rows = ClassRows::new(&labels, &[&RED, &GREEN, &BLUE]).unwrap();
        let report = ClassReport::new(&rows, &NAMES).unwrap();
        assert_eq!(report.rows, 4);
        // Row 3 is a tie of red and blue, and the first is taken.
        assert_eq!(report.accuracy.value(), Some(0.5));
        let loss = -(0.6_f64.ln() + 0.3_f64.ln() + 0.5_f64.ln() + 0.4_f64.ln()) / 4.0;
        approx_eq(report.log_loss.value().unwrap(), loss, 1e-15);
        // Green: .3 and .5 against .3 and .2: 3½ of 4 pairs. Blue: .4 against .1, .4, .3.
        let aucs: Vec<_> = report.auc.iter().map(|c| c.auc.value().unwrap()).collect();
        assert_eq!(aucs, [1.0, 0.875, 2.5 / 3.0]);
        approx_eq(report.auc_macro.value().unwrap(), (1.0 + 0.875 + 2.5 / 3.0) / 3.0, 1e-15);
        let rows = rows.with_weights(&[3.0_f64, 1.0, 0.0, 1.0, 1.0]).unwrap();
        assert_eq!(ClassReport::new(&rows, &NAMES).unwrap().accuracy.value(), Some(0.6));
    }

    #[test]
    fn two_classes_have_the_auc_and_the_loss_of_one_probability() {
        let labels = [1.0, 0.0, 1.0, 0.0, 1.0];
        let rest: Vec<f64> = RED.iter().map(|p| 1.0 - p).collect();
        let columns = [rest.as_slice(), &RED];
        let rows = ClassRows::new(&labels, &columns).unwrap();
        let report = ClassReport::new(&rows, &["no", "yes"]).unwrap();
        let binary = BinaryRows::new(&labels, &RED).unwrap();
        assert_eq!(report.auc_macro.value(), auc(&binary).value());
        let (found, expected) = (report.log_loss, crate::log_loss(&binary));
        approx_eq(found.value().unwrap(), expected.value().unwrap(), 1e-15);
    }

    #[test]
    fn a_class_without_rows_leaves_the_mean_undefined() {
        let rows = ClassRows::new(&[0.0; 5], &[&RED, &GREEN, &BLUE]).unwrap();
        let report = ClassReport::new(&rows, &NAMES).unwrap();
        let reason = report.auc_macro.reason().unwrap().to_string();
        assert_eq!(reason, "task red: no negative rows");
        let rows = ClassRows::new(&[f64::NAN; 5], &[&RED, &GREEN, &BLUE]).unwrap();
        let report = ClassReport::new(&rows, &NAMES).unwrap();
        assert_eq!(report.accuracy.reason(), Some(&Undefined::NoRows));
    }

    #[test]
    fn faults_name_the_row() {
        let message = |labels: [f64; 5], columns: &[&[f64]]| {
            ClassRows::new(&labels, columns).unwrap_err().to_string()
        };
        let stranger = message([0.0, 3.0, 0.0, 0.0, 0.0], &[&RED, &GREEN, &BLUE]);
        assert_eq!(stranger, "label of row 1 is 3, expected a class from 0 to 2 or NaN (missing)");
        let wrong = message([0.0; 5], &[&RED, &[0.0, 0.0, 1.5, 0.0, 0.0]]);
        assert_eq!(wrong, "prediction of row 2 is 1.5, expected a probability");
        assert_eq!(message([0.0; 5], &[&RED]), "1 classes, expected at least 2");
    }
}
