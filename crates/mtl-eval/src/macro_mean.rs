//! The mean of a metric over tasks.

use crate::{Measured, Undefined};

/// The mean over tasks of (name, metric). Undefined if any task is, which the reason names, and for
/// no tasks: a mean of those that happen to be defined would compare different things.
///
/// ```
/// use mtl_eval::{Measured, Undefined, macro_mean};
///
/// let (click, buy) = (Measured::Value(0.7), Measured::Value(0.8));
/// assert_eq!(macro_mean([("click", &click), ("buy", &buy)]).value(), Some(0.75));
/// let share = Measured::Undefined(Undefined::NoPositives);
/// let mean = macro_mean([("click", &click), ("share", &share)]);
/// assert_eq!(mean.reason().unwrap().to_string(), "task share: no positive rows");
/// ```
pub fn macro_mean<'a>(tasks: impl IntoIterator<Item = (&'a str, &'a Measured)>) -> Measured {
    let (mut sum, mut n_tasks) = (0.0, 0);
    for (task, metric) in tasks {
        match metric {
            Measured::Value(value) => sum += value,
            Measured::Undefined(reason) => {
                let (task, reason) = (task.to_string(), Box::new(reason.clone()));
                return Measured::Undefined(Undefined::Task { task, reason });
            }
        }
        n_tasks += 1;
    }
    if n_tasks == 0 {
        return Measured::Undefined(Undefined::NoTasks);
    }
    Measured::Value(sum / f64::from(n_tasks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_no_tasks_is_undefined() {
        assert_eq!(macro_mean([]).reason(), Some(&Undefined::NoTasks));
    }
}
