//! Undoing the sampling of negatives.
//!
//! A model that was trained on all positives and a share w of the negatives predicts too much:
//! q = p / (p + (1 − p)/w) is the probability among all rows (He et al., "Practical lessons from
//! predicting clicks on ads at Facebook", ADKDD 2014, section 6.3). In logits it is a shift:
//! logit q = logit p + ln w.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The share w of negatives that was kept, above 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct NegativeSampling(f64);

impl NegativeSampling {
    /// A share of kept negatives.
    ///
    /// # Errors
    /// [`Error::Share`] for one that is not above 0 and at most 1.
    pub fn new(share: f64) -> Result<Self> {
        if share > 0.0 && share <= 1.0 { Ok(Self(share)) } else { Err(Error::Share { share }) }
    }

    /// The share.
    pub const fn share(self) -> f64 {
        self.0
    }

    /// p / (p + (1 − p)/w).
    pub fn apply(self, p: f64) -> f64 {
        // 1/w overflows for no share that is kept of any number of rows; p·w does not either.
        let kept = p * self.0;
        let q = kept / (kept + (1.0 - p));
        if q.is_nan() { p } else { q }
    }
}

impl TryFrom<f64> for NegativeSampling {
    type Error = Error;

    fn try_from(share: f64) -> Result<Self> {
        Self::new(share)
    }
}

impl From<NegativeSampling> for f64 {
    fn from(sampling: NegativeSampling) -> Self {
        sampling.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_tenth_of_the_negatives() {
        // 10 positives and 90 negatives of 900: 0.1 among the sampled, 10/910 among all.
        let sampling = NegativeSampling::new(0.1).unwrap();
        assert!((sampling.apply(0.1) - 10.0 / 910.0).abs() < 1e-15);
        assert_eq!((sampling.apply(0.0), sampling.apply(1.0)), (0.0, 1.0));
        assert_eq!(NegativeSampling::new(1.0).unwrap().apply(0.3), 0.3);
    }

    #[test]
    fn a_share_that_cannot_be() {
        for share in [0.0, -0.1, 1.5, f64::NAN, f64::INFINITY] {
            assert!(NegativeSampling::new(share).is_err(), "{share}");
        }
        let error = serde_json::from_str::<NegativeSampling>("2.0").unwrap_err();
        assert!(error.to_string().contains("above 0 to 1"), "{error}");
    }

    proptest! {
        #[test]
        fn it_is_a_shift_of_the_logit(p in 1e-9..1.0 - 1e-9, share in 1e-4..1.0f64) {
            let logit = |p: f64| (p / (1.0 - p)).ln();
            let q = NegativeSampling::new(share).unwrap().apply(p);
            prop_assert!((logit(q) - logit(p) - share.ln()).abs() < 1e-6);
        }
    }
}
