//! Checks of hyper-parameters, shared by the methods' builders.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Error, Setup};

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

/// Where the learned weights of a method start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// Where the method would come to rest if the losses stayed what they are before anything is
    /// learnt ([`Setup::initial_losses`](crate::Setup::initial_losses)), so that the scale of a loss
    /// makes no difference from the first step on. Without those losses, as [`Start::One`].
    #[default]
    BaseRate,
    /// Where the paper starts: scales and weights of 1.
    One,
}

impl Start {
    /// L(0) of each task, if it is to start from them.
    ///
    /// # Errors
    /// If they are not one number above 0 a task.
    pub(crate) fn losses<'s>(
        self,
        method: &'static str,
        setup: &Setup<'s>,
    ) -> Result<Option<&'s [f64]>, Error> {
        match (self, setup.initial_losses) {
            (Self::BaseRate, Some(losses)) => {
                check_initial_losses(method, setup.tasks, losses).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// L(0): one number above 0 a task.
pub(crate) fn check_initial_losses<'s>(
    method: &'static str,
    tasks: &[String],
    losses: &'s [f64],
) -> Result<&'s [f64], Error> {
    if losses.len() != tasks.len() {
        let (found, expected) = (losses.len(), tasks.len());
        return Err(Error::Length { what: "initial losses", found, expected });
    }
    for (task, &value) in tasks.iter().zip(losses) {
        let ok = value > 0.0 && value.is_finite();
        require(ok, method, format!("initial loss of {task}"), value, "a number above 0")?;
    }
    Ok(losses)
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
