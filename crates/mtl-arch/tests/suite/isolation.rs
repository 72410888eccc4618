//! What one task's loss must not reach: another task's own experts and gate.

use std::sync::Arc;

use mtl_arch::Preset;
use mtl_nn::{Entry, Optimiser, OptimiserConfig, Role, Scalar, Step};

use crate::model::{Failure, Model, PRESETS, small};

const TASKS: [&str; 3] = ["buy", "click", "like"];
const ROWS: usize = 300;

/// Whether each parameter's gradient under the loss of `task` alone has a value that is not 0.
fn touched<S: Scalar>(model: &Model<S>, task: usize) -> Result<Vec<(String, bool)>, Failure> {
    let (params, graph) = (model.params(), &model.graph);
    let mut step = Step::new(Arc::clone(graph))?;
    let optimiser = Optimiser::new(OptimiserConfig::default(), graph.layout())?;
    let mut weights = [0.0; TASKS.len()];
    weights[task] = 1.0;
    step.gradients(&params, &optimiser, &model.batch(ROWS), &weights, 1)?;
    let zero = |values: &[S]| values.iter().all(|&v| v == S::zero());
    let touched = |path: &str| {
        Ok((
            path.to_owned(),
            match graph.layout().find(path)? {
                Entry::Param(id) => {
                    let gradient = step.dense_gradient(id);
                    !(0..gradient.rows()).all(|r| zero(gradient.row(r)))
                }
                Entry::Table(id) => !zero(step.table_gradient(id).rows()),
            },
        ))
    };
    graph.layout().paths().map(touched).collect()
}

/// Under the loss of task s alone, what `owned` says task t ≠ s owns has a gradient of exactly 0,
/// and every weight that `reached` says the loss reaches has one that is not.
fn check<S: Scalar>(
    name: &str,
    preset: Preset,
    owned: impl Fn(&str, &str) -> bool,
    reached: impl Fn(&str, &str) -> bool,
) -> Result<(), Failure> {
    let model = Model::<S>::new(name, &small(preset), &TASKS)?;
    for (s, task) in TASKS.iter().enumerate() {
        let (mut isolated, mut alive) = (0, 0);
        for (path, touched) in touched(&model, s)? {
            let stranger = TASKS.iter().any(|t| t != task && owned(&path, t));
            if stranger {
                assert!(!touched, "{name} {preset:?}: the loss of {task} reaches `{path}`");
                isolated += 1;
            } else if path.ends_with("weight") && reached(&path, task) {
                assert!(touched, "{name} {preset:?}: the loss of {task} misses `{path}`");
                alive += 1;
            }
        }
        assert!(isolated > 0 && alive > 0, "{name} {preset:?}: nothing was tested");
    }
    Ok(())
}

fn every_float(
    name: &str,
    owned: impl Fn(&str, &str) -> bool + Copy,
    reached: impl Fn(&str, &str) -> bool + Copy,
) -> Result<(), Failure> {
    for preset in PRESETS {
        check::<f32>(name, preset, owned, reached)?;
        check::<f64>(name, preset, owned, reached)?;
    }
    Ok(())
}

#[test]
fn cgc_keeps_a_task_from_the_experts_and_gates_of_the_others() -> Result<(), Failure> {
    let owned = |path: &str, t: &str| path.contains(&format!("task.{t}."));
    let reached = |path: &str, t: &str| path.contains("shared.expert") || owned(path, t);
    every_float("cgc", owned, reached)
}

#[test]
fn the_last_level_of_ple_isolates_and_the_one_below_shares() -> Result<(), Failure> {
    let owned = |path: &str, t: &str| {
        path.contains(&format!("level.1.task.{t}.")) || path.contains(&format!("task.{t}.tower."))
    };
    // Below the last level the shared gate mixes all experts, those of other tasks too.
    let below = |path: &str| path.starts_with("level.0") && path.contains(".expert.");
    let reached = |path: &str, t: &str| below(path) || path.contains("shared.") || owned(path, t);
    every_float("ple", owned, reached)
}

#[test]
fn single_task_shares_nothing() -> Result<(), Failure> {
    let owned = |path: &str, t: &str| path.starts_with(&format!("task.{t}."));
    every_float("single_task", owned, owned)
}

#[test]
fn towers_share_the_embeddings_alone() -> Result<(), Failure> {
    let owned = |path: &str, t: &str| path.starts_with(&format!("task.{t}."));
    every_float("towers", owned, owned)?;
    let model = Model::<f64>::new("towers", &small(Preset::Tutorial), &TASKS)?;
    for task in 0..TASKS.len() {
        assert!(touched(&model, task)?.contains(&("embedding.id.table".to_owned(), true)));
    }
    Ok(())
}

#[test]
fn no_path_leads_forward_from_a_tasks_own_part_to_another_tasks_logit() -> Result<(), Failure> {
    for (name, own) in [("cgc", "level.0.task.click."), ("ple", "level.1.task.click.")] {
        for preset in PRESETS {
            let model = Model::<f32>::new(name, &small(preset), &TASKS)?;
            let mut params = model.params();
            let before = model.logits(&params, 40)?;
            let layout = Arc::clone(params.layout());
            for spec in layout.params().iter().filter(|p| p.role != Role::State) {
                if spec.path.starts_with(own) {
                    let values: Vec<f32> =
                        params.get(&spec.path)?.iter().map(|v| v + 0.5).collect();
                    params.set(&spec.path, (spec.rows, spec.cols), &values)?;
                }
            }
            let after = model.logits(&params, 40)?;
            for (before, after) in before.chunks(3).zip(after.chunks(3)) {
                assert_eq!([before[0], before[2]], [after[0], after[2]], "{name} {preset:?}");
                assert_ne!(before[1], after[1], "{name} {preset:?}");
            }
        }
    }
    Ok(())
}
