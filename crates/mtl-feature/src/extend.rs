//! Whether features and labels are those that a schema was fitted for, so that it can grow.

use crate::{Error, FeatureSpec, LabelSpec, Result, Schema};

/// Checks that features and labels are those of a schema.
///
/// Only `min_count` may be another: it says which new values become known. Classes that are not named
/// are the ones found before.
///
/// # Errors
/// [`Error::Differs`], naming the first feature or label that is not the same, and what of it.
pub(crate) fn check_same(
    schema: &Schema,
    features: &[FeatureSpec],
    labels: &[LabelSpec],
) -> Result<()> {
    let known = |name: &str| schema.feature(name).map(|feature| feature.spec());
    for spec in features {
        let was = known(&spec.name).ok_or_else(|| new(format!("feature `{}`", spec.name)))?;
        if let Some(difference) = of_features(was, spec) {
            return Err(differs(format!("feature `{}`", spec.name), difference));
        }
    }
    let label_of = |name: &str| schema.labels().iter().find(|label| label.name == name);
    for spec in labels {
        let was = label_of(&spec.name).ok_or_else(|| new(format!("label `{}`", spec.name)))?;
        let pairs = [
            ("column", shown(was.column_name()), shown(spec.column_name())),
            ("kind", shown(was.kind), shown(spec.kind)),
            ("positive", shown(&was.positive), shown(&spec.positive)),
            ("classes", shown(&was.classes), shown(&spec.classes)),
        ];
        let mut pairs =
            pairs.into_iter().filter(|(key, ..)| *key != "classes" || !spec.classes.is_empty());
        if let Some(difference) = pairs.find_map(different) {
            return Err(differs(format!("label `{}`", spec.name), difference));
        }
    }
    let gone = schema.features().iter().find(|f| features.iter().all(|g| g.name != f.name()));
    if let Some(gone) = gone {
        return Err(no_longer(format!("feature `{}`", gone.name())));
    }
    match schema.labels().iter().find(|l| labels.iter().all(|other| other.name != l.name)) {
        Some(gone) => Err(no_longer(format!("label `{}`", gone.name))),
        None => Ok(()),
    }
}

fn of_features(was: &FeatureSpec, is: &FeatureSpec) -> Option<String> {
    let pairs = [
        ("kind", shown(was.kind), shown(is.kind)),
        ("column", shown(was.column_name()), shown(is.column_name())),
        ("groups", shown(&was.groups), shown(&is.groups)),
        ("dim", shown(was.dim), shown(is.dim)),
        ("hash_buckets", shown(was.hash_buckets), shown(is.hash_buckets)),
        ("shares", shown(&was.shares), shown(&is.shares)),
        ("separator", shown(&was.separator), shown(&is.separator)),
        ("max_length", shown(was.max_length), shown(is.max_length)),
        ("keep", shown(was.keep), shown(is.keep)),
        ("pooling", shown(was.pooling), shown(is.pooling)),
        ("target", shown(&was.target), shown(&is.target)),
        ("attention", shown(&was.attention), shown(&is.attention)),
        ("time_zone", zone(was), zone(is)),
        ("of", shown(&was.of), shown(&is.of)),
        ("transform", shown(was.transform), shown(is.transform)),
        ("buckets", shown(was.buckets), shown(is.buckets)),
        ("missing_indicator", shown(was.missing_indicator), shown(is.missing_indicator)),
    ];
    let named = pairs.into_iter().find_map(different);
    let min_count = was.min_count;
    let same = *was == FeatureSpec { min_count, column: was.column.clone(), ..is.clone() };
    named.or_else(|| (!same).then(|| "it has other settings now".to_owned()))
}

fn zone(spec: &FeatureSpec) -> String {
    spec.time_zone.as_ref().map_or_else(|| "not given".to_owned(), ToString::to_string)
}

fn shown(value: impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    let inner = text.strip_prefix("Some(").and_then(|rest| rest.strip_suffix(')'));
    match inner.unwrap_or(&text) {
        "None" => "not given".to_owned(),
        text => text.to_lowercase(),
    }
}

fn different((key, was, is): (&str, String, String)) -> Option<String> {
    (was != is).then(|| format!("`{key}` was {was}, and is {is} now"))
}

fn differs(owner: String, difference: String) -> Error {
    Error::Differs { owner, difference }
}

fn new(owner: String) -> Error {
    differs(owner, "the model was trained without it".to_owned())
}

fn no_longer(owner: String) -> Error {
    differs(owner, "the model was trained with it, and it is not there now".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Chunk, FeatureSpec, Key, RawColumn, Rows, SchemaFitter, SchemaSpec, Targets};

    fn chunk(cities: &[&str], ages: &[&str], clicks: &[&str]) -> Chunk {
        let text = |values: &[&str]| RawColumn::text(values.iter().copied());
        let columns = [("city", text(cities)), ("age", text(ages)), ("click", text(clicks))];
        let columns = columns.map(|(name, column)| (name.to_owned(), column)).into();
        Chunk::new(cities.len(), Rows::From(1), columns).unwrap()
    }

    fn spec() -> SchemaSpec {
        let features = vec![FeatureSpec::categorical("city"), FeatureSpec::numeric("age")];
        SchemaSpec::new(features, vec![LabelSpec::binary("click")])
    }

    fn first_day() -> Schema {
        let mut fitter = SchemaFitter::new(spec()).unwrap();
        fitter.observe(&chunk(&["b", "a", "b"], &["1", "2", "3"], &["0", "1", "0"])).unwrap();
        fitter.finish().unwrap()
    }

    #[test]
    fn known_values_keep_their_ids_and_new_ones_come_after() {
        let first = first_day();
        let mut fitter = SchemaFitter::extending(spec(), &first).unwrap();
        fitter.observe(&chunk(&["d", "c", "a", "c"], &["9", "9", "9", "9"], &["0"; 4])).unwrap();
        let second = fitter.finish().unwrap();
        let crate::Encoding::Vocabulary(cities) = second.feature("city").unwrap().encoding() else {
            panic!("{second:?}")
        };
        let keys: Vec<String> = cities.keys().iter().map(Key::to_string).collect();
        assert_eq!(keys, ["b", "a", "c", "d"]);
        // What a number means to the weights must stay.
        let age = |schema: &Schema| schema.feature("age").unwrap().encoding().clone();
        assert_eq!(age(&second), age(&first));
        let rows = chunk(&["b", "a"], &["1", "7"], &["0", "1"]);
        let encode = |schema: &Schema| schema.encode(&rows, Targets::Required).unwrap();
        assert_eq!(encode(&second), encode(&first));
    }

    #[test]
    fn what_is_not_the_same_is_named() {
        let first = first_day();
        let check = |features: Vec<FeatureSpec>, labels: Vec<LabelSpec>, expected: &str| {
            let spec = SchemaSpec::new(features, labels);
            let found = SchemaFitter::extending(spec, &first).map(drop);
            assert_eq!(found.map_err(|error| error.to_string()), Err(expected.to_owned()));
        };
        let (city, age) = (FeatureSpec::categorical("city"), FeatureSpec::numeric("age"));
        let click = || vec![LabelSpec::binary("click")];
        let expected = "feature `city`: the model was trained with it, and it is not there now";
        check(vec![age.clone()], click(), expected);
        let more = vec![city.clone(), age.clone(), FeatureSpec::numeric("price")];
        check(more, click(), "feature `price`: the model was trained without it");
        let wide = vec![city.clone().dim(4), age.clone()];
        check(wide, click(), "feature `city`: `dim` was not given, and is 4 now");
        let other = vec![LabelSpec::binary("buy")];
        check(
            vec![city.clone(), age.clone()],
            other,
            "label `buy`: the model was trained without it",
        );
        let other = vec![LabelSpec::regression("click")];
        let expected = "label `click`: `kind` was binary, and is regression now";
        check(vec![city.clone(), age.clone()], other, expected);
        let spec = SchemaSpec::new(vec![city.min_count(2), age], click());
        assert!(SchemaFitter::extending(spec, &first).is_ok(), "new values may need more rows");
    }
}
