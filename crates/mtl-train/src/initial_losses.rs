//! L(0): what each loss is before anything is learnt, which GradNorm compares with and learned weights
//! start from.

use mtl_feature::FeatureTable;
use mtl_loss::methods::gradnorm::base_rate_entropy;
use mtl_model::{Measure, Model, TaskLoss, VisitPointLoss};
use mtl_nn::ops::PointLoss;

use crate::Result;

/// What each loss is before anything is learnt, times its weight: the entropy of the label's base
/// rate, or the loss of the mean label.
pub(crate) fn initial_losses(
    model: &Model,
    train: &FeatureTable,
    names: &[String],
) -> Result<Vec<f64>> {
    let (labels, measures) = (model.labels_of(train)?, model.measures());
    let weights = model.loss_weights();
    let initial = |(name, weight): (&String, &f64)| {
        let measure = measures.iter().find(|measure| measure.loss.as_ref() == Some(name));
        let labels = measure.and_then(|measure| labels.get(&measure.name));
        let labels = labels.map_or(&[][..], Vec::as_slice);
        let loss = constant_loss(model, measure, labels, train.weights());
        // A label that never varies, or a weight of 0, leaves no loss to compare with; 1 leaves its
        // pace as it is.
        if weight * loss > 0.0 { weight * loss } else { 1.0 }
    };
    Ok(names.iter().zip(weights).map(initial).collect())
}

/// The loss of the best constant prediction.
fn constant_loss(
    model: &Model,
    measure: Option<&Measure>,
    labels: &[f32],
    weights: Option<&[f32]>,
) -> f64 {
    let rows = || {
        let weight = |i: usize| weights.map_or(1.0, |w| f64::from(w[i]));
        let labelled = labels.iter().enumerate().filter(|(_, y)| !y.is_nan());
        labelled.map(move |(i, &y)| (weight(i), f64::from(y)))
    };
    let total: f64 = rows().map(|(w, _)| w).sum();
    if total <= 0.0 {
        return 0.0;
    }
    let mean = rows().map(|(w, y)| w * y).sum::<f64>() / total;
    let task = measure.and_then(|measure| model.spec().task(&measure.name));
    match task.map(|task| (task, task.task_loss())) {
        None | Some((_, TaskLoss::Bce)) => base_rate_entropy(mean),
        // Scores that are all equal lose ln 2 by every pair.
        Some((_, TaskLoss::Bpr)) => std::f64::consts::LN_2,
        Some((task, TaskLoss::Softmax)) => {
            let mut shares = vec![0.0; task.classes(model.schema()).len()];
            for (w, y) in rows() {
                // The first step says what is wrong with a label that is no class.
                shares.get_mut(y as usize).into_iter().for_each(|share| *share += w / total);
            }
            shares.iter().filter(|&&share| share > 0.0).map(|share| -share * share.ln()).sum()
        }
        Some((task, _)) => {
            let rows: Vec<(f64, f64)> = rows().collect();
            let best = BestConstant { rows, total, mean, is_binary: task.is_binary() };
            task.with_point_loss(best).ok().flatten().unwrap_or(0.0)
        }
    }
}

/// The loss of a constant: the mean label of a regression, of a binary task the logit that is best.
struct BestConstant {
    /// Weights and labels.
    rows: Vec<(f64, f64)>,
    total: f64,
    mean: f64,
    is_binary: bool,
}

impl VisitPointLoss for BestConstant {
    type Output = f64;

    fn visit<L: PointLoss>(self, loss: L) -> f64 {
        if !self.is_binary {
            let losses = self.rows.iter().map(|(w, y)| w * loss.loss(self.mean, *y));
            return losses.sum::<f64>() / self.total;
        }
        // With two labels, a curve that falls and then rises: thirds leave out what cannot be best.
        let at = |z: f64| self.mean * loss.loss(z, 1.0) + (1.0 - self.mean) * loss.loss(z, 0.0);
        let (mut low, mut high) = (-40.0, 40.0);
        for _ in 0..100 {
            let third = (high - low) / 3.0;
            if at(low + third) <= at(high - third) { high -= third } else { low += third }
        }
        at(0.5 * (low + high))
    }
}
