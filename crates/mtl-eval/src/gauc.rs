//! AUC within each group (user), averaged: what ranking one user's list is about.

use serde::Serialize;

use crate::auc::auc_of_ties;
use crate::ranked::{Grouped, Tie};
use crate::{BinaryRows, Measured, Undefined};

/// How groups are weighted in the average.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GaucMode {
    /// Every group counts 1.
    #[default]
    Uniform,
    /// A group counts the weight of its rows (their number, without weights).
    Impressions,
    /// A group counts the weight of its positive rows.
    Positives,
}

/// AUC averaged over groups, and how many groups it rests on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gauc {
    /// The average.
    pub value: Measured,
    /// How groups are weighted.
    pub mode: GaucMode,
    /// Number of groups with both classes: those averaged.
    pub groups_used: usize,
    /// Number of groups skipped because they have no positive row.
    pub groups_without_positives: usize,
    /// Number of groups skipped because they have no negative row.
    pub groups_without_negatives: usize,
}

/// AUC of one group with both classes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct GroupAuc {
    /// Id of the group.
    pub group: u64,
    /// AUC of its rows.
    pub auc: f64,
    /// Weight of its rows (their number, without weights).
    pub impressions: f64,
    /// Weight of its positive rows.
    pub positives: f64,
}

impl GroupAuc {
    pub(crate) fn weight(&self, mode: GaucMode) -> f64 {
        match mode {
            GaucMode::Uniform => 1.0,
            GaucMode::Impressions => self.impressions,
            GaucMode::Positives => self.positives,
        }
    }
}

/// AUC of every group, from which all modes of GAUC and its bootstrap interval follow.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupAucs {
    /// The groups with both classes, in ascending order of their ids.
    pub used: Vec<GroupAuc>,
    /// Number of groups without a positive row.
    pub without_positives: usize,
    /// Number of groups with positive rows and no negative one.
    pub without_negatives: usize,
}

impl GroupAucs {
    /// The average over groups in the given mode.
    pub fn gauc(&self, mode: GaucMode) -> Gauc {
        Gauc {
            value: self.average(mode).into(),
            mode,
            groups_used: self.used.len(),
            groups_without_positives: self.without_positives,
            groups_without_negatives: self.without_negatives,
        }
    }

    pub(crate) fn average(&self, mode: GaucMode) -> Result<f64, Undefined> {
        if self.used.is_empty() {
            return Err(match (self.without_positives, self.without_negatives) {
                (0, 0) => Undefined::NoRows,
                (without_positives, without_negatives) => {
                    Undefined::NoGroupWithBothClasses { without_positives, without_negatives }
                }
            });
        }
        let weight: f64 = self.used.iter().map(|group| group.weight(mode)).sum();
        Ok(self.used.iter().map(|group| group.weight(mode) * group.auc).sum::<f64>() / weight)
    }
}

/// AUC averaged over the groups that have both classes (Zhu et al., "Optimized Cost per Click in
/// Taobao Display Advertising", KDD 2017, who average by impressions).
///
/// Undefined without groups, or if no group has both classes.
///
/// ```
/// use mtl_eval::{BinaryRows, GaucMode, gauc};
///
/// let labels = [1.0_f32, 0.0, 0.0, 1.0, 1.0, 0.0];
/// let predictions = [0.9_f32, 0.1, 0.2, 0.1, 0.5, 0.3];
/// let users = [7, 7, 7, 8, 9, 9];
/// let rows = BinaryRows::new(&labels, &predictions)?.with_groups(&users)?;
/// let gauc = gauc(&rows, GaucMode::Uniform);
/// assert_eq!(gauc.value.value(), Some(1.0));
/// assert_eq!((gauc.groups_used, gauc.groups_without_negatives), (2, 1));
/// # Ok::<(), mtl_eval::Error>(())
/// ```
pub fn gauc(rows: &BinaryRows<'_>, mode: GaucMode) -> Gauc {
    gauc_of(&group_aucs(rows), mode)
}

/// GAUC of groups that may be undefined as a whole.
pub(crate) fn gauc_of(groups: &Measured<GroupAucs>, mode: GaucMode) -> Gauc {
    match groups {
        Measured::Value(groups) => groups.gauc(mode),
        Measured::Undefined(reason) => Gauc {
            value: Measured::Undefined(reason.clone()),
            mode,
            groups_used: 0,
            groups_without_positives: 0,
            groups_without_negatives: 0,
        },
    }
}

/// AUC of every group. Undefined without a group column.
pub fn group_aucs(rows: &BinaryRows<'_>) -> Measured<GroupAucs> {
    let Some(grouped) = Grouped::new(rows) else {
        return Measured::Undefined(Undefined::NoGroupColumn);
    };
    let mut groups = GroupAucs { used: Vec::new(), without_positives: 0, without_negatives: 0 };
    for outcome in grouped.map_groups(rows.weights(), outcome) {
        match outcome {
            Outcome::Used(auc) => groups.used.push(auc),
            Outcome::WithoutPositives => groups.without_positives += 1,
            Outcome::WithoutNegatives => groups.without_negatives += 1,
        }
    }
    Measured::Value(groups)
}

enum Outcome {
    Used(GroupAuc),
    WithoutPositives,
    WithoutNegatives,
}

fn outcome(group: u64, ties: &mut dyn DoubleEndedIterator<Item = Tie>) -> Outcome {
    let (mut positives, mut negatives) = (0.0, 0.0);
    // 0/0 for one class, which the sums then tell; a pass ahead of it would cost as much again.
    let auc = auc_of_ties(&mut ties.inspect(|tie| {
        positives += tie.positives;
        negatives += tie.negatives;
    }));
    if positives == 0.0 {
        Outcome::WithoutPositives
    } else if negatives == 0.0 {
        Outcome::WithoutNegatives
    } else {
        Outcome::Used(GroupAuc { group, auc, impressions: positives + negatives, positives })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NO_GROUP;
    use crate::oracle::{self, approx_eq};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// User 1: AUC ½ of 3 rows, 1 positive. User 2: AUC 1 of 3 rows, 2 positives. User 3: AUC 0 of 2.
    /// User 4: negatives only. User 5: a positive and a row without label.
    const LABELS: [f64; 11] = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, f64::NAN];
    const PREDICTIONS: [f64; 11] = [0.5, 0.4, 0.6, 0.9, 0.8, 0.1, 0.1, 0.2, 0.3, 0.9, 0.1];
    const USERS: [u64; 11] = [1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 5];

    #[test]
    fn a_row_without_a_group_is_left_out() {
        let mut users = USERS;
        (users[1], users[8]) = (NO_GROUP, NO_GROUP);
        let rows = BinaryRows::new(&LABELS, &PREDICTIONS).unwrap().with_groups(&users).unwrap();
        let kept = |values: &[f64]| -> Vec<f64> {
            (0..11).filter(|i| ![1, 8].contains(i)).map(|i| values[i]).collect()
        };
        let (labels, predictions) = (kept(&LABELS), kept(&PREDICTIONS));
        let others: Vec<u64> = users.into_iter().filter(|&user| user != NO_GROUP).collect();
        let apart = BinaryRows::new(&labels, &predictions).unwrap().with_groups(&others).unwrap();
        assert_eq!(group_aucs(&rows), group_aucs(&apart));
        assert_ne!(crate::auc(&rows), crate::auc(&apart), "all else counts them");
    }

    #[test]
    fn by_hand_in_every_mode() {
        let rows = BinaryRows::new(&LABELS, &PREDICTIONS).unwrap().with_groups(&USERS).unwrap();
        let check = |mode, expected| {
            let found = gauc(&rows, mode);
            approx_eq(found.value.value().unwrap(), expected, 1e-15);
            let skipped = (found.groups_without_positives, found.groups_without_negatives);
            assert_eq!((found.groups_used, skipped), (3, (1, 1)));
        };
        check(GaucMode::Uniform, 0.5);
        check(GaucMode::Impressions, (3.0 * 0.5 + 3.0) / 8.0);
        check(GaucMode::Positives, (0.5 + 2.0) / 4.0);
    }

    #[test]
    fn undefined_says_why() {
        let rows = BinaryRows::new(&LABELS, &PREDICTIONS).unwrap();
        assert_eq!(gauc(&rows, GaucMode::Uniform).value.reason(), Some(&Undefined::NoGroupColumn));
        let each_row_alone: Vec<u64> = (0..11).collect();
        let rows = rows.with_groups(&each_row_alone).unwrap();
        let expected =
            Undefined::NoGroupWithBothClasses { without_positives: 5, without_negatives: 5 };
        assert_eq!(gauc(&rows, GaucMode::Uniform).value.reason(), Some(&expected));
        let rows = BinaryRows::new(&[f64::NAN], &[0.5_f64]).unwrap().with_groups(&[1]).unwrap();
        assert_eq!(gauc(&rows, GaucMode::Uniform).value.reason(), Some(&Undefined::NoRows));
    }

    fn naive(case: &oracle::Case, mode: GaucMode) -> (Option<f64>, [usize; 3]) {
        let mut by_group: BTreeMap<u64, Vec<oracle::PlainRow>> = BTreeMap::new();
        for row in case.counted() {
            by_group.entry(row.3).or_default().push(row);
        }
        let (mut sum, mut total, mut counts) = (0.0, 0.0, [0; 3]);
        for rows in by_group.values() {
            let positives: f64 = rows.iter().filter(|r| r.0).map(|r| r.2).sum();
            match oracle::auc(rows) {
                Some(auc) => {
                    let weight = match mode {
                        GaucMode::Uniform => 1.0,
                        GaucMode::Impressions => rows.iter().map(|r| r.2).sum(),
                        GaucMode::Positives => positives,
                    };
                    sum += weight * auc;
                    total += weight;
                    counts[0] += 1;
                }
                None if positives == 0.0 => counts[1] += 1,
                None => counts[2] += 1,
            }
        }
        ((total > 0.0).then(|| sum / total), counts)
    }

    proptest! {
        #[test]
        fn is_the_average_of_the_groups(case in oracle::case(), which in 0_usize..3) {
            let mode = [GaucMode::Uniform, GaucMode::Impressions, GaucMode::Positives][which];
            let (expected, counts) = naive(&case, mode);
            for rows in [case.rows(), case.rows_f32()] {
                let found = gauc(&rows, mode);
                prop_assert!(oracle::same(found.value.value(), expected, 1e-12));
                prop_assert_eq!(
                    [found.groups_used, found.groups_without_positives, found.groups_without_negatives],
                    counts
                );
            }
        }
    }
}
