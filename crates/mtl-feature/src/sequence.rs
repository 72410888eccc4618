//! Sequences: the items of one cell, such as the last videos that a user watched.

use mtl_nn::Lists;
use mtl_nn::layers::Activation;
use serde::{Deserialize, Serialize};

use crate::{Cell, RawColumn, Values};

/// Which items of a sequence that is too long are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// The first ones: for lists that begin with the latest item.
    First,
    /// The last ones: for lists that end with the latest item.
    #[default]
    Last,
}

/// How the embeddings of a sequence become one vector. An empty sequence is 0 in every one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Pooling {
    /// Their mean.
    #[default]
    Mean,
    /// Their sum.
    Sum,
    /// The largest value of each column.
    Max,
    /// Their sum, each weighted by what it has to do with the target: the Deep Interest Network
    /// (Zhou et al., KDD 2018). See [`AttentionConfig`].
    Din,
}

/// The activation unit of `pooling = "din"`: a perceptron over [h, t, h − t, h ⊙ t] that gives a
/// member h of the sequence its weight for the target t.
///
/// | key | default | purpose | range |
/// |---|---|---|---|
/// | `units` | `[36]` | hidden layers; the weight's layer comes on top | each ≥ 1 |
/// | `activation` | `"relu"` | of hidden layers: `"linear"`, `"relu"`, `"sigmoid"`, `"tanh"` | |
/// | `softmax` | false | whether the weights of a sequence are made to sum to 1 | |
///
/// As in the paper, weights are not normalised: their sum says how strong the interest is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct AttentionConfig {
    /// Hidden layers.
    pub units: Vec<usize>,
    /// Their activation.
    pub activation: Activation,
    /// Whether weights sum to 1.
    pub softmax: bool,
}

impl Default for AttentionConfig {
    fn default() -> Self {
        Self { units: vec![36], activation: Activation::Relu, softmax: false }
    }
}

/// What stands between the items of a text, unless the feature says otherwise.
pub const SEPARATOR: &str = "|";

/// How the cells of a sequence are cut into items.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cutter<'s> {
    pub(crate) separator: &'s str,
    pub(crate) max_length: usize,
    pub(crate) keep: Keep,
}

impl Cutter<'_> {
    /// Calls `f` with every item of a cell that is kept, in order.
    ///
    /// A missing cell and a blank text have none; blanks around an item are no part of it, and an
    /// item that is nothing but blanks is a missing value.
    ///
    /// # Errors
    /// What was expected, of the cell or by `f`.
    pub(crate) fn each<'c>(
        &self,
        cell: Cell<'c>,
        mut f: impl FnMut(Cell<'c>) -> Result<(), &'static str>,
    ) -> Result<(), &'static str> {
        match cell {
            Cell::Missing => Ok(()),
            Cell::Text(text) if text.trim().is_empty() => Ok(()),
            Cell::Text(text) => {
                let trimmed = text.trim();
                if trimmed.starts_with('[') && trimmed.ends_with(']') {
                    return Err("items and separators, without brackets around them");
                }
                let n_items = text.split(self.separator).count();
                let skipped = self.skipped(n_items);
                let items = text.split(self.separator).skip(skipped).take(self.max_length);
                items.map(str::trim).try_for_each(|item| match item {
                    "" => f(Cell::Missing),
                    item => f(Cell::Text(item)),
                })
            }
            Cell::List(list) => {
                let skipped = self.skipped(list.len());
                list.iter().skip(skipped).take(self.max_length).try_for_each(f)
            }
            // A column whose sequences have one number each was read as numbers.
            one => f(one),
        }
    }

    fn skipped(&self, n_items: usize) -> usize {
        match self.keep {
            Keep::First => 0,
            Keep::Last => n_items.saturating_sub(self.max_length),
        }
    }

    /// Calls `f` with every kept item of every row.
    pub(crate) fn each_of(
        &self,
        column: &RawColumn,
        mut f: impl FnMut(Cell<'_>) -> Result<(), &'static str>,
    ) -> Result<(), (usize, &'static str)> {
        (0..column.len())
            .try_for_each(|i| self.each(column.cell(i), &mut f).map_err(|error| (i, error)))
    }

    /// The ids of every row; a dictionary's values are cut once each.
    pub(crate) fn encode(
        &self,
        column: &RawColumn,
        id: impl Fn(Cell<'_>) -> Result<u32, &'static str>,
    ) -> Result<Lists, (usize, &'static str)> {
        if let Values::Dictionary { codes, values } = column.values()
            && let Ok(known) = self.encode_rows(values, &id)
        {
            let list = |(i, &code): (usize, &u32)| match column.is_missing(i) {
                true => &[][..],
                false => known.row(code as usize),
            };
            return Ok(codes.iter().enumerate().map(list).collect());
        }
        // Only a value that a row has may be an error: row by row, for the first of them.
        self.encode_rows(column, &id)
    }

    fn encode_rows(
        &self,
        column: &RawColumn,
        id: &impl Fn(Cell<'_>) -> Result<u32, &'static str>,
    ) -> Result<Lists, (usize, &'static str)> {
        let (mut lists, mut ids) = (Lists::new(), Vec::with_capacity(self.max_length));
        for i in 0..column.len() {
            ids.clear();
            let cut = self.each(column.cell(i), |item| {
                ids.push(id(item)?);
                Ok(())
            });
            cut.map_err(|error| (i, error))?;
            lists.push(&ids);
        }
        Ok(lists)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::TextColumn;

    fn items(cell: Cell<'_>, max_length: usize, keep: Keep) -> Result<Vec<String>, &'static str> {
        let mut items = Vec::new();
        Cutter { separator: "|", max_length, keep }.each(cell, |item| {
            items.push(item.quoted());
            Ok(())
        })?;
        Ok(items)
    }

    #[test]
    fn a_cell_is_cut_at_separators_and_to_length() {
        let all = |cell| items(cell, 9, Keep::Last).unwrap();
        assert_eq!(all(Cell::Text("a| b|c ")), ["`a`", "`b`", "`c`"]);
        assert_eq!(all(Cell::Text("a||c")), ["`a`", "a missing value", "`c`"]);
        assert_eq!(all(Cell::Text(" ")), [""; 0]);
        assert_eq!(all(Cell::Missing), [""; 0]);
        assert_eq!(all(Cell::Integer(7)), ["`7`"]);
        let text = Cell::Text("1|2|3");
        assert_eq!(items(text, 2, Keep::Last).unwrap(), ["`2`", "`3`"]);
        assert_eq!(items(text, 2, Keep::First).unwrap(), ["`1`", "`2`"]);
        assert!(items(Cell::Text("[1|2]"), 2, Keep::First).is_err());
        let column = RawColumn::new(Values::List {
            spans: vec![(1, 4)],
            items: Arc::new(RawColumn::new(Values::Integer(vec![9, 1, 2, 3]))),
        });
        assert_eq!(items(column.cell(0), 2, Keep::Last).unwrap(), ["`2`", "`3`"]);
    }

    #[test]
    fn a_dictionary_is_cut_as_its_rows_are() {
        let texts: TextColumn = ["1|2", "", "3"].into_iter().collect();
        let values = Arc::new(RawColumn::new(Values::Text(texts)));
        let missing = Some(vec![false, false, true, false]);
        let column = RawColumn::with_missing(
            Values::Dictionary { codes: vec![2, 0, 0, 1], values },
            missing,
        );
        let cutter = Cutter { separator: "|", max_length: 3, keep: Keep::Last };
        let id = |cell: Cell<'_>| cell.to_string().parse().map_err(|_| "a number");
        let lists = cutter.encode(&column, id).unwrap();
        let expected: [&[u32]; 4] = [&[3], &[1, 2], &[], &[]];
        assert_eq!(lists.iter().collect::<Vec<_>>(), expected);
    }
}
