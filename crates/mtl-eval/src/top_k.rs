//! Precision, recall and NDCG of the first k rows of each group.

use std::num::NonZeroUsize;

use serde::Serialize;

use crate::ranked::{Grouped, Tie};
use crate::{BinaryRows, Measured, Undefined};

/// How good the first k rows of a group are, averaged over groups that each count 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TopK {
    /// Number of first rows looked at.
    pub k: NonZeroUsize,
    /// Positives among the first k, over k, averaged over all groups.
    pub precision: Measured,
    /// Positives among the first k, over the group's positives, averaged over groups that have any.
    pub recall: Measured,
    /// Σ y_i/log₂(i + 1) over ranks i ≤ k, over its largest possible value (Järvelin and Kekäläinen,
    /// 2002), averaged over groups that have positives.
    pub ndcg: Measured,
    /// Number of groups.
    pub groups: usize,
    /// Number of groups without positives: in `precision` they count 0, in `recall` and `ndcg` not.
    pub groups_without_positives: usize,
}

/// Precision, recall and NDCG at k.
///
/// Rows of equal prediction share the ranks that they take together, so each metric is the mean over
/// all orders of tied rows (McSherry and Najork, ECIR 2008) and depends on no order of the input.
/// Precision divides by k even in a group of fewer rows. Weights are ignored but for 0, since a list
/// shows a row once or not at all.
///
/// Undefined without a group column; recall and NDCG also if no group has positives.
///
/// ```
/// use std::num::NonZeroUsize;
/// use mtl_eval::{BinaryRows, top_k};
///
/// let labels = [1.0_f32, 0.0, 1.0, 0.0];
/// let rows = BinaryRows::new(&labels, &[0.9_f32, 0.8, 0.1, 0.5])?.with_groups(&[1, 1, 1, 2])?;
/// let top = top_k(&rows, NonZeroUsize::new(2).unwrap()).value().unwrap();
/// assert_eq!(top.precision.value(), Some(0.25));
/// assert_eq!(top.recall.value(), Some(0.5));
/// assert_eq!(top.groups_without_positives, 1);
/// # Ok::<(), mtl_eval::Error>(())
/// ```
pub fn top_k(rows: &BinaryRows<'_>, k: NonZeroUsize) -> Measured<TopK> {
    let Some(grouped) = Grouped::new(rows) else {
        return Measured::Undefined(Undefined::NoGroupColumn);
    };
    // No list is longer than all rows, however large k is.
    let first = First::new(k.get().min(rows.n_rows()));
    let lists = grouped.map_groups(rows.weights(), |_, ties| first.of_list(ties));
    let with_positives = lists.iter().filter(|list| list.positives > 0.0).count();
    let over = |sum: f64, n: usize, none| if n == 0 { Err(none) } else { Ok(sum / n as f64) };
    let sum = |f: fn(&List) -> f64| lists.iter().filter(|l| l.positives > 0.0).map(f).sum::<f64>();
    let no_positives = if lists.is_empty() { Undefined::NoRows } else { Undefined::NoPositives };
    Measured::Value(TopK {
        k,
        precision: over(sum(|l| l.hits) / k.get() as f64, lists.len(), Undefined::NoRows).into(),
        recall: over(sum(|l| l.hits / l.positives), with_positives, no_positives.clone()).into(),
        ndcg: over(sum(|l| l.gain / l.best_gain), with_positives, no_positives).into(),
        groups: lists.len(),
        groups_without_positives: lists.len() - with_positives,
    })
}

/// What one group contributes.
struct List {
    positives: f64,
    hits: f64,
    gain: f64,
    best_gain: f64,
}

/// The first ranks and what they are worth.
struct First {
    /// Sum of the discounts 1/log₂(i + 1) of the first ranks: of none, of one, … of all k.
    discounts: Vec<f64>,
}

impl First {
    fn new(k: usize) -> Self {
        let sum = |total: &mut f64, rank: usize| {
            *total += 1.0 / ((rank + 1) as f64).log2();
            Some(*total)
        };
        First { discounts: std::iter::once(0.0).chain((1..=k).scan(0.0, sum)).collect() }
    }

    fn of_list(&self, ties: &mut dyn DoubleEndedIterator<Item = Tie>) -> List {
        let k = self.discounts.len() - 1;
        let (mut rank, mut n_positives) = (0, 0);
        let mut list = List { positives: 0.0, hits: 0.0, gain: 0.0, best_gain: 0.0 };
        for tie in ties.rev() {
            let (from, to) = (rank.min(k), (rank + tie.len()).min(k));
            let mean_label = tie.n_positives as f64 / tie.len() as f64;
            list.hits += mean_label * (to - from) as f64;
            list.gain += mean_label * (self.discounts[to] - self.discounts[from]);
            rank += tie.len();
            n_positives += tie.n_positives;
        }
        list.positives = n_positives as f64;
        list.best_gain = self.discounts[n_positives.min(k)];
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::{self, Case, PlainRow, approx_eq, same};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn k(k: usize) -> NonZeroUsize {
        NonZeroUsize::new(k).unwrap()
    }

    /// scikit-learn 1.9 `ndcg_score([y], [p], k=k)`, which averages over ties too.
    #[test]
    fn ndcg_as_scikit_learn() {
        let labels = [1.0_f64, 0.0, 0.0, 1.0, 1.0, 0.0];
        let predictions = [0.3_f64, 0.3, 0.9, 0.6, 0.3, 0.1];
        let rows = BinaryRows::new(&labels, &predictions).unwrap().with_groups(&[5; 6]).unwrap();
        let check = |n, expected| {
            let found = top_k(&rows, k(n)).value().unwrap();
            approx_eq(found.ndcg.value().unwrap(), expected, 1e-12);
        };
        check(1, 0.0);
        check(3, 0.4525081529734507);
        check(4, 0.5872463839738158);
        check(100, 0.7082742456653842);
    }

    #[test]
    fn undefined_says_why() {
        let rows = BinaryRows::new(&[0.0_f64], &[0.5_f64]).unwrap();
        assert_eq!(top_k(&rows, k(3)).reason(), Some(&Undefined::NoGroupColumn));
        let found = top_k(&rows.with_groups(&[1]).unwrap(), k(3)).value().unwrap();
        assert_eq!(found.precision.value(), Some(0.0));
        assert_eq!(found.recall.reason(), Some(&Undefined::NoPositives));
        let rows = BinaryRows::new(&[f64::NAN], &[0.5_f64]).unwrap().with_groups(&[1]).unwrap();
        let found = top_k(&rows, k(3)).value().unwrap();
        assert_eq!(found.precision.reason(), Some(&Undefined::NoRows));
        assert_eq!(found.ndcg.reason(), Some(&Undefined::NoRows));
    }

    /// Sorts plainly; right only where no two predictions of a group tie.
    fn naive(rows: &[PlainRow], k: usize) -> (Option<f64>, Option<f64>, Option<f64>) {
        let mut by_group: BTreeMap<u64, Vec<PlainRow>> = BTreeMap::new();
        rows.iter().for_each(|row| by_group.entry(row.3).or_default().push(*row));
        let (mut precision, mut recall, mut ndcg) = (Vec::new(), Vec::new(), Vec::new());
        for list in by_group.values_mut() {
            list.sort_by(|a, b| b.1.total_cmp(&a.1));
            let discount = |i: usize| 1.0 / (i as f64 + 2.0).log2();
            let hits: Vec<usize> = (0..list.len().min(k)).filter(|&i| list[i].0).collect();
            let positives = list.iter().filter(|row| row.0).count();
            precision.push(hits.len() as f64 / k as f64);
            if positives > 0 {
                recall.push(hits.len() as f64 / positives as f64);
                let best: f64 = (0..positives.min(k)).map(discount).sum();
                ndcg.push(hits.iter().map(|&i| discount(i)).sum::<f64>() / best);
            }
        }
        let mean = |v: Vec<f64>| (!v.is_empty()).then(|| v.iter().sum::<f64>() / v.len() as f64);
        (mean(precision), mean(recall), mean(ndcg))
    }

    fn values(case: &Case, n: usize) -> [Option<f64>; 3] {
        let found = top_k(&case.rows(), k(n)).value().unwrap();
        [found.precision.value(), found.recall.value(), found.ndcg.value()]
    }

    proptest! {
        #[test]
        fn without_ties_is_the_definition(case in oracle::case(), n in 1_usize..8) {
            let mut case = case;
            case.predictions.iter_mut().enumerate().for_each(|(i, p)| *p += 1e-5 * i as f64);
            let (precision, recall, ndcg) = naive(&case.counted(), n);
            for (found, expected) in values(&case, n).into_iter().zip([precision, recall, ndcg]) {
                prop_assert!(same(found, expected, 1e-12));
            }
        }

        #[test]
        fn the_order_of_rows_is_immaterial(case in oracle::case(), n in 1_usize..8, seed in 0_u64..100) {
            for (a, b) in values(&case, n).into_iter().zip(values(&case.shuffled(seed), n)) {
                prop_assert!(same(a, b, 1e-12));
            }
        }
    }
}
