//! **Uncertainty weighting** (UW): each loss divided by a learned variance.
//!
//! ```text
//! regression:      Σ_t L_t / (2 σ_t²) + ln σ_t     w_t = ½ e^(−s_t)
//! classification:  Σ_t L_t / σ_t²     + ln σ_t     w_t =   e^(−s_t)       s_t = ln σ_t²
//! ```
//!
//! The gradient of the objective is ∂/∂s_t = ½ − w_t L_t, so with L fixed it is stationary at
//! σ_t² = L_t (regression) and σ_t² = 2 L_t (classification): a weight can rise as well as fall.
//!
//! Source: Kendall, Gal and Cipolla, *Multi-Task Learning Using Uncertainty to Weigh Losses for Scene
//! Geometry and Semantics*, CVPR 2018, eqs. 5 to 10. Cost: T exponentials. Choose it when losses have
//! different scales and no Gram matrix is to be paid for.
//!
//! s_t starts at rest for the losses of the base rates ([`Start::BaseRate`]) and is stepped at a rate of
//! its own, 0.025, as FAMO's ξ is; the paper leaves both open. From s = 0 and at a rate of 0.001 a loss
//! scaled by 100 would take ln 100 / 0.001 = 4,600 steps of Adam to be brought back. s_t is kept within ±20.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::Setup;
use crate::log_scales::{LEARNING_RATE, LogScales};
use crate::setting::{Start, learning_rate, per_task};
use crate::{Active, Error, LearnedState, Needs, OwnWeight, Weighting};

/// Which likelihood a loss belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UncertaintyForm {
    /// L/(2σ²) + ln σ, a Gaussian's.
    #[default]
    Regression,
    /// L/σ² + ln σ, a scaled softmax's.
    Classification,
}

/// Settings of uncertainty weighting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UncertaintyConfig {
    /// The form for tasks that `forms` does not list.
    pub form: UncertaintyForm,
    /// The form by task.
    pub forms: BTreeMap<String, UncertaintyForm>,
    /// The learning rate of s, above 0; `None` (not expressible in TOML) is the model's.
    pub learning_rate: Option<f64>,
    /// Where s starts.
    pub start: Start,
}

impl Default for UncertaintyConfig {
    fn default() -> Self {
        let (form, forms) = (UncertaintyForm::default(), BTreeMap::new());
        let learning_rate = Some(LEARNING_RATE);
        Self { form, forms, learning_rate, start: Start::default() }
    }
}

impl UncertaintyConfig {
    pub(crate) fn build(&self, setup: &Setup<'_>) -> Result<Uncertainty, Error> {
        let forms = per_task("uncertainty", "forms", self.form, &self.forms, setup.tasks)?;
        let at_rest = |(&loss, form): (&f64, &UncertaintyForm)| match form {
            UncertaintyForm::Regression => loss.ln(),
            UncertaintyForm::Classification => (2.0 * loss).ln(),
        };
        let start = self.start.losses("uncertainty", setup)?;
        let start = start.map(|losses| losses.iter().zip(&forms).map(at_rest).collect());
        let learning_rate = learning_rate("uncertainty", self.learning_rate)?;
        Ok(Uncertainty { forms, s: LogScales::new(setup.tasks.len(), start, learning_rate) })
    }
}

#[derive(Debug)]
pub(crate) struct Uncertainty {
    forms: Vec<UncertaintyForm>,
    /// ln σ².
    s: LogScales,
}

impl Weighting for Uncertainty {
    fn name(&self) -> &'static str {
        "uncertainty"
    }

    fn needs(&self) -> Needs {
        Needs { learned: true, ..Needs::default() }
    }

    fn own(&self) -> OwnWeight {
        OwnWeight::SameAsShared
    }

    fn weigh(&mut self, active: &Active<'_>, weights: &mut [f64]) -> Result<(), Error> {
        self.s.gradient.fill(0.0);
        for (i, &task) in active.tasks.iter().enumerate() {
            let precision = (-self.s.values[task]).exp();
            weights[i] = match self.forms[task] {
                UncertaintyForm::Regression => 0.5 * precision,
                UncertaintyForm::Classification => precision,
            };
            self.s.gradient[task] = 0.5 - weights[i] * active.losses[i];
        }
        Ok(())
    }

    fn learned(&mut self) -> Option<LearnedState<'_>> {
        Some(self.s.learned())
    }

    fn project(&mut self, touched: &[bool]) {
        self.s.clamp(touched);
    }

    fn state(&self) -> Vec<(&'static str, &[f64])> {
        vec![("log_variance", &self.s.values)]
    }

    fn state_mut(&mut self) -> Vec<(&'static str, &mut [f64])> {
        vec![("log_variance", &mut self.s.values)]
    }
}
