//! The state of a training run between epochs, and within one.

use std::collections::BTreeMap;
use std::sync::Arc;

use mtl_model::Model;
use mtl_nn::checkpoint::{self, Damage, SavedOptimiser, SavedParams};
use mtl_nn::kernel::Precision;
use mtl_nn::{Layout, Optimiser, Params, Step};
use serde::{Deserialize, Serialize};

use crate::fingerprint::Fingerprint;
use crate::progress::Progress;
use crate::survey::Survey;
use crate::weighting::{Weighting, WeightingState};
use crate::{Error, History, Result, TrainConfig};

/// How every version's kind begins.
const KINDS: &str = "mtl training state ";
/// Numbered anew whenever what it holds changes.
const KIND: &str = "mtl training state 6";

/// Everything that goes on changing in a run: weights, the best weights, the optimiser's moments
/// and the history. From it training continues bit for bit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrainingState {
    history: History,
    /// An epoch that was interrupted.
    partway: Option<Progress>,
    seed: u64,
    batch_size: usize,
    precision: Precision,
    /// None before the first epoch.
    rows: Option<SeenRows>,
    params: SavedParams,
    /// The best epoch's, if it is not the last one.
    best: Option<SavedParams>,
    optimiser: SavedOptimiser,
    weighting: Option<WeightingState>,
    /// The settings of `[loss]` by key; none before the first epoch.
    loss: Option<BTreeMap<String, String>>,
    /// Its name in messages.
    #[serde(skip, default = "unnamed")]
    file: String,
}

/// The rows of a run, and how many of them shuffle among themselves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SeenRows {
    rows: Fingerprint,
    block_rows: usize,
}

impl SeenRows {
    pub(crate) fn of(survey: &Survey) -> Self {
        Self { rows: survey.rows.clone(), block_rows: survey.block_rows }
    }
}

fn precision(of: Precision) -> String {
    match of {
        Precision::F32 => "f32",
        Precision::Bf16 => "bf16",
    }
    .to_owned()
}

fn unnamed() -> String {
    "the training state".to_owned()
}

impl TrainingState {
    pub(crate) fn of(
        (history, partway): (&History, Option<&Progress>),
        config: &TrainConfig,
        rows: &SeenRows,
        (params, best): (&Params<f32>, Option<&Params<f32>>),
        optimiser: &Optimiser<f32>,
        weighting: Option<WeightingState>,
    ) -> Self {
        Self {
            history: history.clone(),
            partway: partway.cloned(),
            seed: config.seed,
            batch_size: config.batch_size,
            precision: config.precision,
            rows: Some(rows.clone()),
            params: SavedParams::of(params),
            best: best.map(SavedParams::of),
            optimiser: SavedOptimiser::of(optimiser, params.layout()),
            weighting,
            loss: Some(config.loss.settings()),
            file: unnamed(),
        }
    }

    /// The state before the first epoch.
    pub(crate) fn unstarted(
        config: &TrainConfig,
        params: SavedParams,
        optimiser: SavedOptimiser,
    ) -> Self {
        Self {
            history: History::default(),
            partway: None,
            seed: config.seed,
            batch_size: config.batch_size,
            precision: config.precision,
            rows: None,
            params,
            best: None,
            optimiser,
            weighting: None,
            loss: None,
            file: unnamed(),
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
        let state: Result<Self, _> = checkpoint::decode(KIND, bytes);
        let file = file.to_owned();
        match state {
            Ok(state) => Ok(Self { file, ..state }),
            Err(mtl_nn::Error::Checkpoint(Damage::Kind { found, expected }))
                if found.starts_with(KINDS) =>
            {
                let message = format!(
                    "it was written by another version (`{found}`, expected `{expected}`) and cannot \
                     be taken up: expected training from the beginning, or without this file"
                );
                Err(Error::Resume { file, message })
            }
            Err(error) => Err(Error::Resume { file, message: error.to_string() }),
        }
    }

    /// Whether the settings that a run may not change are those of `config`, and the parameters those
    /// of `model`. That the training rows are the same is for [`fit`](crate::fit) to see.
    ///
    /// # Errors
    /// [`Error::Resume`], naming what differs.
    pub fn check(&self, model: &Model, config: &TrainConfig) -> Result<()> {
        let pairs = [
            ("seed", self.seed.to_string(), config.seed.to_string()),
            ("batch_size", self.batch_size.to_string(), config.batch_size.to_string()),
            ("precision", precision(self.precision), precision(config.precision)),
        ];
        if let Some((name, was, is)) = pairs.into_iter().find(|(_, was, is)| was != is) {
            return Err(self.error(format!("`{name}` was {was}, and is {is} now")));
        }
        self.check_loss(config)?;
        let layout = model.graph().layout();
        self.params(layout)
            .and(self.optimiser(config, layout).map(drop))
            .map_err(|error| self.error(format!("is of another model: {error}")))
    }

    /// Whether `[loss]` is that of the run so far: what a weighting has learnt is of no use to another,
    /// and a run under two of them is a run of neither.
    pub(crate) fn check_loss(&self, config: &TrainConfig) -> Result<()> {
        let Some(was) = &self.loss else { return Ok(()) };
        let is = config.loss.settings();
        // The method first: another one has other keys.
        let keys = ["loss.weighting.method"].into_iter();
        let mut keys = keys.chain(was.keys().chain(is.keys()).map(String::as_str));
        let Some(key) = keys.find(|&key| was.get(key) != is.get(key)) else {
            return Ok(());
        };
        let named = |of: &BTreeMap<String, String>| {
            of.get(key).map_or("not set", String::as_str).to_owned()
        };
        Err(self.error(format!("`{key}` was {}, and is {} now", named(was), named(&is))))
    }

    /// Whether the training rows are those of the run so far.
    pub(crate) fn check_rows(&self, survey: &Survey) -> Result<()> {
        let Some(SeenRows { rows, block_rows }) = &self.rows else { return Ok(()) };
        if let Some(difference) = rows.difference(&survey.rows) {
            return Err(self.error(difference));
        }
        let (was, is) = (block_rows, survey.block_rows);
        match was == &is {
            true => Ok(()),
            false => Err(self.error(format!("`shuffle_rows` was {was}, and is {is} now"))),
        }
    }

    fn error(&self, message: String) -> Error {
        Error::Resume { file: self.file.clone(), message }
    }

    pub(crate) const fn saved_optimiser(&self) -> &SavedOptimiser {
        &self.optimiser
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
            // A weighting starts with the first epoch.
            None => Ok(()),
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
