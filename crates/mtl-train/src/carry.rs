//! From a trained model to one that knows more ids: rows of a new day, trained on from where the days
//! before ended.

use std::any::Any;
use std::collections::HashSet;
use std::path::Path;

use mtl_model::{Model, ModelSpec};
use mtl_nn::Optimiser;
use mtl_nn::checkpoint::{SavedEntry, SavedOptimiser, SavedParams, Values};
use mtl_nn::ops::{DomainDense, DomainNormalise};

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
    /// their moments as at the beginning of any run. So do the parameters of domains that are new, and
    /// the statistics that they are normalised by start as those of all rows: as a domain that is not
    /// known is read. Epochs count from 1, and a weighting starts anew.
    ///
    /// # Errors
    /// [`mtl_nn::Error`] if parameters are not the same but for rows of ids, or the moments are
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
        let growing = rows_by_id(model);
        let params = SavedParams::of(&before.params).entries;
        let mut start = SavedParams::of(&model.params).entries;
        start_statistics(&mut start, &params, model);
        let params = grown(params, &start, &growing);
        let optimiser = match state {
            None => fresh,
            Some(state) => {
                let saved = state.saved_optimiser()?;
                SavedOptimiser {
                    first: grown(saved.first, &fresh.first, &growing),
                    second: grown(saved.second, &fresh.second, &growing),
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

/// The paths of parameters whose rows are those of ids, in their order, so that those of new ids come
/// last: tables, and what the layers of domains read. What these have of all domains does not grow,
/// but then it is as long as it was.
fn rows_by_id(model: &Model) -> HashSet<&str> {
    let graph = model.graph();
    let layout = graph.layout();
    let tables = layout.tables().iter().map(|table| table.path.as_str());
    let by_domain = graph.nodes().iter().map(|node| node.op()).filter(|op| is_by_domain(*op));
    let params = by_domain.flat_map(|op| op.params()).map(|&id| layout.param(id).path.as_str());
    tables.chain(params).collect()
}

fn is_by_domain(op: &dyn Any) -> bool {
    op.is::<DomainDense>() || op.is::<DomainNormalise>()
}

/// Lets running means and variances by domain start where `before` has those of all rows, its first.
/// From the 0 and 1 of a new model a domain's would take hundreds of batches to come near its rows,
/// and a day may have fewer.
fn start_statistics(start: &mut [SavedEntry], before: &[SavedEntry], model: &Model) {
    let graph = model.graph();
    for node in graph.nodes() {
        let op: &dyn Any = node.op();
        if !op.is::<DomainNormalise>() {
            continue;
        }
        // In the order of `DomainNormaliseParams`: the mean and the variance.
        for &id in &node.op().params()[4..6] {
            let path = &graph.layout().param(id).path;
            let known = before.iter().find(|entry| entry.path == *path);
            let new = start.iter_mut().find(|entry| entry.path == *path);
            let Some((known, new)) = known.zip(new).filter(|(a, b)| a.cols == b.cols) else {
                continue;
            };
            if let (Values::F32(known), Values::F32(values)) = (&known.values, &mut new.values) {
                let n_cols = new.cols as usize;
                let of_all = &known[..n_cols];
                values.chunks_exact_mut(n_cols).for_each(|row| row.copy_from_slice(of_all));
            }
        }
    }
}

/// The entries that grow with the rows of `fresh` after their own; whatever else differs is left for
/// those who restore it to name.
fn grown(
    entries: Vec<SavedEntry>,
    fresh: &[SavedEntry],
    growing: &HashSet<&str>,
) -> Vec<SavedEntry> {
    let grow = |mut entry: SavedEntry| {
        let grows = growing.contains(entry.path.as_str());
        let longer = fresh.iter().find(|f| f.path == entry.path && f.cols == entry.cols);
        if let (true, Some(longer)) = (grows, longer) {
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
