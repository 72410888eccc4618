//! Learning-rate schedules: a factor on every learning rate, by step.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A factor on the learning rate; step 1 is the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Schedule {
    /// 1.
    #[default]
    Constant,
    /// Rises linearly over `warmup` steps, then stays 1.
    Warmup {
        /// Steps of the rise.
        warmup: u64,
    },
    /// Rises over `warmup` steps, then falls along a half cosine to `floor` at step `steps`.
    Cosine {
        /// Steps of the rise.
        #[serde(default)]
        warmup: u64,
        /// The step at which the floor is reached.
        steps: u64,
        /// The last factor, in [0, 1].
        #[serde(default)]
        floor: f64,
    },
    /// Multiplied by `rate` every `every` steps.
    Exponential {
        /// The factor, in (0, 1].
        rate: f64,
        /// Steps between multiplications.
        every: u64,
    },
}

impl Schedule {
    /// The factor at a step, from 1.
    pub fn factor(&self, step: u64) -> f64 {
        match *self {
            Self::Constant => 1.0,
            Self::Warmup { warmup } => rise(step, warmup),
            Self::Cosine { warmup, steps, floor } => {
                if step <= warmup {
                    return rise(step, warmup);
                }
                let done = (step - warmup) as f64 / (steps.saturating_sub(warmup)).max(1) as f64;
                let wave = 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos());
                floor + (1.0 - floor) * wave
            }
            Self::Exponential { rate, every } => rate.powf(((step - 1) / every.max(1)) as f64),
        }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn check(&self) -> Result<()> {
        let bad = |name, value: f64, expected| {
            Err(Error::Setting { name, value: value.to_string(), expected })
        };
        match *self {
            Self::Cosine { floor, .. } if !(0.0..=1.0).contains(&floor) => {
                bad("schedule.floor", floor, "a number in [0, 1]")
            }
            Self::Cosine { warmup, steps, .. } if steps <= warmup => {
                bad("schedule.steps", steps as f64, "more steps than the warm-up")
            }
            Self::Exponential { rate, .. } if !(rate > 0.0 && rate <= 1.0) => {
                bad("schedule.rate", rate, "a number in (0, 1]")
            }
            Self::Exponential { every: 0, .. } => bad("schedule.every", 0.0, "at least 1 step"),
            _ => Ok(()),
        }
    }
}

fn rise(step: u64, warmup: u64) -> f64 {
    if step >= warmup { 1.0 } else { step as f64 / warmup as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_at_known_steps() {
        assert_eq!(Schedule::Constant.factor(9), 1.0);
        assert_eq!(Schedule::Warmup { warmup: 4 }.factor(1), 0.25);
        assert_eq!(Schedule::Warmup { warmup: 4 }.factor(5), 1.0);
        let cosine = Schedule::Cosine { warmup: 2, steps: 12, floor: 0.1 };
        assert_eq!(cosine.factor(1), 0.5);
        assert!((cosine.factor(7) - 0.55).abs() < 1e-12);
        assert!((cosine.factor(12) - 0.1).abs() < 1e-12);
        assert!((cosine.factor(90) - 0.1).abs() < 1e-12);
        let halves = Schedule::Exponential { rate: 0.5, every: 10 };
        assert_eq!([1, 10, 11, 21].map(|s| halves.factor(s)), [1.0, 1.0, 0.5, 0.25]);
    }
}
