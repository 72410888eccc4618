//! Adds a behaviour graph's events, outputs and losses to a graph of layers.

use std::collections::BTreeMap;

use mtl_nn::{GraphBuilder, Scalar, ValueSlot, Var};

use crate::ops::{
    DoublyRobust, EventLogProbability, EventLoss, InversePropensity, Probability, SpaceSlots,
    TargetSlots,
};
use crate::{BehaviourGraph, Conditional, ConditionalLoss, Error, Program, Result, Target};

/// Where an event, or a conditional probability, is in the graph of layers.
#[derive(Clone, Copy, Debug)]
pub struct AttachedEvent {
    /// (ln p, ln(1 − p)), rows × 2.
    pub log: Var,
    /// p, rows × 1.
    pub probability: Var,
}

/// A loss that was added.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainLoss {
    /// Its name: that of the event or of the conditional.
    pub name: String,
    /// The weight to train it with; the node itself is not weighted by it.
    pub weight: f64,
    /// The node, rows × 1.
    pub node: Var,
}

/// What [`BehaviourGraph::attach`] added.
#[derive(Clone, Debug)]
pub struct AttachedChain {
    /// Events by name, the root aside.
    pub events: BTreeMap<String, AttachedEvent>,
    /// Conditional probabilities by name, and towers by name where
    /// [`BehaviourGraph::tower_programs`] has them.
    pub conditionals: BTreeMap<String, AttachedEvent>,
    /// Losses, sorted by name; none from [`BehaviourGraph::attach_outputs`].
    pub losses: Vec<ChainLoss>,
}

impl BehaviourGraph {
    /// Adds every event's probability as a named output and every loss, over towers' `logits`
    /// (rows × 1 each) by name, label slots by column name, and rows weighted by the slot
    /// `weight`.
    ///
    /// Nodes are named `chain.<event>` and added in the order of names, whatever the order of
    /// declaration, so permuting events changes no number.
    ///
    /// # Errors
    /// [`Error::Missing`] for a tower without a logit or a label without a slot; errors of the
    /// graph for a logit of several columns or a name that is taken.
    pub fn attach<S: Scalar>(
        &self,
        b: &mut GraphBuilder<S>,
        logits: &BTreeMap<String, Var>,
        labels: &BTreeMap<String, ValueSlot>,
        weight: Option<ValueSlot>,
    ) -> Result<AttachedChain> {
        let mut chain = self.attach_outputs(b, logits)?;
        for (name, loss_weight) in self.losses() {
            let node = match self.conditionals.iter().find(|c| c.name == name) {
                Some(c) => self.conditional_loss(b, &chain, c, logits, labels, weight)?,
                None => {
                    let target = self.slots(name, labels, weight)?;
                    let loss = EventLoss::new(chain.events[name].log, target);
                    b.push(&format!("chain.{name}.loss"), loss)?
                }
            };
            b.loss(name, node)?;
            chain.losses.push(ChainLoss { name: name.to_owned(), weight: loss_weight, node });
        }
        Ok(chain)
    }

    /// As [`BehaviourGraph::attach`], without the losses: no labels are needed.
    ///
    /// # Errors
    /// [`Error::Missing`] for a tower without a logit; errors of the graph for a logit of several
    /// columns or a name that is taken.
    pub fn attach_outputs<S: Scalar>(
        &self,
        b: &mut GraphBuilder<S>,
        logits: &BTreeMap<String, Var>,
    ) -> Result<AttachedChain> {
        for tower in self.towers() {
            let columns = logit(logits, tower)?.n_cols();
            b.expect_columns("chain", &format!("the logit `{tower}`"), columns, 1)?;
        }
        let mut events: Vec<_> = self.events[1..].iter().collect();
        events.sort_by_key(|e| &e.name);
        let mut chain = AttachedChain {
            events: BTreeMap::new(),
            conditionals: BTreeMap::new(),
            losses: Vec::new(),
        };
        for event in events {
            let program = self.program(&event.name, self.root())?;
            let attached = push(b, &event.name, &event.output, program, logits)?;
            chain.events.insert(event.name.clone(), attached);
        }
        let mut conditionals: BTreeMap<&str, Program> = self.tower_programs();
        for c in &self.conditionals {
            conditionals.insert(&c.name, self.program(&c.event, &c.given)?);
        }
        for (name, program) in conditionals {
            let node = format!("given.{name}");
            chain.conditionals.insert(name.to_owned(), push(b, &node, name, program, logits)?);
        }
        Ok(chain)
    }

    fn conditional_loss<S: Scalar>(
        &self,
        b: &mut GraphBuilder<S>,
        chain: &AttachedChain,
        conditional: &Conditional,
        logits: &BTreeMap<String, Var>,
        labels: &BTreeMap<String, ValueSlot>,
        weight: Option<ValueSlot>,
    ) -> Result<Var> {
        let (event, given) = (&conditional.event, &conditional.given);
        let log = chain.conditionals[&conditional.name].log;
        let node = format!("chain.given.{}.loss", conditional.name);
        let space = || -> Result<SpaceSlots> {
            Ok(SpaceSlots::new(
                self.slots(event, labels, None)?,
                self.slots(given, labels, weight)?,
            ))
        };
        // Checked when the graph was built: a propensity is that of an event, not of the root.
        let propensity = || chain.events[given].log;
        Ok(match &conditional.loss {
            None | Some(ConditionalLoss::AllRows) => {
                b.push(&node, EventLoss::new(log, self.slots(event, labels, weight)?))?
            }
            Some(ConditionalLoss::Space) => b.push(&node, EventLoss::given(log, space()?))?,
            Some(ConditionalLoss::InversePropensity { floor }) => {
                b.push(&node, InversePropensity::new(log, propensity(), *floor, space()?))?
            }
            Some(ConditionalLoss::DoublyRobust { floor, imputation, joint }) => {
                let logit = logit(logits, imputation)?;
                let op = DoublyRobust::new(log, propensity(), logit, *floor, space()?);
                b.push(&node, op.joint(*joint))?
            }
        })
    }

    /// The slots of an event's target; the root always happens.
    fn slots(
        &self,
        event: &str,
        labels: &BTreeMap<String, ValueSlot>,
        weight: Option<ValueSlot>,
    ) -> Result<TargetSlots> {
        let target = self.target(event).unwrap_or_else(|| Target::new(Vec::new()));
        TargetSlots::new(&target, labels, weight, &format!("the event `{event}`"))
    }
}

/// Adds a probability's two nodes and names the second as an output.
fn push<S: Scalar>(
    b: &mut GraphBuilder<S>,
    name: &str,
    output: &str,
    program: Program,
    logits: &BTreeMap<String, Var>,
) -> Result<AttachedEvent> {
    let inputs = program.towers().iter().map(|t| logit(logits, t)).collect::<Result<Vec<_>>>()?;
    let log = b.push(&format!("chain.{name}"), EventLogProbability::new(program, inputs))?;
    let probability = b.push(&format!("chain.{name}.probability"), Probability::new(log))?;
    b.output(output, probability)?;
    Ok(AttachedEvent { log, probability })
}

fn logit(logits: &BTreeMap<String, Var>, tower: &str) -> Result<Var> {
    logits.get(tower).copied().ok_or_else(|| Error::Missing {
        what: "logit",
        name: tower.to_owned(),
        needed_by: "the chain".to_owned(),
        known: logits.keys().cloned().collect(),
    })
}
