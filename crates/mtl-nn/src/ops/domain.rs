//! Rows by their domain: what the ops of multi-domain layers share.

use crate::{IdSlot, Mat, MatMut, Scalar};

/// A column that says which domain a row belongs to.
///
/// Id 0 is a domain that training did not have: it has no parameters of its own. So has an id
/// beyond the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domains {
    /// The slot of the ids.
    pub slot: IdSlot,
    /// Their number, that of the unseen one included; at least 2.
    pub n: usize,
}

impl Domains {
    /// The domain of an id.
    #[inline(always)]
    pub(super) const fn of(&self, id: u32) -> usize {
        if (id as usize) < self.n { id as usize } else { 0 }
    }

    /// The rows of a domain, in order.
    #[inline(always)]
    pub(super) fn rows_of(self, ids: &[u32], domain: usize) -> impl Iterator<Item = usize> {
        let is_member = move |&(_, &id): &(usize, &u32)| self.of(id) == domain;
        ids.iter().enumerate().filter(is_member).map(|(r, _)| r)
    }

    /// The domains that have rows, each with its first row and number once rows stand by domain.
    pub(super) fn runs(self, ids: &[u32]) -> impl Iterator<Item = Run> {
        let mut first = 0;
        (0..self.n).filter_map(move |domain| {
            let n = self.rows_of(ids, domain).count();
            first += n;
            (n > 0).then_some(Run { domain, first: first - n, n })
        })
    }

    /// Rows of `from` to `to`, by domain.
    pub(super) fn group<S: Scalar>(self, ids: &[u32], from: Mat<'_, S>, to: &mut MatMut<'_, S>) {
        let order = (0..self.n).flat_map(|domain| self.rows_of(ids, domain));
        for (i, r) in order.enumerate() {
            to.row(i)[..from.cols()].copy_from_slice(from.row(r));
        }
    }

    /// The place of each row once they stand by domain, as (row, place).
    pub(super) fn places(self, ids: &[u32]) -> impl Iterator<Item = (usize, usize)> {
        let order = (0..self.n).flat_map(move |domain| self.rows_of(ids, domain));
        order.enumerate().map(|(i, r)| (r, i))
    }
}

/// The rows of one domain among rows that stand by domain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) domain: usize,
    pub(super) first: usize,
    pub(super) n: usize,
}

impl Run {
    /// Columns `start .. start + n_cols` of the run's rows.
    pub(super) fn of<'a, S: Scalar>(
        self,
        m: Mat<'a, S>,
        start: usize,
        n_cols: usize,
    ) -> Mat<'a, S> {
        Mat::new(&m.data()[self.first * m.stride() + start..], self.n, n_cols, m.stride())
    }

    /// As [`Run::of`], to be written.
    pub(super) fn of_mut<'a, S: Scalar>(
        self,
        m: &'a mut MatMut<'_, S>,
        start: usize,
        n_cols: usize,
    ) -> MatMut<'a, S> {
        let stride = m.stride();
        MatMut::new(&mut m.data()[self.first * stride + start..], self.n, n_cols, stride)
    }
}
