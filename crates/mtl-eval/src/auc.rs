//! The area under the ROC curve, exactly.

use crate::ranked::{Ranked, Tie};
use crate::{BinaryRows, Measured, Undefined};

/// The area under the ROC curve: the probability that a random positive row is scored above a
/// random negative one, ties counted half.
///
/// (Σ ranks of positives − P(P+1)/2) / (P·N), with midranks for ties (Mann and Whitney, 1947).
/// With weights a pair counts the product of its two weights.
///
/// Undefined without positive or without negative rows.
///
/// ```
/// use mtl_eval::{BinaryRows, auc};
///
/// let rows = BinaryRows::new(&[0.0_f32, 0.0, 1.0, 1.0], &[0.1_f32, 0.4, 0.35, 0.8])?;
/// assert_eq!(auc(&rows).value(), Some(0.75));
/// # Ok::<(), mtl_eval::Error>(())
/// ```
pub fn auc(rows: &BinaryRows<'_>) -> Measured {
    // One class needs no sort to be found out.
    both_classes(rows).map(|()| auc_of_ties(&mut Ranked::new(rows).ties())).into()
}

/// AUC of rows that a report has ranked already.
pub(crate) fn auc_ranked(rows: &BinaryRows<'_>, ranked: &Ranked<'_>) -> Result<f64, Undefined> {
    both_classes(rows).map(|()| auc_of_ties(&mut ranked.ties()))
}

/// Why a metric of two classes is undefined, if it is.
pub(crate) fn both_classes(rows: &BinaryRows<'_>) -> Result<(), Undefined> {
    match (rows.n_positives(), rows.n_negatives()) {
        (0, 0) => Err(Undefined::NoRows),
        (0, _) => Err(Undefined::NoPositives),
        (_, 0) => Err(Undefined::NoNegatives),
        _ => Ok(()),
    }
}

/// AUC of ascending ties that hold both classes. Without weights every partial sum is an integer,
/// so the numerator is exact up to 2⁵³.
pub(crate) fn auc_of_ties(ties: &mut dyn Iterator<Item = Tie>) -> f64 {
    let (mut positives, mut negatives, mut twice_won) = (0.0, 0.0, 0.0);
    for tie in ties {
        twice_won += tie.positives * (2.0 * negatives + tie.negatives);
        positives += tie.positives;
        negatives += tie.negatives;
    }
    twice_won / (2.0 * positives * negatives)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::{self, Case, approx_eq};
    use proptest::prelude::*;

    fn check(labels: &[f64], predictions: &[f64], expected: Result<f64, Undefined>) {
        let rows = BinaryRows::new(labels, predictions).unwrap();
        assert_eq!(auc(&rows).into_result(), expected);
    }

    #[test]
    fn by_hand() {
        check(&[0.0, 0.0, 1.0, 1.0], &[0.1, 0.4, 0.35, 0.8], Ok(0.75));
        check(&[0.0, 1.0], &[0.5, 0.5], Ok(0.5));
        check(&[1.0, 0.0], &[0.2, 0.7], Ok(0.0));
        // Pairs: .3 beats .2 and ties .3 → 1.5; .9 beats all three → 3; 4.5 of 6.
        check(&[0.0, 1.0, 0.0, 1.0, 0.0], &[0.2, 0.3, 0.3, 0.9, 0.4], Ok(0.75));
        check(&[0.0, 1.0], &[f64::NEG_INFINITY, f64::INFINITY], Ok(1.0));
    }

    #[test]
    fn one_class_is_undefined() {
        check(&[], &[], Err(Undefined::NoRows));
        check(&[f64::NAN], &[0.5], Err(Undefined::NoRows));
        check(&[1.0, f64::NAN], &[0.5, 0.2], Err(Undefined::NoNegatives));
        check(&[0.0, 0.0], &[0.5, 0.2], Err(Undefined::NoPositives));
    }

    #[test]
    fn missing_labels_count_nowhere() {
        check(&[0.0, f64::NAN, 0.0, 1.0, 1.0], &[0.1, 0.9, 0.4, 0.35, 0.8], Ok(0.75));
    }

    /// scikit-learn 1.9 `roc_auc_score(y, p, sample_weight=w)`.
    #[test]
    fn weighted_as_scikit_learn() {
        let labels = [0.0_f32, 1.0, 0.0, 1.0, 1.0, 0.0];
        let predictions = [0.2_f64, 0.2, 0.4, 0.7, 0.3, 0.7];
        let rows = BinaryRows::new(&labels, &predictions).unwrap();
        let rows = rows.with_weights(&[1.0_f32, 2.0, 0.5, 1.5, 3.0, 1.0]).unwrap();
        approx_eq(auc(&rows).value().unwrap(), 0.430_769_230_769_230_8, 1e-15);
    }

    proptest! {
        #[test]
        fn is_the_share_of_pairs_won(case in oracle::case()) {
            let expected = oracle::auc(&case.counted());
            prop_assert!(oracle::same(auc(&case.rows()).value(), expected, 1e-12));
            prop_assert!(oracle::same(auc(&case.rows_f32()).value(), expected, 1e-12));
        }

        #[test]
        fn an_increasing_transform_changes_nothing(case in oracle::case()) {
            let mut stretched = case.clone();
            stretched.predictions.iter_mut().for_each(|p| *p = (3.0 * *p).exp() - 7.0);
            prop_assert_eq!(auc(&case.rows()).value(), auc(&stretched.rows()).value());
        }

        #[test]
        fn the_order_of_rows_is_immaterial(case in oracle::case(), seed in 0_u64..100) {
            let shuffled = case.shuffled(seed);
            prop_assert!(oracle::same(auc(&case.rows()).value(), auc(&shuffled.rows()).value(), 1e-12));
        }

        #[test]
        fn swapped_labels_and_mirrored_predictions_give_the_complement(case in oracle::case()) {
            let mut swapped: Case = case.clone();
            swapped.labels.iter_mut().for_each(|y| *y = 1.0 - *y);
            let complement = auc(&swapped.rows()).value().map(|v| 1.0 - v);
            prop_assert!(oracle::same(auc(&case.rows()).value(), complement, 1e-12));
            swapped.predictions.iter_mut().for_each(|p| *p = -*p);
            prop_assert!(oracle::same(auc(&case.rows()).value(), auc(&swapped.rows()).value(), 1e-12));
        }
    }
}
