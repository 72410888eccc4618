//! Lists of ids, one a row, of any lengths: what a sequence feature hands to a graph.

/// Lists of ids in one buffer: row after row, with the place where each row ends.
///
/// Two buffers, whatever the number of rows, so refilling one allocates only to grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    ids: Vec<u32>,
    ends: Vec<usize>,
}

impl Lists {
    /// No rows.
    pub const fn new() -> Self {
        Self { ids: Vec::new(), ends: Vec::new() }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.ends.len()
    }

    /// The ids of all rows, one row after another.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The list of row `r`.
    ///
    /// # Panics
    /// If there is no such row.
    #[inline]
    pub fn row(&self, r: usize) -> &[u32] {
        &self.ids[self.start(r)..self.ends[r]]
    }

    /// The list of every row, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u32]> {
        (0..self.rows()).map(|r| self.row(r))
    }

    /// Adds a row.
    pub fn push(&mut self, list: &[u32]) {
        self.ids.extend_from_slice(list);
        self.ends.push(self.ids.len());
    }

    /// Adds the rows `start .. end` of other lists.
    ///
    /// # Panics
    /// If those rows are not there.
    pub fn extend_rows(&mut self, other: &Self, start: usize, end: usize) {
        let (from, to) = (other.start(start), other.start(end));
        let shift = self.ids.len();
        self.ids.extend_from_slice(&other.ids[from..to]);
        self.ends.extend(other.ends[start..end].iter().map(|&e| e - from + shift));
    }

    /// Forgets all rows and keeps the buffers.
    pub fn clear(&mut self) {
        self.ids.clear();
        self.ends.clear();
    }

    /// The row in which the id at a place of [`Lists::ids`] lies.
    pub(crate) fn row_of(&self, place: usize) -> usize {
        self.ends.partition_point(|&end| end <= place)
    }

    /// Where row `r` begins.
    #[inline]
    fn start(&self, r: usize) -> usize {
        if r == 0 { 0 } else { self.ends[r - 1] }
    }

    /// The rows of a shard.
    pub(crate) const fn view(&self, first_row: usize, rows: usize) -> ListRows<'_> {
        ListRows { lists: self, first_row, rows }
    }
}

impl<'a> FromIterator<&'a [u32]> for Lists {
    fn from_iter<I: IntoIterator<Item = &'a [u32]>>(rows: I) -> Self {
        let mut lists = Self::new();
        rows.into_iter().for_each(|row| lists.push(row));
        lists
    }
}

/// The lists of the rows of one pass.
#[derive(Clone, Copy, Debug)]
pub struct ListRows<'a> {
    lists: &'a Lists,
    first_row: usize,
    rows: usize,
}

impl<'a> ListRows<'a> {
    /// The list of the pass's row `r`.
    #[inline]
    pub fn row(&self, r: usize) -> &'a [u32] {
        self.lists.row(self.first_row + r)
    }

    /// The list of every row, in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u32]> + use<'a> {
        let (lists, first) = (self.lists, self.first_row);
        (first..first + self.rows).map(|r| lists.row(r))
    }

    /// Number of ids of all rows.
    pub fn n_ids(&self) -> usize {
        self.lists.start(self.first_row + self.rows) - self.lists.start(self.first_row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_any_length() {
        let mut lists: Lists = [&[1, 2][..], &[], &[3]].into_iter().collect();
        assert_eq!((lists.rows(), lists.row(0), lists.row(1)), (3, &[1, 2][..], &[][..]));
        assert_eq!([0, 1, 2].map(|place| lists.row_of(place)), [0, 0, 2]);
        let other = lists.clone();
        lists.extend_rows(&other, 1, 3);
        assert_eq!(lists.iter().collect::<Vec<_>>(), [&[1, 2][..], &[], &[3], &[], &[3]]);
        let view = lists.view(1, 2);
        assert_eq!((view.n_ids(), view.row(1)), (1, &[3][..]));
        lists.clear();
        assert_eq!(lists, Lists::new());
    }
}
