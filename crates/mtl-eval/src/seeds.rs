//! Results over seeds: mean and standard deviation of a model, paired difference of two.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::{ConfidenceLevel, Error, Interval, Measured, Undefined};

/// Mean and standard deviation over seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Number of seeds.
    pub n: usize,
    /// The mean. Undefined for no seeds, and if the metric is undefined for any seed.
    pub mean: Measured,
    /// The sample standard deviation (n − 1). Also undefined for one seed.
    pub sd: Measured,
}

impl Summary {
    /// Summarises a metric that is defined for every seed.
    ///
    /// # Errors
    ///
    /// A value is NaN or infinite.
    ///
    /// ```
    /// use mtl_eval::{Summary, Undefined};
    ///
    /// let over_seeds = Summary::new(&[0.70, 0.72, 0.74])?;
    /// assert!((over_seeds.mean.value().unwrap() - 0.72).abs() < 1e-12);
    /// assert!((over_seeds.sd.value().unwrap() - 0.02).abs() < 1e-12);
    /// let one = Summary::new(&[0.7])?;
    /// assert_eq!((one.mean.value(), one.sd.value()), (Some(0.7), None));
    /// # Ok::<(), mtl_eval::Error>(())
    /// ```
    pub fn new(values: &[f64]) -> Result<Self, Error> {
        check_finite("values", values)?;
        Ok(Summary {
            n: values.len(),
            mean: at_least(1, values).map(mean).into(),
            sd: at_least(2, values).map(standard_deviation).into(),
        })
    }

    /// Summarises a metric that may be undefined for some seed, which the reason then names.
    ///
    /// # Errors
    ///
    /// A value is NaN or infinite.
    pub fn of_measured(seeds: &[Measured]) -> Result<Self, Error> {
        let mut values = Vec::with_capacity(seeds.len());
        for (position, seed) in seeds.iter().enumerate() {
            match seed {
                Measured::Value(value) => values.push(*value),
                Measured::Undefined(reason) => {
                    let reason = Undefined::Seed { position, reason: Box::new(reason.clone()) };
                    let undefined = Measured::Undefined(reason);
                    return Ok(Summary { n: seeds.len(), mean: undefined.clone(), sd: undefined });
                }
            }
        }
        Summary::new(&values)
    }
}

/// The paired difference of two models over the same seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PairedT {
    /// Mean of `first − second` with its standard error and t interval.
    pub difference: Interval,
    /// Degrees of freedom: the number of seeds less one.
    pub degrees_of_freedom: usize,
    /// The difference in standard errors; `None` if every seed has the same difference but 0.
    pub t: Option<f64>,
    /// Two-sided p-value of "no difference".
    pub p_value: f64,
}

/// Student's paired t: the results of two models on the same seeds, in the same order.
///
/// Undefined with fewer than two seeds.
///
/// # Errors
///
/// The lengths differ, or a value is NaN or infinite.
///
/// ```
/// use mtl_eval::{ConfidenceLevel, paired_t};
///
/// let (mmoe, single) = ([0.712, 0.709, 0.715], [0.702, 0.701, 0.703]);
/// let test = paired_t(&mmoe, &single, ConfidenceLevel::default())?.value().unwrap();
/// assert!((test.difference.estimate - 0.01).abs() < 1e-12);
/// assert!(test.difference.low > 0.0 && test.p_value < 0.05);
/// # Ok::<(), mtl_eval::Error>(())
/// ```
pub fn paired_t(
    first: &[f64],
    second: &[f64],
    level: ConfidenceLevel,
) -> Result<Measured<PairedT>, Error> {
    if first.len() != second.len() {
        return Err(Error::UnpairedSeeds { first: first.len(), second: second.len() });
    }
    check_finite("results of the first model", first)?;
    check_finite("results of the second model", second)?;
    let differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
    Ok(at_least(2, &differences).map(|differences| student(differences, level)).into())
}

fn student(differences: &[f64], level: ConfidenceLevel) -> PairedT {
    let degrees_of_freedom = differences.len() - 1;
    let distribution = StudentsT::new(0.0, 1.0, degrees_of_freedom as f64)
        .expect("one degree of freedom or more makes a t distribution");
    let estimate = mean(differences);
    let standard_error = standard_deviation(differences) / (differences.len() as f64).sqrt();
    let half_width = level.t_quantile(&distribution) * standard_error;
    let (low, high) = (estimate - half_width, estimate + half_width);
    let (t, p_value) = match (estimate == 0.0, standard_error == 0.0) {
        (true, _) => (Some(0.0), 1.0),
        (false, true) => (None, 0.0),
        (false, false) => {
            let t = estimate / standard_error;
            (Some(t), 2.0 * distribution.cdf(-t.abs()))
        }
    };
    let difference = Interval { estimate, standard_error, low, high, level };
    PairedT { difference, degrees_of_freedom, t, p_value }
}

fn check_finite(what: &'static str, values: &[f64]) -> Result<(), Error> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(position) => Err(Error::NonFiniteValue { what, position, value: values[position] }),
        None => Ok(()),
    }
}

fn at_least(needed: usize, values: &[f64]) -> Result<&[f64], Undefined> {
    let found = values.len();
    if found < needed {
        Err(Undefined::TooFew { what: "seeds", needed, found })
    } else {
        Ok(values)
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn standard_deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    let squared: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squared / (values.len() - 1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::approx_eq;

    #[test]
    fn summaries() {
        let found = Summary::new(&[1.0, 2.0, 3.0, 6.0]).unwrap();
        approx_eq(found.mean.value().unwrap(), 3.0, 1e-15);
        approx_eq(found.sd.value().unwrap(), (14.0_f64 / 3.0).sqrt(), 1e-15);
        let too_few = |needed, found| Undefined::TooFew { what: "seeds", needed, found };
        assert_eq!(Summary::new(&[1.0]).unwrap().sd.reason(), Some(&too_few(2, 1)));
        assert_eq!(Summary::new(&[]).unwrap().mean.reason(), Some(&too_few(1, 0)));
        let error = Summary::new(&[1.0, f64::NAN]).unwrap_err();
        assert!(matches!(error, Error::NonFiniteValue { position: 1, .. }));
    }

    #[test]
    fn an_undefined_seed_is_named() {
        let seeds = [Measured::Value(0.7), Measured::Undefined(Undefined::NoPositives)];
        let found = Summary::of_measured(&seeds).unwrap();
        let reason = found.mean.reason().unwrap().to_string();
        assert_eq!(reason, "seed number 1: no positive rows");
        assert_eq!(found.mean, found.sd);
        let defined = Summary::of_measured(&seeds[..1]).unwrap();
        assert_eq!(defined.mean.value(), Some(0.7));
    }

    /// SciPy 1.17: `ttest_rel(first, second)` and its `confidence_interval(0.95)`.
    #[test]
    fn paired_t_as_scipy() {
        let (first, second) = ([0.71, 0.69, 0.74, 0.70], [0.70, 0.70, 0.71, 0.68]);
        let level = ConfidenceLevel::default();
        let found = paired_t(&first, &second, level).unwrap().value().unwrap();
        approx_eq(found.t.unwrap(), 1.463850109422798, 1e-10);
        approx_eq(found.p_value, 0.23944259863600345, 1e-10);
        approx_eq(found.difference.low, -0.014675308837960168, 1e-10);
        approx_eq(found.difference.high, 0.03967530883796014, 1e-10);
        assert_eq!(found.degrees_of_freedom, 3);
    }

    #[test]
    fn equal_differences_are_certain() {
        let level = ConfidenceLevel::default();
        let same = paired_t(&[0.5, 0.75], &[0.5, 0.75], level).unwrap().value().unwrap();
        assert_eq!((same.t, same.p_value), (Some(0.0), 1.0));
        let shifted = paired_t(&[0.5, 0.75], &[0.25, 0.5], level).unwrap().value().unwrap();
        assert_eq!((shifted.t, shifted.p_value, shifted.difference.low), (None, 0.0, 0.25));
        let one = paired_t(&[0.5], &[0.4], level).unwrap();
        assert_eq!(one.reason(), Some(&Undefined::TooFew { what: "seeds", needed: 2, found: 1 }));
        let error = paired_t(&[0.5], &[], level).unwrap_err();
        assert_eq!(error, Error::UnpairedSeeds { first: 1, second: 0 });
    }
}
