//! A number, or the reason why there is none.

use serde::ser::{Serialize, SerializeStruct, Serializer};

/// The value of a metric, or the reason why the data at hand do not define it.
///
/// An undefined metric is never 0, 0.5 or NaN. In JSON a defined one is `{"value": 0.74}` and an
/// undefined one `{"value": null, "reason": "no positive rows"}`.
///
/// ```
/// use mtl_eval::{BinaryRows, Undefined, auc};
///
/// let only_negatives = BinaryRows::new(&[0.0_f32, 0.0], &[0.3_f32, 0.4])?;
/// assert_eq!(auc(&only_negatives).value(), None);
/// assert_eq!(auc(&only_negatives).reason(), Some(&Undefined::NoPositives));
/// # Ok::<(), mtl_eval::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Measured<T = f64> {
    /// The metric is defined.
    Value(T),
    /// The metric is undefined on these rows.
    Undefined(Undefined),
}

impl<T> Measured<T> {
    /// The value, if there is one.
    pub fn value(&self) -> Option<T>
    where
        T: Clone,
    {
        self.as_result().ok().cloned()
    }

    /// The reason why there is no value.
    pub fn reason(&self) -> Option<&Undefined> {
        self.as_result().err()
    }

    /// Borrows the value or the reason as a result, for use with `?`.
    ///
    /// # Errors
    ///
    /// The reason, if the metric is undefined.
    pub fn as_result(&self) -> Result<&T, &Undefined> {
        match self {
            Measured::Value(value) => Ok(value),
            Measured::Undefined(reason) => Err(reason),
        }
    }

    /// The value or the reason as a result, for use with `?`.
    ///
    /// # Errors
    ///
    /// The reason, if the metric is undefined.
    pub fn into_result(self) -> Result<T, Undefined> {
        match self {
            Measured::Value(value) => Ok(value),
            Measured::Undefined(reason) => Err(reason),
        }
    }

    /// Applies `f` to the value, if there is one.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Measured<U> {
        self.into_result().map(f).into()
    }
}

impl<T> From<Result<T, Undefined>> for Measured<T> {
    fn from(result: Result<T, Undefined>) -> Self {
        match result {
            Ok(value) => Measured::Value(value),
            Err(reason) => Measured::Undefined(reason),
        }
    }
}

impl<T: Serialize> Serialize for Measured<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Measured::Value(value) => {
                let mut object = serializer.serialize_struct("Measured", 1)?;
                object.serialize_field("value", value)?;
                object.end()
            }
            Measured::Undefined(reason) => {
                let mut object = serializer.serialize_struct("Measured", 2)?;
                object.serialize_field("value", &None::<()>)?;
                object.serialize_field("reason", &reason.to_string())?;
                object.end()
            }
        }
    }
}

/// Why a metric has no value. The message is a phrase that a report can print as it is.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Undefined {
    /// No row has a label (and a weight above 0).
    #[error("no labelled rows")]
    NoRows,
    /// No row is positive.
    #[error("no positive rows")]
    NoPositives,
    /// No row is negative.
    #[error("no negative rows")]
    NoNegatives,
    /// The rows carry no group column.
    #[error("the rows have no group column")]
    NoGroupColumn,
    /// No group has both classes.
    #[error(
        "no group has both classes ({without_positives} without positives, \
         {without_negatives} without negatives)"
    )]
    NoGroupWithBothClasses {
        /// Number of groups without a positive row.
        without_positives: usize,
        /// Number of groups with positive rows and no negative one.
        without_negatives: usize,
    },
    /// The predictions are scores, and the metric is one of probabilities.
    #[error("prediction of row {row} is {prediction}, which is not a probability")]
    NotAProbability {
        /// The first such row, from 0.
        row: usize,
        /// The prediction found.
        prediction: f64,
    },
    /// A logit is infinite.
    #[error("logit of row {row} is {logit}, which has no finite loss")]
    InfiniteLogit {
        /// The first such row, from 0.
        row: usize,
        /// The logit found.
        logit: f64,
    },
    /// The method is derived for rows that count equally.
    #[error("the interval is derived for rows without weights")]
    Weighted,
    /// A spread of fewer observations than it needs.
    #[error("{found} {what}, at least {needed} needed")]
    TooFew {
        /// What there are too few of, in the plural.
        what: &'static str,
        /// The least number that will do.
        needed: usize,
        /// The number found.
        found: usize,
    },
    /// All predictions are equal, so they order nothing.
    #[error("all predictions are equal")]
    ConstantPrediction,
    /// A mean over tasks of no tasks.
    #[error("no tasks")]
    NoTasks,
    /// A mean over tasks one of which is undefined.
    #[error("task {task}: {reason}")]
    Task {
        /// Name of the first undefined task.
        task: String,
        /// Why it is undefined.
        reason: Box<Undefined>,
    },
    /// A summary over seeds one of which is undefined.
    #[error("seed number {position}: {reason}")]
    Seed {
        /// Position of the first undefined seed, from 0.
        position: usize,
        /// Why it is undefined.
        reason: Box<Undefined>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_a_value_or_a_reason() {
        let json = |m: Measured| serde_json::to_string(&m).unwrap();
        assert_eq!(json(Measured::Value(0.5)), r#"{"value":0.5}"#);
        let undefined =
            Undefined::Task { task: "buy".into(), reason: Undefined::NoPositives.into() };
        assert_eq!(
            json(Measured::Undefined(undefined)),
            r#"{"value":null,"reason":"task buy: no positive rows"}"#
        );
    }

    #[test]
    fn map_keeps_the_reason() {
        assert_eq!(Measured::Value(2.0).map(|v| v * 2.0).value(), Some(4.0));
        let undefined: Measured = Measured::Undefined(Undefined::NoRows);
        assert_eq!(undefined.map(|v| v > 0.0).reason(), Some(&Undefined::NoRows));
    }
}
