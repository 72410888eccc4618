//! Labels against the graph: events that happened although one before them did not.

use std::collections::BTreeMap;

use mtl_nn::Scalar;

use crate::target::any_of;
use crate::{BehaviourGraph, Error, Nesting, Result};

/// Rows that have an event without another that lies on every path to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The event that happened.
    pub event: String,
    /// The event that did not.
    pub without: String,
    /// Number of such rows.
    pub count: u64,
    /// The first of them, from 0.
    pub first_row: u64,
}

/// Counts violations over any number of chunks of rows.
///
/// ```
/// use std::collections::BTreeMap;
/// use mtl_esm::{NestingCheck, Preset};
///
/// let graph = Preset::Esmm.builder().build()?;
/// let mut check = NestingCheck::new(&graph);
/// let (click, conversion) = ([0.0, 1.0, 0.0, f32::NAN], [0.0, 1.0, 1.0, 1.0]);
/// check.add(&BTreeMap::from([
///     ("click".to_owned(), &click[..]),
///     ("conversion".to_owned(), &conversion[..]),
/// ]))?;
/// let found = &check.violations()[0];
/// assert_eq!((found.event.as_str(), found.without.as_str()), ("conversion", "click"));
/// assert_eq!((found.count, found.first_row), (1, 2)); // a missing click contradicts nothing
/// # Ok::<(), mtl_esm::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct NestingCheck<'g> {
    graph: &'g BehaviourGraph,
    /// (event, event on every path to it), both labelled.
    pairs: Vec<(usize, usize)>,
    found: Vec<(u64, u64)>,
    rows: u64,
}

impl<'g> NestingCheck<'g> {
    /// No rows seen yet.
    pub fn new(graph: &'g BehaviourGraph) -> Self {
        let labelled = |&e: &usize| !graph.events()[e].labels.is_empty();
        let pairs: Vec<_> = (1..graph.events().len())
            .filter(labelled)
            .flat_map(|e| graph.on_every_path(e).into_iter().map(move |before| (e, before)))
            .filter(|(_, before)| labelled(before))
            .collect();
        Self { graph, found: vec![(0, 0); pairs.len()], pairs, rows: 0 }
    }

    /// The graph.
    pub const fn graph(&self) -> &'g BehaviourGraph {
        self.graph
    }

    /// Adds rows: label columns by name, NaN where missing. A missing label contradicts nothing.
    ///
    /// # Errors
    /// [`Error::Missing`] for a label without a column, [`Error::LabelRows`] for columns of
    /// different lengths.
    pub fn add<S: Scalar>(&mut self, columns: &BTreeMap<String, &[S]>) -> Result<()> {
        let rows = self.graph.check_columns(columns)?;
        for (&(event, before), (count, first)) in self.pairs.iter().zip(&mut self.found) {
            let columns_of = |e: usize| -> Vec<&[S]> {
                self.graph.events()[e].labels.iter().map(|label| columns[label]).collect()
            };
            let (event, before) = (columns_of(event), columns_of(before));
            let happened = |any: &[&[S]], row: usize| any_of(any.iter().map(|c| c[row].f64()));
            for row in 0..rows {
                if happened(&event, row) > happened(&before, row) {
                    if *count == 0 {
                        *first = self.rows + row as u64;
                    }
                    *count += 1;
                }
            }
        }
        self.rows += rows as u64;
        Ok(())
    }

    /// What was found, in the order of the graph's events.
    pub fn violations(&self) -> Vec<Violation> {
        let name = |e: usize| self.graph.events()[e].name.clone();
        let found = self.pairs.iter().zip(&self.found).filter(|(_, (count, _))| *count > 0);
        found
            .map(|(&(event, before), &(count, first_row))| Violation {
                event: name(event),
                without: name(before),
                count,
                first_row,
            })
            .collect()
    }

    /// The violations, if the graph's policy takes them.
    ///
    /// # Errors
    /// [`Error::Nesting`] with the first of them, if the policy is [`Nesting::Error`].
    pub fn finish(self) -> Result<Vec<Violation>> {
        let violations = self.violations();
        match (self.graph.nesting(), violations.first()) {
            (Nesting::Error, Some(first)) => Err(Error::Nesting {
                event: first.event.clone(),
                without: first.without.clone(),
                count: first.count,
                first_row: first.first_row,
            }),
            _ => Ok(violations),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Preset;

    fn columns<'a>(all: &'a [(&str, [f64; 4])]) -> BTreeMap<String, &'a [f64]> {
        all.iter().map(|(name, values)| ((*name).to_owned(), &values[..])).collect()
    }

    #[test]
    fn esm2_asks_for_the_click_before_a_purchase_but_not_for_the_action() -> Result<()> {
        let labels = [
            ("click", [1.0, 0.0, 0.0, 1.0]),
            ("cart", [0.0, 1.0, 0.0, 1.0]),
            ("wish", [0.0, 0.0, 0.0, 0.0]),
            ("purchase", [1.0, 0.0, 1.0, 0.0]),
        ];
        let builder = Preset::Esm2.builder().relabel("action", ["cart", "wish"])?;
        let graph = builder.clone().build()?;
        let mut check = NestingCheck::new(&graph);
        check.add(&columns(&labels))?;
        check.add(&columns(&labels))?;
        let found = check.finish()?;
        let [action, purchase] = &found[..] else { panic!("{found:?}") };
        assert_eq!((action.event.as_str(), action.count, action.first_row), ("action", 2, 1));
        assert_eq!(
            (purchase.event.as_str(), purchase.count, purchase.first_row),
            ("purchase", 2, 2)
        );
        assert_eq!(purchase.without, "click");

        let targets = graph.targets(&columns(&labels))?;
        assert_eq!(targets["action"], [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(targets["purchase"], [1.0, 0.0, 0.0, 0.0]); // click · purchase, without action

        let strict = builder.nesting(Nesting::Error).build()?;
        assert_eq!(strict.targets(&columns(&labels))?["purchase"], labels[3].1);
        let mut check = NestingCheck::new(&strict);
        check.add(&columns(&labels))?;
        let message = check.finish().unwrap_err().to_string();
        assert!(message.starts_with("labels: 1 rows have `action` without `click`"), "{message}");
        Ok(())
    }

    #[test]
    fn a_missing_or_short_label_column_is_named() -> Result<()> {
        let graph = Preset::Esmm.builder().build()?;
        let click = [1.0f32, 0.0];
        let only = BTreeMap::from([("click".to_owned(), &click[..])]);
        let message = NestingCheck::new(&graph).add(&only).unwrap_err().to_string();
        assert!(
            message.contains("the event `conversion` needs the label `conversion`"),
            "{message}"
        );
        let mut both = only.clone();
        both.insert("conversion".to_owned(), &click[..1]);
        let message = NestingCheck::new(&graph).add(&both).unwrap_err().to_string();
        assert_eq!(message, "labels: `conversion` has 1 rows, expected 2");
        Ok(())
    }
}
