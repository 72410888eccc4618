//! Checks of hyper-parameters, shared by the methods' builders.

use std::collections::BTreeMap;

use crate::Error;

/// The value if `ok`, an error that names it otherwise.
pub(crate) fn require(
    ok: bool,
    method: &'static str,
    key: impl Into<String>,
    value: f64,
    expected: &'static str,
) -> Result<f64, Error> {
    if ok { Ok(value) } else { Err(Error::Setting { method, key: key.into(), value, expected }) }
}

/// A finite number above 0.
pub(crate) fn positive(method: &'static str, key: &str, value: f64) -> Result<f64, Error> {
    require(value > 0.0 && value.is_finite(), method, key, value, "a finite number above 0")
}

/// A finite number, at least 0.
pub(crate) fn non_negative(method: &'static str, key: &str, value: f64) -> Result<f64, Error> {
    require(value >= 0.0 && value.is_finite(), method, key, value, "a finite number, at least 0")
}

/// An optional learning rate above 0.
pub(crate) fn learning_rate(
    method: &'static str,
    value: Option<f64>,
) -> Result<Option<f64>, Error> {
    value.map(|rate| positive(method, "learning_rate", rate)).transpose()
}

/// One value per task: `default`, or what `by_task` says. Unknown names are errors.
pub(crate) fn per_task<V: Copy>(
    method: &'static str,
    key: &'static str,
    default: V,
    by_task: &BTreeMap<String, V>,
    tasks: &[String],
) -> Result<Vec<V>, Error> {
    if let Some(task) = by_task.keys().find(|name| !tasks.contains(name)) {
        let known = tasks.join(", ");
        return Err(Error::UnknownTask { method, key, task: task.clone(), known });
    }
    Ok(tasks.iter().map(|task| by_task.get(task).copied().unwrap_or(default)).collect())
}
