//! **Equal**: w_t = 1, the plain sum of losses.
//!
//! Source: none; the baseline of every paper here. Cost: nothing. Choose it first: when losses are of
//! one kind and one scale it is hard to beat.

use serde::{Deserialize, Serialize};

use crate::{Active, Error, Needs, OwnWeight, Weighting};

/// Settings of the equal weighting: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EqualConfig {}

impl EqualConfig {
    pub(crate) fn build(&self) -> Equal {
        Equal
    }
}

#[derive(Debug)]
pub(crate) struct Equal;

impl Weighting for Equal {
    fn name(&self) -> &'static str {
        "equal"
    }

    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn own(&self) -> OwnWeight {
        OwnWeight::One
    }

    fn weigh(&mut self, _active: &Active<'_>, weights: &mut [f64]) -> Result<(), Error> {
        weights.fill(1.0);
        Ok(())
    }
}
