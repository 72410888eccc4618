//! Rows apart by the value of a column, so that a metric can be taken of each part.
//!
//! A model that is good on average may be no better than chance for new users, or off by a factor in
//! one country; the segments of a column show it.

use std::collections::HashMap;
use std::num::NonZeroUsize;

/// Some rows, and what they have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The value, the range of values (`> 10 to 20`), `(other)` or `(missing)`.
    pub name: String,
    /// The rows' numbers, rising.
    pub rows: Vec<u32>,
}

/// Name of the rows whose value is not among the commonest.
const OTHER: &str = "(other)";

/// Name of the rows without a value.
const MISSING: &str = "(missing)";

/// A segment for each of the `most` commonest values, the commonest first and ties by name; then the
/// rows of all other values, and those without one. Each row is in one segment and none is empty.
///
/// ```
/// use mtl_eval::segments_by_name;
///
/// let cities = [Some("Rome"), None, Some("Oslo"), Some("Rome"), Some("Lima")];
/// let segments = segments_by_name(cities, 1.try_into()?);
/// let found: Vec<_> = segments.iter().map(|s| (s.name.as_str(), &s.rows[..])).collect();
/// assert_eq!(found, [("Rome", &[0, 3][..]), ("(other)", &[2, 4]), ("(missing)", &[1])]);
/// # Ok::<(), std::num::TryFromIntError>(())
/// ```
///
/// # Panics
/// If there are more than 2³² rows.
pub fn segments_by_name<S: AsRef<str>>(
    values: impl IntoIterator<Item = Option<S>>,
    most: NonZeroUsize,
) -> Vec<Segment> {
    let mut by_value: HashMap<String, Vec<u32>> = HashMap::new();
    let mut missing = Vec::new();
    for (row, value) in values.into_iter().enumerate() {
        let row = number(row);
        let Some(value) = value else {
            missing.push(row);
            continue;
        };
        match by_value.get_mut(value.as_ref()) {
            Some(rows) => rows.push(row),
            None => _ = by_value.insert(value.as_ref().to_owned(), vec![row]),
        }
    }
    let named = by_value.into_iter().map(|(name, rows)| Segment { name, rows });
    let mut segments: Vec<Segment> = named.collect();
    segments.sort_by(|a, b| b.rows.len().cmp(&a.rows.len()).then_with(|| a.name.cmp(&b.name)));
    let rest = segments.split_off(most.get().min(segments.len()));
    let mut other: Vec<u32> = rest.into_iter().flat_map(|segment| segment.rows).collect();
    other.sort_unstable();
    segments.push(Segment { name: OTHER.to_owned(), rows: other });
    segments.push(Segment { name: MISSING.to_owned(), rows: missing });
    segments.retain(|segment| !segment.rows.is_empty());
    segments
}

/// At most `n_bins` segments of about equal size, the lowest values first; then the rows without a
/// value (NaN). Equal values are in one segment, so a column of few distinct values has fewer.
///
/// Bin k of n ends with the smallest value that at least k/n of the rows do not exceed.
///
/// ```
/// use mtl_eval::segments_by_quantile;
///
/// let ages = [18.0, 60.0, f64::NAN, 25.0, 25.0, 41.0];
/// let segments = segments_by_quantile(&ages, 2.try_into()?);
/// let found: Vec<_> = segments.iter().map(|s| (s.name.as_str(), &s.rows[..])).collect();
/// assert_eq!(found, [("≤ 25", &[0, 3, 4][..]), ("> 25", &[1, 5]), ("(missing)", &[2])]);
/// # Ok::<(), std::num::TryFromIntError>(())
/// ```
///
/// # Panics
/// If there are more than 2³² rows.
pub fn segments_by_quantile(values: &[f64], n_bins: NonZeroUsize) -> Vec<Segment> {
    let edges = edges(values, n_bins.get());
    let mut segments: Vec<Segment> = (0..=edges.len())
        .map(|bin| Segment { name: range(&edges, bin), rows: Vec::new() })
        .chain([Segment { name: MISSING.to_owned(), rows: Vec::new() }])
        .collect();
    for (row, &value) in values.iter().enumerate() {
        let bin = match value.is_nan() {
            true => edges.len() + 1,
            false => edges.partition_point(|&edge| edge < value),
        };
        segments[bin].rows.push(number(row));
    }
    segments.retain(|segment| !segment.rows.is_empty());
    segments
}

/// The largest values of all bins but the last, rising.
fn edges(values: &[f64], n_bins: usize) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = sorted.len();
    let mut edges: Vec<f64> =
        (1..n_bins).filter(|_| n > 0).map(|k| sorted[(k * n).div_ceil(n_bins) - 1]).collect();
    edges.dedup();
    // Nothing lies above the largest value, so it is no edge.
    edges.retain(|edge| Some(edge) != sorted.last());
    edges
}

/// The values of a bin, as a name.
fn range(edges: &[f64], bin: usize) -> String {
    match (bin.checked_sub(1).map(|below| edges[below]), edges.get(bin)) {
        (None, None) => "all".to_owned(),
        (None, Some(high)) => format!("≤ {high}"),
        (Some(low), Some(high)) => format!("> {low} to {high}"),
        (Some(low), None) => format!("> {low}"),
    }
}

fn number(row: usize) -> u32 {
    u32::try_from(row).expect("at most 2^32 rows")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn most(n: usize) -> NonZeroUsize {
        n.try_into().unwrap()
    }

    fn names(segments: &[Segment]) -> Vec<&str> {
        segments.iter().map(|segment| segment.name.as_str()).collect()
    }

    #[test]
    fn few_values_have_few_bins() {
        assert_eq!(names(&segments_by_quantile(&[1.0, 1.0, 2.0], most(9))), ["≤ 1", "> 1"]);
        assert_eq!(names(&segments_by_quantile(&[3.0; 4], most(5))), ["all"]);
        assert_eq!(names(&segments_by_quantile(&[f64::NAN], most(5))), ["(missing)"]);
        assert_eq!(segments_by_quantile(&[], most(5)), []);
        assert_eq!(segments_by_name([None::<&str>; 0], most(5)), []);
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        let segments = segments_by_quantile(&hundred, most(4));
        assert_eq!(names(&segments), ["≤ 25", "> 25 to 50", "> 50 to 75", "> 75"]);
        assert!(segments.iter().all(|segment| segment.rows.len() == 25));
    }

    #[test]
    fn the_commonest_values_come_first_and_ties_by_name() {
        let values = ["b", "a", "c", "c", "d"].map(Some);
        assert_eq!(names(&segments_by_name(values, most(3))), ["c", "a", "b", "(other)"]);
        assert_eq!(names(&segments_by_name(values, most(4))), ["c", "a", "b", "d"]);
    }

    proptest! {
        #[test]
        fn every_row_is_in_one_segment(
            values in prop::collection::vec(prop::option::of(-3_i8..4), 0..60),
            n in 1_usize..6,
        ) {
            let texts = values.iter().map(|value| value.map(|value| value.to_string()));
            let by_name = segments_by_name(texts, most(n));
            let floats: Vec<f64> =
                values.iter().map(|value| value.map_or(f64::NAN, f64::from)).collect();
            let by_quantile = segments_by_quantile(&floats, most(n));
            for segments in [&by_name, &by_quantile] {
                let mut rows: Vec<u32> = segments.iter().flat_map(|s| s.rows.clone()).collect();
                rows.sort_unstable();
                prop_assert_eq!(rows, (0..values.len() as u32).collect::<Vec<_>>());
                prop_assert!(segments.iter().all(|s| s.rows.is_sorted() && !s.rows.is_empty()));
            }
            prop_assert!(by_quantile.len() <= n + 1);
            // Bins do not overlap, and rise.
            let bins = by_quantile.iter().filter(|segment| segment.name != MISSING);
            let bounds: Vec<(f64, f64)> = bins.map(|bin| {
                let of = bin.rows.iter().map(|&row| floats[row as usize]);
                of.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)))
            }).collect();
            prop_assert!(bounds.windows(2).all(|pair| pair[0].1 < pair[1].0), "{:?}", bounds);
        }
    }
}
