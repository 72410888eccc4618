//! What a model is measured by: an output beside the column it should equal.

use std::collections::BTreeMap;

use mtl_esm::{BehaviourGraph, EventNode, NestingCheck, Violation};
use mtl_feature::{FeatureTable, LabelKind};

use crate::{Model, ModelSpec, Result, TaskConfig};

/// Where a measured output is to be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// On every row that carries the label.
    All,
    /// Only where the event before happened: a conversion rate on clicked rows.
    Given,
}

/// An output, and the label it is measured against.
#[derive(Clone, Debug, PartialEq)]
pub struct Measure {
    /// Its name: a task, or an output of the chain (an event's name, if its output has none).
    pub name: String,
    /// The output, such as `p_click` or `pCTCVR`.
    pub output: String,
    /// What its label is: of `binary` the output is a probability; of `multiclass` there is one
    /// output a class, `<output>_<class>`.
    pub kind: LabelKind,
    /// Where it is measured; those not measured everywhere do not count in macro metrics.
    pub space: Space,
    /// The name of its loss; `None` for what is not trained on directly.
    pub loss: Option<String>,
    /// The factor of its loss in training; 0 without one.
    pub weight: f64,
}

impl Measure {
    /// Whether its output is a number between 0 and 1 whose label is either.
    pub fn is_binary(&self) -> bool {
        self.kind == LabelKind::Binary
    }
}

/// A label column for each measure, NaN where a row does not count.
pub type Labels = BTreeMap<String, Vec<f32>>;

impl ModelSpec {
    /// Everything a model of this specification is measured by; see [`Model::measures`].
    ///
    /// # Errors
    /// [`crate::Error::Chain`] for a behaviour graph that cannot be.
    pub fn measures(&self) -> Result<Vec<Measure>> {
        Ok(measures(&self.tasks, self.behaviour_graph()?.as_ref()))
    }

    /// The names of all losses, those of the chain included, sorted.
    ///
    /// # Errors
    /// [`crate::Error::Chain`] for a behaviour graph that cannot be.
    pub fn loss_names(&self) -> Result<Vec<String>> {
        let mut names: Vec<String> = self.measures()?.into_iter().filter_map(|m| m.loss).collect();
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// The outputs that are probabilities and have a label to be right about, sorted.
    ///
    /// # Errors
    /// [`crate::Error::Chain`] for a behaviour graph that cannot be.
    pub fn probabilities(&self) -> Result<Vec<String>> {
        let binary = self.measures()?.into_iter().filter(Measure::is_binary);
        let mut outputs: Vec<String> = binary.map(|measure| measure.output).collect();
        outputs.sort_unstable();
        Ok(outputs)
    }
}

fn measures(tasks: &[TaskConfig], chain: Option<&BehaviourGraph>) -> Vec<Measure> {
    let task = |task: &TaskConfig| Measure {
        name: task.name.clone(),
        output: format!("p_{}", task.name),
        kind: task.label_kind(),
        space: Space::All,
        loss: Some(task.name.clone()),
        weight: task.weight,
    };
    let mut measures: Vec<_> = tasks.iter().map(task).collect();
    let Some(chain) = chain else { return measures };
    let losses: BTreeMap<&str, f64> = chain.losses().into_iter().collect();
    let weight = |name: &str| losses.get(name).copied().unwrap_or(0.0);
    let loss = |name: &str| losses.contains_key(name).then(|| name.to_owned());
    let events = chain.events().iter().filter(|event| chain.target(&event.name).is_some());
    measures.extend(events.map(|event| Measure {
        name: event_name(event).to_owned(),
        output: event.output.clone(),
        kind: LabelKind::Binary,
        space: Space::All,
        loss: loss(&event.name),
        weight: weight(&event.name),
    }));
    let labelled = |name: &str| name == chain.root() || chain.target(name).is_some();
    let conditionals = chain.conditionals().iter();
    let measured = conditionals.filter(|c| labelled(c.event()) && labelled(c.given()));
    measures.extend(measured.map(|c| Measure {
        name: c.name().to_owned(),
        output: c.name().to_owned(),
        kind: LabelKind::Binary,
        space: Space::Given,
        loss: loss(c.name()),
        weight: weight(c.name()),
    }));
    measures
}

/// Presets name their outputs (pCTR), and so are measured alike under any events' names.
fn event_name(event: &EventNode) -> &str {
    if event.output == format!("p_{}", event.name) { &event.name } else { &event.output }
}

/// Adds the rows of a table to a check of [`Model::nesting_check`].
///
/// # Errors
/// [`crate::Error::Chain`] if the table lacks a label of the chain.
pub fn add_to_nesting(check: &mut NestingCheck<'_>, table: &FeatureTable) -> Result<()> {
    let columns = check.graph().labels().into_iter();
    let found = columns.filter_map(|name| Some((name.to_owned(), table.label_of(name)?)));
    Ok(check.add::<f32>(&found.collect())?)
}

impl Model {
    /// Every output by name, sorted, and whether it is a probability: all are but a regression's.
    pub fn outputs(&self) -> Vec<(String, bool)> {
        let regression = |output: &str| {
            let mut tasks = self.spec().tasks.iter();
            tasks.any(|t| {
                t.label_kind() == LabelKind::Regression && output == format!("p_{}", t.name)
            })
        };
        let outputs = self.graph().outputs().iter();
        outputs.map(|(name, _)| (name.clone(), !regression(name))).collect()
    }

    /// The names of the outputs in the order of the configuration, which is that of display alone: tasks
    /// (of one with classes these, as they are sorted), the chain's events, its conditional probabilities.
    pub fn output_order(&self) -> Vec<String> {
        let tasks = self.spec().tasks.iter().flat_map(|task| match task.label_kind() {
            LabelKind::Multiclass => {
                let classes = task.classes(self.schema()).iter();
                classes.map(|class| task.class_output(class)).collect()
            }
            _ => vec![format!("p_{}", task.name)],
        });
        let chain = self.chain().into_iter().flat_map(|chain| {
            let events = chain.events().iter().map(|event| event.output.clone());
            events.chain(chain.conditionals().iter().map(|c| c.name().to_owned()))
        });
        let listed: Vec<String> = tasks.chain(chain).collect();
        let place = |name: &String| listed.iter().position(|l| l == name).unwrap_or(listed.len());
        let outputs = self.graph().outputs().iter();
        let mut names: Vec<String> = outputs.map(|(name, _)| name.clone()).collect();
        names.sort_by_key(place);
        names
    }

    /// Everything the model is measured by: tasks in the order of the configuration, then the
    /// chain's labelled events, then its conditional probabilities.
    pub fn measures(&self) -> Vec<Measure> {
        measures(&self.spec().tasks, self.chain())
    }

    /// Rows whose labels contradict the chain, such as a purchase without a click: what was found,
    /// where the chain's policy is to multiply; none without a chain.
    ///
    /// # Errors
    /// [`crate::Error::Chain`] with the first contradiction, where the policy is to refuse it.
    pub fn nesting_violations(&self, table: &FeatureTable) -> Result<Vec<Violation>> {
        let Some(mut check) = self.nesting_check() else { return Ok(Vec::new()) };
        add_to_nesting(&mut check, table)?;
        Ok(check.finish()?)
    }

    /// The same for rows that come table by table: a check without rows; `None` without a chain.
    pub fn nesting_check(&self) -> Option<NestingCheck<'_>> {
        self.chain().map(NestingCheck::new)
    }

    /// The label of each measure on a table's rows; a label that the table does not have is NaN.
    ///
    /// # Errors
    /// [`crate::Error::Chain`] if the chain cannot read the labels.
    pub fn labels_of(&self, table: &FeatureTable) -> Result<Labels> {
        labels_of(&self.spec().tasks, self.chain(), table)
    }
}

/// The label of each measure of tasks and a chain on a table's rows, as [`Model::labels_of`].
///
/// # Errors
/// [`crate::Error::Chain`] if the chain cannot read the labels.
pub fn labels_of(
    tasks: &[TaskConfig],
    chain: Option<&BehaviourGraph>,
    table: &FeatureTable,
) -> Result<Labels> {
    let column = |name: &str| {
        let found = table.label_of(name).map(<[f32]>::to_vec);
        found.unwrap_or_else(|| vec![f32::NAN; table.n_rows()])
    };
    let mut labels: Labels = tasks.iter().map(|t| (t.name.clone(), column(&t.name))).collect();
    let Some(chain) = chain else { return Ok(labels) };
    let columns: Labels =
        chain.labels().into_iter().map(|name| (name.to_owned(), column(name))).collect();
    let views = columns.iter().map(|(name, values)| (name.clone(), values.as_slice())).collect();
    let targets = chain.targets::<f32>(&views)?;
    for c in chain.conditionals() {
        let Some(event) = targets.get(c.event()) else { continue };
        let given = targets.get(c.given());
        let in_space = |row: usize| given.is_none_or(|given| given[row] == 1.0);
        let label = |(row, &y): (usize, &f32)| if in_space(row) { y } else { f32::NAN };
        labels.insert(c.name().to_owned(), event.iter().enumerate().map(label).collect());
    }
    for event in chain.events() {
        if let Some(target) = targets.get(&event.name) {
            labels.insert(event_name(event).to_owned(), target.clone());
        }
    }
    Ok(labels)
}
