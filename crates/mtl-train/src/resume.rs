//! The state of a training run between epochs, and within one.

use std::sync::Arc;

use mtl_feature::FeatureTable;
use mtl_model::Model;
use mtl_nn::checkpoint::{self, SavedOptimiser, SavedParams};
use mtl_nn::{Layout, Optimiser, Params, Step};
use serde::{Deserialize, Serialize};

use crate::fingerprint::Fingerprint;
use crate::progress::Progress;
use crate::weighting::{Weighting, WeightingState};
use crate::{Error, History, Result, TrainConfig};

/// Numbered anew whenever what it holds changes.
const KIND: &str = "mtl training state 3";

/// Everything that goes on changing in a run: weights, the best weights, the optimiser's moments
/// and the history. From it training continues bit for bit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrainingState {
    history: History,
    /// An epoch that was interrupted.
    partway: Option<Progress>,
    seed: u64,
    batch_size: usize,
    rows: Fingerprint,
    params: SavedParams,
    /// The best epoch's, if it is not the last one.
    best: Option<SavedParams>,
    optimiser: SavedOptimiser,
    weighting: Option<WeightingState>,
}

impl TrainingState {
    pub(crate) fn of(
        (history, partway): (&History, Option<&Progress>),
        config: &TrainConfig,
        rows: &Fingerprint,
        (params, best): (&Params<f32>, Option<&Params<f32>>),
        optimiser: &Optimiser<f32>,
        weighting: Option<WeightingState>,
    ) -> Self {
        Self {
            history: history.clone(),
            partway: partway.cloned(),
            seed: config.seed,
            batch_size: config.batch_size,
            rows: rows.clone(),
            params: SavedParams::of(params),
            best: best.map(SavedParams::of),
            optimiser: SavedOptimiser::of(optimiser, params.layout()),
            weighting,
        }
    }

    /// The epochs so far.
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// The steps that were done of an epoch that was interrupted; `None` between epochs.
    pub fn steps_partway(&self) -> Option<usize> {
        self.partway.as_ref().map(Progress::steps)
    }

    pub(crate) fn partway(&self) -> Option<&Progress> {
        self.partway.as_ref()
    }

    /// The state as bytes of a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        checkpoint::encode(KIND, self)
    }

    /// Reads what [`TrainingState::to_bytes`] wrote; `file` names it in messages.
    ///
    /// # Errors
    /// [`Error::Resume`] if the bytes are no such state.
    pub fn from_bytes(bytes: &[u8], file: &str) -> Result<Self> {
        checkpoint::decode(KIND, bytes).map_err(|error| resume(file, error.to_string()))
    }

    /// Whether the settings that a run may not change are those of `config`, the training rows
    /// those of `train`, and the parameters those of `model`; `file` names the state in messages.
    ///
    /// # Errors
    /// [`Error::Resume`], naming what differs.
    pub fn check(
        &self,
        model: &Model,
        config: &TrainConfig,
        train: &FeatureTable,
        file: &str,
    ) -> Result<()> {
        let pairs = [
            ("seed", self.seed.to_string(), config.seed.to_string()),
            ("batch_size", self.batch_size.to_string(), config.batch_size.to_string()),
        ];
        if let Some((name, was, is)) = pairs.into_iter().find(|(_, was, is)| was != is) {
            return Err(resume(file, format!("`{name}` was {was}, and is {is} now")));
        }
        if let Some(difference) = self.rows.difference(&Fingerprint::of(train)) {
            return Err(resume(file, difference));
        }
        let layout = model.graph().layout();
        self.params(layout)
            .and(self.optimiser(config, layout).map(drop))
            .map_err(|error| resume(file, format!("is of another model: {error}")))
    }

    pub(crate) fn params(&self, layout: &Arc<Layout>) -> Result<Params<f32>> {
        Ok(self.params.restore(layout)?)
    }

    pub(crate) fn best(&self, layout: &Arc<Layout>) -> Result<Option<Params<f32>>> {
        Ok(self.best.as_ref().map(|best| best.restore(layout)).transpose()?)
    }

    pub(crate) fn restore_weighting(
        &self,
        weighting: &mut Weighting,
        step: &mut Step<f32>,
    ) -> Result<()> {
        match &self.weighting {
            Some(state) => weighting.restore(state, step, self.history.epochs.len() as u64),
            None => {
                let message = "was trained with equal weights, expected the same weighting";
                Err(resume("the training state", message.to_owned()))
            }
        }
    }

    pub(crate) fn optimiser(
        &self,
        config: &TrainConfig,
        layout: &Layout,
    ) -> Result<Optimiser<f32>> {
        Ok(self.optimiser.restore(config.optimiser(), layout)?)
    }
}

fn resume(file: &str, message: String) -> Error {
    Error::Resume { file: file.to_owned(), message }
}
