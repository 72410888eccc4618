//! The builder of behaviour graphs.

use crate::{BehaviourGraph, Conditional, Error, Event, Nesting, Result};

/// Collects the parts of a [`BehaviourGraph`]; [`BehaviourGraphBuilder::build`] checks them.
///
/// ```
/// use mtl_esm::{BehaviourGraph, Edge, Event};
///
/// let graph = BehaviourGraph::builder()
///     .event(Event::new("click").from("impression", Edge::tower("ctr")).label("is_click"))
///     .event(Event::new("like").from("click", Edge::tower("cvr")).label("is_like").weight(2.0))
///     .build()?;
/// assert_eq!(graph.towers(), ["ctr", "cvr"]);
/// # Ok::<(), mtl_esm::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct BehaviourGraphBuilder {
    pub(crate) root: String,
    pub(crate) events: Vec<Event>,
    pub(crate) conditionals: Vec<Conditional>,
    pub(crate) shared_towers: Vec<String>,
    pub(crate) nesting: Nesting,
}

impl Default for BehaviourGraphBuilder {
    fn default() -> Self {
        Self {
            root: "impression".to_owned(),
            events: Vec::new(),
            conditionals: Vec::new(),
            shared_towers: Vec::new(),
            nesting: Nesting::Error,
        }
    }
}

impl BehaviourGraphBuilder {
    /// Another name of the root, which is `impression` by default and has probability 1.
    #[must_use]
    pub fn root(mut self, name: impl Into<String>) -> Self {
        self.root = name.into();
        self
    }

    /// Adds an event. The order of events is that of display; it changes no number.
    #[must_use]
    pub fn event(mut self, event: Event) -> Self {
        self.events.push(event);
        self
    }

    /// Adds a conditional probability as an output.
    #[must_use]
    pub fn conditional(mut self, conditional: Conditional) -> Self {
        self.conditionals.push(conditional);
        self
    }

    /// Says that several edges mean to use this tower.
    #[must_use]
    pub fn share_tower(mut self, tower: impl Into<String>) -> Self {
        self.shared_towers.push(tower.into());
        self
    }

    /// What happens to labels that contradict the graph.
    #[must_use]
    pub const fn nesting(mut self, nesting: Nesting) -> Self {
        self.nesting = nesting;
        self
    }

    /// Other label columns of an event, any of which says that it happened.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such event.
    pub fn relabel<L: Into<String>>(
        mut self,
        event: &str,
        any_of: impl IntoIterator<Item = L>,
    ) -> Result<Self> {
        let known = self.events.iter().map(|e| e.name.clone()).collect();
        let found = self.events.iter_mut().find(|e| e.name == event);
        let found = found.ok_or_else(|| unknown("labels", "event", event, known))?;
        found.labels = any_of.into_iter().map(Into::into).collect();
        Ok(self)
    }

    /// Another weight of the loss of an event, or of a conditional.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is neither.
    pub fn reweight(mut self, loss: &str, weight: f64) -> Result<Self> {
        let events = self.events.iter().map(|e| e.name.clone());
        let known = events.chain(self.conditionals.iter().map(|c| c.name.clone())).collect();
        let events = self.events.iter_mut().map(|e| (&e.name, &mut e.weight));
        let conditionals = self.conditionals.iter_mut().map(|c| (&c.name, &mut c.weight));
        let found = events.chain(conditionals).find(|(name, _)| *name == loss);
        *found.ok_or_else(|| unknown("weights", "loss", loss, known))?.1 = weight;
        Ok(self)
    }

    /// The checked graph.
    ///
    /// # Errors
    /// A cycle, an event that cannot be reached, an unknown or repeated name, a tower used twice
    /// without [`BehaviourGraphBuilder::share_tower`], paths that meet without being exclusive
    /// (their sum could exceed 1), an event of probability 1, a weight that is not a number ≥ 0,
    /// no supervised event. Each names the event.
    pub fn build(self) -> Result<BehaviourGraph> {
        crate::validate::build(self)
    }
}

fn unknown(by: &str, what: &'static str, name: &str, known: Vec<String>) -> Error {
    Error::Unknown { by: format!("`{by}`"), what, name: name.to_owned(), known }
}
