//! `BehaviourGraph`: the checked graph, and what can be read from it.

use std::collections::BTreeMap;

use mtl_nn::Scalar;

use crate::{BehaviourGraphBuilder, Conditional, Error, Nesting, Program, Result, Target};

/// An event of a checked graph.
#[derive(Clone, Debug, PartialEq)]
pub struct EventNode {
    /// Its name.
    pub name: String,
    /// Label columns, any of which says that it happened; none if it is not observed.
    pub labels: Vec<String>,
    /// Weight of its loss.
    pub weight: f64,
    /// Name of the output that holds its probability.
    pub output: String,
}

impl EventNode {
    /// Whether the event has a loss.
    pub fn is_supervised(&self) -> bool {
        !self.labels.is_empty() && self.weight > 0.0
    }
}

/// One way out of an event: exclusive branches whose probabilities sum to 1.
///
/// The branches' probabilities are the softmax of their towers' logits, a branch without a tower
/// having the logit 0. A tower edge is the softmax of (a, 0), its second branch the complement;
/// an edge that always follows has one branch without a tower.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Index of the event it leaves.
    pub from: usize,
    /// Name of the softmax, if it is one.
    pub group: Option<String>,
    /// Its branches.
    pub branches: Vec<Branch>,
}

/// One branch of a [`Decision`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The tower of its logit; the logit is 0 without one.
    pub tower: Option<String>,
    /// Index of the event it leads to; `None` if nothing leads on.
    pub to: Option<usize>,
}

/// A checked graph of events: the root first, then the others in the order of declaration.
///
/// Every event can be reached, no events form a cycle, and paths that meet are exclusive, so
/// every probability is at most 1 by construction. Display prints one equation an event.
///
/// ```
/// use mtl_esm::{BehaviourGraph, Preset};
///
/// let graph = Preset::Esm2.builder().build()?;
/// assert_eq!(graph.towers(), ["y1", "y2", "y3", "y4"]);
/// assert_eq!(graph.losses(), [("action", 1.0), ("click", 1.0), ("purchase", 1.0)]);
/// // The purchase's target is click · purchase: `action` does not lie on every path to it.
/// let target = graph.target("purchase").unwrap();
/// assert_eq!(target.labels().collect::<Vec<_>>(), ["click", "purchase"]);
/// # Ok::<(), mtl_esm::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct BehaviourGraph {
    pub(crate) events: Vec<EventNode>,
    pub(crate) decisions: Vec<Decision>,
    pub(crate) conditionals: Vec<Conditional>,
    pub(crate) nesting: Nesting,
    /// Indices of the events, parents first; ties by name.
    pub(crate) topological: Vec<usize>,
    /// `reaches[n][e]`: a path leads from n to e. Every event reaches itself.
    pub(crate) reaches: Vec<Vec<bool>>,
}

impl BehaviourGraph {
    /// A builder of a graph whose root is `impression`.
    pub fn builder() -> BehaviourGraphBuilder {
        BehaviourGraphBuilder::default()
    }

    /// All events, the root first.
    pub fn events(&self) -> &[EventNode] {
        &self.events
    }

    /// All ways out of events.
    pub fn decisions(&self) -> &[Decision] {
        &self.decisions
    }

    /// All conditional probabilities.
    pub fn conditionals(&self) -> &[Conditional] {
        &self.conditionals
    }

    /// What happens to labels that contradict the graph.
    pub const fn nesting(&self) -> Nesting {
        self.nesting
    }

    /// Names of the towers whose logits the graph needs, sorted: those an architecture is
    /// built for, imputation towers among them.
    pub fn towers(&self) -> Vec<&str> {
        let branches = self.decisions.iter().flat_map(|d| &d.branches);
        let edges = branches.filter_map(|b| b.tower.as_deref());
        let imputations = self.conditionals.iter().filter_map(|c| c.imputation());
        sorted(edges.chain(imputations))
    }

    /// Names of the label columns, sorted.
    pub fn labels(&self) -> Vec<&str> {
        sorted(self.events.iter().flat_map(|e| &e.labels).map(String::as_str))
    }

    /// Names and weights of the losses, sorted by name: one for each supervised event and each
    /// conditional with a loss.
    pub fn losses(&self) -> Vec<(&str, f64)> {
        let supervised = self.events.iter().filter(|e| e.is_supervised());
        let events = supervised.map(|e| (e.name.as_str(), e.weight));
        let conditionals = self.conditionals.iter().filter(|c| c.is_trained());
        let mut losses: Vec<_> =
            events.chain(conditionals.map(|c| (c.name.as_str(), c.weight))).collect();
        losses.sort_by_key(|&(name, _)| name);
        losses
    }

    /// The probability that each tower alone says, by the tower's name, where no event and no
    /// conditional says the same: ESM2's y2, y3 and y4, but not y1, which is the click's.
    ///
    /// A tower shared by several softmaxes is given for the first.
    pub fn tower_programs(&self) -> BTreeMap<&str, Program> {
        let mut said: Vec<Program> = (1..self.events.len())
            .filter_map(|event| Program::new(self, event, 0).ok())
            .chain(self.conditionals.iter().filter_map(|c| self.program(&c.event, &c.given).ok()))
            .collect();
        let mut programs = BTreeMap::new();
        for (d, decision) in self.decisions.iter().enumerate() {
            for (k, branch) in decision.branches.iter().enumerate() {
                let Some(tower) = &branch.tower else { continue };
                let program = Program::branch(self, d, k);
                if !said.contains(&program) && !programs.contains_key(tower.as_str()) {
                    said.push(program.clone());
                    programs.insert(tower.as_str(), program);
                }
            }
        }
        programs
    }

    /// Index of the event of that name.
    pub fn find(&self, event: &str) -> Option<usize> {
        self.events.iter().position(|e| e.name == event)
    }

    /// The events that lie on every path from the root to `event`, by index; neither it nor the
    /// root.
    pub fn on_every_path(&self, event: usize) -> Vec<usize> {
        let others = (1..self.events.len()).filter(|&n| n != event && self.reaches[n][event]);
        others.filter(|&n| !self.is_reached_around(event, n)).collect()
    }

    /// What the event is trained towards; `None` if it has no label.
    pub fn target(&self, event: &str) -> Option<Target> {
        let index = self.find(event)?;
        if self.events[index].labels.is_empty() {
            return None;
        }
        let mut factors: Vec<Vec<String>> = match self.nesting {
            Nesting::Error => Vec::new(),
            Nesting::Multiply => self
                .on_every_path(index)
                .into_iter()
                .map(|n| self.events[n].labels.clone())
                .filter(|labels| !labels.is_empty())
                .collect(),
        };
        factors.push(self.events[index].labels.clone());
        Some(Target::new(factors))
    }

    /// The targets of all labelled events by event name: label columns (NaN where missing, one
    /// value a row) after the graph's nesting policy.
    ///
    /// # Errors
    /// [`Error::Missing`] for a label without a column, [`Error::LabelRows`] for columns of
    /// different lengths.
    pub fn targets<S: Scalar>(
        &self,
        columns: &BTreeMap<String, &[S]>,
    ) -> Result<BTreeMap<String, Vec<S>>> {
        let rows = self.check_columns(columns)?;
        let labelled = self.events.iter().filter_map(|e| Some((e, self.target(&e.name)?)));
        let value =
            |target: &Target, row: usize| S::of(target.value(|label| columns[label][row].f64()));
        Ok(labelled
            .map(|(e, target)| (e.name.clone(), (0..rows).map(|r| value(&target, r)).collect()))
            .collect())
    }

    /// The arithmetic of P(event | given).
    ///
    /// # Errors
    /// [`Error::Unknown`] for an event that does not exist, [`Error::NoPath`] if no path leads
    /// from `given` to `event`, [`Error::Certain`] if it always follows.
    pub fn program(&self, event: &str, given: &str) -> Result<Program> {
        let index = |name: &str| {
            self.find(name).ok_or_else(|| Error::Unknown {
                by: "a program".to_owned(),
                what: "event",
                name: name.to_owned(),
                known: self.events.iter().map(|e| e.name.clone()).collect(),
            })
        };
        Program::new(self, index(event)?, index(given)?)
    }

    /// Name of the root.
    pub fn root(&self) -> &str {
        &self.events[0].name
    }

    /// The columns' common length, every label having one.
    pub(crate) fn check_columns<S>(&self, columns: &BTreeMap<String, &[S]>) -> Result<usize> {
        let mut rows = None;
        for event in &self.events {
            for label in &event.labels {
                let found = columns.get(label).ok_or_else(|| Error::Missing {
                    what: "label",
                    name: label.clone(),
                    needed_by: format!("the event `{}`", event.name),
                    known: columns.keys().cloned().collect(),
                })?;
                let (found, expected) = (found.len(), *rows.get_or_insert(found.len()));
                if found != expected {
                    return Err(Error::LabelRows { label: label.clone(), found, expected });
                }
            }
        }
        Ok(rows.unwrap_or(0))
    }

    /// Whether a path from the root reaches `event` without `without`.
    fn is_reached_around(&self, event: usize, without: usize) -> bool {
        let mut reached = vec![false; self.events.len()];
        reached[0] = true;
        for &n in &self.topological {
            if reached[n] && n != without {
                let out = self.decisions.iter().filter(|d| d.from == n);
                out.flat_map(|d| &d.branches)
                    .filter_map(|b| b.to)
                    .for_each(|to| reached[to] = true);
            }
        }
        reached[event]
    }
}

fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names.dedup();
    names
}
