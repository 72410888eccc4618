//! One pass over the training rows before the first step: whether they can be trained on, and what
//! a run must know of them. The validation rows are looked at too.

use mtl_data::{Part as Rows, RowSource};
use mtl_esm::Violation;
use mtl_feature::FeatureTable;
use mtl_model::{Measure, Model, TaskConfig, TaskLoss, add_to_nesting};

use crate::fingerprint::{Fingerprint, Fingerprinter};
use crate::initial_losses::initial_losses;
use crate::summary::{Part, PartCounter};
use crate::{Error, Result, TrainConfig, check_nesting, nesting};

/// What the pass found.
pub(crate) struct Survey {
    /// Steps of an epoch.
    pub(crate) steps: usize,
    /// Rows of the first block: what shuffles with what.
    pub(crate) block_rows: usize,
    pub(crate) rows: Fingerprint,
    /// Those of validation.
    pub(crate) judges: Fingerprint,
    pub(crate) part: Part,
    /// What contradicts the chain, among the rows that train and those that validate.
    pub(crate) violations: [(Rows, Vec<Violation>); 2],
    /// What each loss is before anything is learnt, in the order of the graph's: on the first block,
    /// which is all rows of a table that is shuffled as a whole.
    pub(crate) initial_losses: Vec<f64>,
}

impl Survey {
    /// # Errors
    /// Rows that are none or carry no label of a task; contradictions that the chain refuses; what
    /// is wrong with a file.
    pub(crate) fn of<R: RowSource + ?Sized, V: RowSource + ?Sized>(
        model: &Model,
        (train, validation): (&R, &V),
        config: &TrainConfig,
    ) -> Result<Self> {
        let names: Vec<String> =
            model.graph().losses().iter().map(|(name, _)| name.clone()).collect();
        let mut unlabelled = model.measures();
        unlabelled.retain(|measure| measure.weight > 0.0);
        let (mut rows, mut part) = (Fingerprinter::default(), PartCounter::default());
        let mut check = model.nesting_check();
        let (mut steps, mut first): (usize, Option<(usize, Vec<f64>)>) = (0, None);
        for block in train.blocks(config.shuffle_rows) {
            let block = block?;
            if first.is_none() {
                check_groups(model, &block)?;
                first = Some((block.n_rows(), initial_losses(model, &block, &names)?));
            }
            if !unlabelled.is_empty() {
                let labels = model.labels_of(&block)?;
                unlabelled.retain(|m| labels[&m.name].iter().all(|label| label.is_nan()));
            }
            if let Some(check) = &mut check {
                add_to_nesting(check, &block)?;
            }
            rows.add(&block);
            part.add(&block);
            steps += block.n_rows().div_ceil(config.batch_size);
        }
        let Some((block_rows, initial_losses)) = first else {
            let message = "the training data has no rows, expected at least 1".to_owned();
            return Err(Error::Data(message));
        };
        check_labelled(&unlabelled)?;
        let of_train = check.map(|check| nesting::finish(check, Some(Rows::Train))).transpose()?;
        let chain = model.chain();
        let of_validation =
            chain.map(|chain| check_nesting(chain, validation, Rows::Validation)).transpose()?;
        let violations = [(Rows::Train, of_train), (Rows::Validation, of_validation)]
            .map(|(part, found)| (part, found.unwrap_or_default()));
        let (rows, part) = (rows.finish(), part.finish("train"));
        let judges = Fingerprint::of(validation)?;
        Ok(Self { steps, block_rows, rows, judges, part, violations, initial_losses })
    }
}

/// A loss of pairs needs groups.
fn check_groups(model: &Model, block: &FeatureTable) -> Result<()> {
    let pairwise = |task: &&TaskConfig| task.task_loss() == TaskLoss::Bpr;
    match (model.spec().tasks.iter().find(pairwise), block.groups()) {
        (Some(task), None) => {
            let name = &task.name;
            let expected = "expected `group` in [data]";
            Err(Error::Data(format!("task `{name}`: `loss = \"bpr\"` needs groups, {expected}")))
        }
        _ => Ok(()),
    }
}

fn check_labelled(without: &[Measure]) -> Result<()> {
    without.first().map_or(Ok(()), |Measure { name, .. }| Err(unlabelled(name)))
}

/// A task that nothing can be learnt of.
pub(crate) fn unlabelled(task: &str) -> Error {
    Error::Data(format!("task `{task}`: no training row has a label, expected at least 1"))
}
