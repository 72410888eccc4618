//! From a trained model to one that knows more ids: rows of a new day, trained on from where the days
//! before ended.

use std::path::Path;

use mtl_model::{Model, ModelSpec};
use mtl_nn::checkpoint::{SavedEntry, SavedOptimiser, SavedParams, Values};
use mtl_nn::{Entry, Layout, Optimiser};

use crate::{Error, Result, TrainConfig, TrainingState};

/// Whether a model of `spec` can start from one of `before`: settings and chain must be the same, and
/// so what each parameter is to the model. Losses and weights of tasks may be others.
///
/// # Errors
/// [`Error::Start`], naming the folder that `before` lies in.
pub fn check_start(before: &ModelSpec, spec: &ModelSpec, folder: &Path) -> Result<()> {
    let wrong = |message: String| Error::Start { file: folder.display().to_string(), message };
    let (was, is) = (&before.model.name, &spec.model.name);
    if was != is {
        return Err(wrong(format!("is a `{was}`, and the configuration's model is a `{is}`")));
    }
    if before.model != spec.model {
        let expected = "expected those of its `model.toml`";
        return Err(wrong(format!(
            "has other settings than [model] in the configuration, {expected}"
        )));
    }
    if before.chain != spec.chain {
        return Err(wrong(
            "has another chain than the configuration, expected the same".to_owned(),
        ));
    }
    Ok(())
}

impl TrainingState {
    /// The state in which a run of `model` begins that goes on from `before`: parameters are those of
    /// `before`, and the optimiser's moments and steps those of `state`, if there is one. Rows of
    /// tables that `before` does not have, since their ids are new, start as `model` has them, and
    /// their moments as at the beginning of any run. Epochs count from 1, and a weighting starts anew.
    ///
    /// # Errors
    /// [`mtl_nn::Error`] if parameters are not the same but for rows of tables, or the moments are
    /// another optimiser's.
    pub fn carried(
        before: &Model,
        state: Option<&Self>,
        model: &Model,
        config: &TrainConfig,
    ) -> Result<Self> {
        let layout = model.graph().layout();
        let fresh = Optimiser::<f32>::new(config.optimiser(), layout)?;
        let fresh = SavedOptimiser::of(&fresh, layout);
        let params = SavedParams::of(&before.params).entries;
        let params = grown(params, &SavedParams::of(&model.params).entries, layout);
        let optimiser = match state {
            None => fresh,
            Some(state) => {
                let saved = state.saved_optimiser()?;
                SavedOptimiser {
                    first: grown(saved.first, &fresh.first, layout),
                    second: grown(saved.second, &fresh.second, layout),
                    ..saved
                }
            }
        };
        let carried = Self::unstarted(config, &params, &optimiser)?;
        carried.check_weights(layout)?;
        carried.optimiser(config, layout)?;
        Ok(carried)
    }
}

/// Tables of `entries` with the rows of `fresh` after their own; whatever else differs is left for
/// those who restore it to name.
fn grown(entries: Vec<SavedEntry>, fresh: &[SavedEntry], layout: &Layout) -> Vec<SavedEntry> {
    let grow = |mut entry: SavedEntry| {
        let is_table = matches!(layout.find(&entry.path), Ok(Entry::Table(_)));
        let longer = fresh.iter().find(|f| f.path == entry.path && f.cols == entry.cols);
        if let (true, Some(longer)) = (is_table, longer) {
            append(&mut entry.values, &longer.values);
            entry.rows = entry.rows.max(longer.rows);
        }
        entry
    };
    entries.into_iter().map(grow).collect()
}

/// Adds the values that come after as many as there are.
fn append(values: &mut Values, longer: &Values) {
    match (values, longer) {
        (Values::F32(values), Values::F32(longer)) if longer.len() > values.len() => {
            values.extend_from_slice(&longer[values.len()..]);
        }
        (Values::F64(values), Values::F64(longer)) if longer.len() > values.len() => {
            values.extend_from_slice(&longer[values.len()..]);
        }
        _ => {}
    }
}
