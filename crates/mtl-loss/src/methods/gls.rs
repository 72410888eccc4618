//! **GLS**, geometric loss strategy: minimise the geometric mean of the losses.
//!
//! ```text
//! (Π_t L_t)^(1/T)      w_t = (Π_s L_s)^(1/T) / (T L_t)
//! ```
//!
//! The direction does not change when a loss is scaled.
//!
//! Source: Chennupati et al., *MultiNet++*, CVPR Workshops 2019, eq. 3. Cost: T logarithms. Choose it
//! when losses differ in scale and none of them goes to 0 (a loss below 1e-8 counts as 1e-8: its weight
//! would take over).

use serde::{Deserialize, Serialize};

use crate::weigher::LOSS_FLOOR;
use crate::{Active, Error, Needs, OwnWeight, Weighting};

/// Settings of the geometric loss strategy: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlsConfig {}

impl GlsConfig {
    pub(crate) fn build(&self) -> Gls {
        Gls
    }
}

#[derive(Debug)]
pub(crate) struct Gls;

impl Weighting for Gls {
    fn name(&self) -> &'static str {
        "gls"
    }

    fn needs(&self) -> Needs {
        Needs { non_negative_losses: true, ..Needs::default() }
    }

    fn own(&self) -> OwnWeight {
        OwnWeight::SameAsShared
    }

    fn weigh(&mut self, active: &Active<'_>, weights: &mut [f64]) -> Result<(), Error> {
        let n = active.n() as f64;
        let mean_log = active.losses.iter().map(|l| l.max(LOSS_FLOOR).ln()).sum::<f64>() / n;
        for (weight, loss) in weights.iter_mut().zip(active.losses) {
            *weight = mean_log.exp() / (n * loss.max(LOSS_FLOOR));
        }
        Ok(())
    }
}
