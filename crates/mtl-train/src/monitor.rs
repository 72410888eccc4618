//! The metric that early stopping watches.

use mtl_feature::LabelKind;
use mtl_model::Measure;

use crate::Evaluation;

/// A named metric of a validation: `auc_<task>`, `auc_macro`, `gauc_<task>`, `gauc_macro`,
/// `log_loss_<task>`, `rmse_<task>`, `mae_<task>`, `accuracy_<task>` or `loss` (the weighted sum of all
/// losses).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monitor {
    name: String,
    metric: Metric,
    task: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Metric {
    Auc,
    Gauc,
    LogLoss,
    Rmse,
    Mae,
    Accuracy,
    Loss,
}

impl Metric {
    /// Whether it is one of a task of this kind.
    const fn is_of(self, kind: LabelKind) -> bool {
        match kind {
            LabelKind::Regression => matches!(self, Self::Rmse | Self::Mae),
            LabelKind::Multiclass => matches!(self, Self::LogLoss | Self::Accuracy),
            _ => matches!(self, Self::Auc | Self::Gauc | Self::LogLoss),
        }
    }
}

const METRICS: [(&str, Metric); 6] = [
    ("auc_", Metric::Auc),
    ("gauc_", Metric::Gauc),
    ("log_loss_", Metric::LogLoss),
    ("rmse_", Metric::Rmse),
    ("mae_", Metric::Mae),
    ("accuracy_", Metric::Accuracy),
];

impl Monitor {
    /// The metric of that name for what a model is measured by.
    ///
    /// # Errors
    /// What was expected, for a message.
    pub fn parse(name: &str, measures: &[Measure]) -> Result<Self, String> {
        if name == "loss" {
            return Ok(Self { name: name.to_owned(), metric: Metric::Loss, task: None });
        }
        for (prefix, metric) in METRICS {
            let Some(rest) = name.strip_prefix(prefix) else { continue };
            let ranks = matches!(metric, Metric::Auc | Metric::Gauc);
            if rest == "macro" && ranks {
                return Ok(Self { name: name.to_owned(), metric, task: None });
            }
            if measures.iter().any(|m| m.name == rest && metric.is_of(m.kind)) {
                return Ok(Self { name: name.to_owned(), metric, task: Some(rest.to_owned()) });
            }
        }
        let mut expected = vec!["`loss`".to_owned()];
        if measures.iter().any(Measure::is_binary) {
            expected.push("`auc_macro`".to_owned());
            expected.push("`gauc_macro`".to_owned());
        }
        for measure in measures {
            let of_kind = METRICS.iter().filter(|(_, metric)| metric.is_of(measure.kind));
            expected.extend(of_kind.map(|(prefix, _)| format!("`{prefix}{}`", measure.name)));
        }
        Err(format!("one of {}", expected.join(", ")))
    }

    /// What is watched if nothing is named: the macro AUC, or the loss without a binary task.
    pub fn default_for(measures: &[Measure]) -> Self {
        let binary = measures.iter().any(Measure::is_binary);
        let (name, metric) =
            if binary { ("auc_macro", Metric::Auc) } else { ("loss", Metric::Loss) };
        Self { name: name.to_owned(), metric, task: None }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a larger value is better.
    pub const fn larger_is_better(&self) -> bool {
        matches!(self.metric, Metric::Auc | Metric::Gauc | Metric::Accuracy)
    }

    /// Its value, `None` where it is undefined.
    pub fn value(&self, evaluation: &Evaluation) -> Option<f64> {
        let Some(task) = &self.task else {
            return match self.metric {
                Metric::Auc => evaluation.auc_macro.value(),
                Metric::Gauc => evaluation.gauc_macro.value(),
                _ => evaluation.loss,
            };
        };
        let metrics = evaluation.task(task)?;
        let binary = metrics.binary();
        match self.metric {
            Metric::Auc => binary?.auc.value(),
            Metric::Gauc => binary?.gauc.value.value(),
            Metric::LogLoss => match metrics.multiclass() {
                Some(report) => report.log_loss.value(),
                None => binary?.log_loss.value(),
            },
            Metric::Accuracy => metrics.multiclass()?.accuracy.value(),
            Metric::Rmse => metrics.regression()?.rmse.value(),
            Metric::Mae => metrics.regression()?.mae.value(),
            Metric::Loss => None,
        }
    }

    /// Whether `value` is better than `best`.
    pub fn improves(&self, value: f64, best: Option<f64>) -> bool {
        best.is_none_or(|best| if self.larger_is_better() { value > best } else { value < best })
    }
}
