//! **RLW**, random loss weighting: fresh random weights every step.
//!
//! ```text
//! w = softmax(z),   z_t ~ N(0, 1)
//! ```
//!
//! Source: Lin et al., *Reasonable Effectiveness of Random Weighting*, TMLR 2022, eq. 4 (normal
//! distribution). Cost: T normal draws. Choose it as the baseline that any adaptive method must beat.
//! The draws are keyed by (seed, step) and follow the order of the tasks; seed 0.

use serde::{Deserialize, Serialize};

use super::softmax;
use crate::random::StepRandom;
use crate::{Active, Error, Needs, OwnWeight, Weighting};

/// Settings of random loss weighting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RlwConfig {
    /// The seed of the draws.
    pub seed: u64,
}

impl RlwConfig {
    pub(crate) fn build(&self) -> Rlw {
        Rlw { seed: self.seed }
    }
}

#[derive(Debug)]
pub(crate) struct Rlw {
    seed: u64,
}

impl Weighting for Rlw {
    fn name(&self) -> &'static str {
        "rlw"
    }

    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn own(&self) -> OwnWeight {
        OwnWeight::SameAsShared
    }

    fn weigh(&mut self, active: &Active<'_>, weights: &mut [f64]) -> Result<(), Error> {
        let mut random = StepRandom::new(self.seed, active.step);
        weights.iter_mut().for_each(|w| *w = random.normal());
        softmax(weights);
        Ok(())
    }
}
