//! Which keys of a feature go together, and the way of encoding that they say.

use crate::buckets::MOST_BUCKETS;
use crate::{DatePart, Error, FeatureKind, FeatureSpec, Pooling, Result, Transform, nearest_names};

/// How a feature will be encoded: what a [`FeatureSpec`] means once checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Plan {
    Vocabulary {
        min_count: u64,
    },
    Hashed {
        buckets: u32,
    },
    /// The ids of another feature.
    Shared,
    Part(DatePart),
    Scaling {
        log1p: bool,
        standardise: bool,
    },
    Quantiles {
        n_buckets: usize,
    },
}

const ONLY_DATETIME: &str = "it for a datetime feature only";
const ONLY_DIN: &str = "it with `pooling = \"din\"` only";

impl FeatureSpec {
    /// The way of encoding that the keys say, if they go together.
    pub(crate) fn check(&self) -> Result<Plan> {
        if self.name.is_empty() {
            return Err(self.wrong("name", "empty", "a name"));
        }
        if self.dim == Some(0) {
            return Err(self.wrong("dim", 0, "at least 1"));
        }
        if let (Some(_), false) = (&self.parts, self.kind == FeatureKind::Datetime) {
            return Err(self.wrong("parts", "given", ONLY_DATETIME));
        }
        if let (Some(zone), false) = (&self.time_zone, self.kind == FeatureKind::Datetime) {
            return Err(self.wrong("time_zone", zone, ONLY_DATETIME));
        }
        if let (Some(_), false) = (&self.of, self.kind == FeatureKind::Cross) {
            return Err(self.wrong("of", "given", "it for a cross only"));
        }
        match self.kind {
            FeatureKind::Categorical => {
                self.check_no_sequence()?;
                self.check_ids()
            }
            FeatureKind::Numeric => {
                self.check_no_sequence()?;
                self.check_numeric()
            }
            FeatureKind::Sequence => {
                self.check_sequence()?;
                self.check_ids()
            }
            FeatureKind::Datetime => {
                self.check_no_sequence()?;
                self.check_datetime()
            }
            FeatureKind::Cross => {
                self.check_no_sequence()?;
                self.check_cross()?;
                self.check_ids()
            }
        }
    }

    /// The keys of sequences that are given.
    fn sequence_keys(&self) -> impl Iterator<Item = (&'static str, String)> {
        let text = |text: &Option<String>| text.as_ref().map(|text| format!("`{text}`"));
        [
            ("separator", text(&self.separator)),
            ("max_length", self.max_length.map(|length| length.to_string())),
            ("keep", self.keep.map(|keep| format!("{keep:?}").to_lowercase())),
            ("pooling", self.pooling.map(|pooling| format!("{pooling:?}").to_lowercase())),
            ("target", text(&self.target)),
            ("attention", self.attention.as_ref().map(|_| "given".to_owned())),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
    }

    fn check_no_sequence(&self) -> Result<()> {
        match self.sequence_keys().next() {
            None => Ok(()),
            Some((key, value)) => {
                Err(self.wrong(key, value, "nothing: it is for sequence features only"))
            }
        }
    }

    fn check_sequence(&self) -> Result<()> {
        if self.separator.as_ref().is_some_and(String::is_empty) {
            return Err(self.wrong("separator", "empty", "a text, such as `|`"));
        }
        if !(1..=10_000).contains(&self.longest()) {
            return Err(self.wrong("max_length", self.longest(), "1 to 10000"));
        }
        let is_din = self.pooling == Some(Pooling::Din);
        match &self.target {
            None if is_din => {
                let expected =
                    "the feature that items are compared with, beside `pooling = \"din\"`";
                return Err(self.wrong("target", "not given", expected));
            }
            Some(target) if !is_din => {
                return Err(self.wrong("target", format!("`{target}`"), ONLY_DIN));
            }
            _ => {}
        }
        match &self.attention {
            Some(_) if !is_din => Err(self.wrong("attention", "given", ONLY_DIN)),
            Some(attention) if attention.units.contains(&0) => {
                Err(self.wrong("attention.units", 0, "at least 1"))
            }
            _ => Ok(()),
        }
    }

    fn check_datetime(&self) -> Result<Plan> {
        const ONLY: &str = "nothing: a datetime feature has `column`, `parts`, `time_zone`, \
                            `groups`, `dim` and `missing_indicator`";
        let given = [
            ("min_count", self.min_count.map(|n| n.to_string())),
            ("hash_buckets", self.hash_buckets.map(|n| n.to_string())),
            ("shares", self.shares.as_ref().map(|name| format!("`{name}`"))),
            ("transform", self.transform.map(|_| "given".to_owned())),
            ("buckets", self.buckets.map(|n| n.to_string())),
        ];
        if let Some((key, Some(value))) = given.into_iter().find(|(_, value)| value.is_some()) {
            return Err(self.wrong(key, value, ONLY));
        }
        let mut parts = self.parts.clone().unwrap_or_else(|| vec![DatePart::Hour]);
        if self.missing_indicator && !parts.contains(&DatePart::AgeDays) {
            let expected = "it with the part \"age_days\": ids have one for missing values";
            return Err(self.wrong("missing_indicator", true, expected));
        }
        let n = parts.len();
        parts.sort_unstable();
        parts.dedup();
        match parts.first() {
            Some(&part) if parts.len() == n => Ok(Plan::Part(part)),
            Some(_) => Err(self.wrong("parts", "given twice", "each part once")),
            None => Err(self.wrong("parts", "empty", "at least one part, such as \"hour\"")),
        }
    }

    fn check_cross(&self) -> Result<()> {
        if let Some(column) = &self.column {
            return Err(self.wrong("column", format!("`{column}`"), "`of`, for a cross"));
        }
        match &self.of {
            Some(of) if of.iter().enumerate().any(|(i, name)| of[..i].contains(name)) => {
                Err(self.wrong("of", format!("{of:?}"), "each column once"))
            }
            Some(of) if of.len() >= 2 => Ok(()),
            Some(of) => Err(self.wrong("of", format!("{of:?}"), "two columns or more")),
            None => Err(self.wrong("of", "not given", "the columns of the cross")),
        }
    }

    /// An error about the name of another feature, with the nearest that there are.
    pub(crate) fn wrong_name(
        &self,
        key: &'static str,
        name: &str,
        expected: &str,
        names: &[&str],
    ) -> Error {
        let nearest = nearest_names(name, names);
        let near = nearest.iter().find(|near| *near != name && **near != self.name);
        let hint = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        self.wrong(key, format!("`{name}`"), &format!("{expected}{hint}"))
    }

    /// The error for a target that cannot be one.
    pub(crate) fn wrong_target(&self, expected: &str) -> Error {
        let target = self.target.as_deref().unwrap_or_default();
        self.wrong("target", format!("`{target}`"), expected)
    }

    fn check_ids(&self) -> Result<Plan> {
        const ONLY: &str = "nothing: it is for numeric features only";
        if let Some(transform) = self.transform {
            return Err(self.wrong("transform", format!("{transform:?}").to_lowercase(), ONLY));
        }
        if let Some(buckets) = self.buckets {
            return Err(self.wrong("buckets", buckets, "`hash_buckets` for a categorical feature"));
        }
        if self.missing_indicator {
            return Err(self.wrong("missing_indicator", true, ONLY));
        }
        if self.shares.is_some() {
            const OWN: &str = "nothing beside `shares`: it is the other feature's";
            return match (self.hash_buckets, self.min_count, self.dim) {
                (Some(buckets), ..) => Err(self.wrong("hash_buckets", buckets, OWN)),
                (_, Some(count), _) => Err(self.wrong("min_count", count, OWN)),
                (.., Some(dim)) => Err(self.wrong("dim", dim, OWN)),
                _ => Ok(Plan::Shared),
            };
        }
        match (self.hash_buckets, self.min_count) {
            (Some(_), Some(count)) => {
                Err(self.wrong("min_count", count, "nothing beside `hash_buckets`"))
            }
            (Some(buckets), None) if !(1..=MOST_BUCKETS).contains(&buckets) => {
                Err(self.wrong("hash_buckets", buckets, &format!("1 to {MOST_BUCKETS}")))
            }
            (Some(buckets), None) => Ok(Plan::Hashed { buckets }),
            (None, Some(0)) => Err(self.wrong("min_count", 0, "at least 1")),
            (None, count) => Ok(Plan::Vocabulary { min_count: count.unwrap_or(1) }),
        }
    }

    fn check_numeric(&self) -> Result<Plan> {
        const ONLY: &str = "nothing: it is for categorical features and sequences only";
        if let Some(count) = self.min_count {
            return Err(self.wrong("min_count", count, ONLY));
        }
        if let Some(buckets) = self.hash_buckets {
            return Err(self.wrong("hash_buckets", buckets, ONLY));
        }
        if let Some(shares) = &self.shares {
            return Err(self.wrong("shares", format!("`{shares}`"), ONLY));
        }
        let transform = self.transform.unwrap_or_default();
        if transform == Transform::Quantiles {
            return match self.buckets {
                _ if self.missing_indicator => {
                    let expected = "nothing beside quantiles, which have an id for missing values";
                    Err(self.wrong("missing_indicator", true, expected))
                }
                Some(n_buckets) if n_buckets >= 2 => Ok(Plan::Quantiles { n_buckets }),
                Some(n_buckets) => Err(self.wrong("buckets", n_buckets, "at least 2")),
                None => Err(self.wrong("buckets", "not given", "the number of quantile buckets")),
            };
        }
        if let Some(buckets) = self.buckets {
            return Err(self.wrong("buckets", buckets, "it with `transform = \"quantiles\"` only"));
        }
        if let Some(dim) = self.dim {
            return Err(self.wrong("dim", dim, "nothing: only ids and quantiles are embedded"));
        }
        let log1p = matches!(transform, Transform::Log1p | Transform::Log1pStandardise);
        let standardise = matches!(transform, Transform::Standardise | Transform::Log1pStandardise);
        Ok(Plan::Scaling { log1p, standardise })
    }

    fn wrong(&self, key: &'static str, value: impl ToString, expected: &str) -> Error {
        let owner = format!("feature `{}`", self.name);
        Error::Setting { owner, key, value: value.to_string(), expected: expected.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(toml: &str, expected: &str) {
        let spec: std::result::Result<FeatureSpec, _> = toml::from_str(toml);
        let found = match spec {
            Ok(spec) => spec.check().map_or_else(|e| e.to_string(), |plan| format!("{plan:?}")),
            Err(error) => error.message().to_owned(),
        };
        assert!(found.starts_with(expected), "{toml}\nfound    {found}\nexpected {expected}");
    }

    #[test]
    fn keys_that_go_together_are_accepted() {
        check("name = 'a'\nkind = 'categorical'", "Vocabulary { min_count: 1 }");
        check("name = 'a'\nkind = 'categorical'\nhash_buckets = 9\ndim = 4", "Hashed { buckets: 9");
        check("name = 'a'\nkind = 'numeric'", "Scaling { log1p: false, standardise: false }");
        let both = "name = 'a'\nkind = 'numeric'\ntransform = 'log1p_standardise'";
        check(both, "Scaling { log1p: true, standardise: true }");
        let quantiles =
            "name = 'a'\nkind = 'numeric'\ntransform = 'quantiles'\nbuckets = 4\ndim = 2";
        check(quantiles, "Quantiles { n_buckets: 4 }");
    }

    #[test]
    fn keys_that_do_not_are_named() {
        check("name = 'a'\nkind = 'categorical'\nmin_cnt = 2", "unknown field `min_cnt`");
        check("name = 'a'", "missing field `kind`");
        check("name = 'a'\nkind = 'text'", "unknown variant `text`");
        let categorical = "name = 'a'\nkind = 'categorical'\n";
        for (key, expected) in [
            ("min_count = 0", "feature `a`: `min_count` is 0, expected at least 1"),
            ("hash_buckets = 0", "feature `a`: `hash_buckets` is 0, expected 1 to 2147483648"),
            (
                "hash_buckets = 3000000000",
                "feature `a`: `hash_buckets` is 3000000000, expected 1 to 2147483648",
            ),
            (
                "hash_buckets = 5000000000",
                "invalid value: integer `5000000000`, expected a whole number from 1 to 2147483648",
            ),
            (
                "hash_buckets = -1",
                "invalid value: integer `-1`, expected a whole number from 1 to 2147483648",
            ),
            ("dim = 0", "feature `a`: `dim` is 0, expected at least 1"),
            ("transform = 'log1p'", "feature `a`: `transform` is log1p, expected nothing"),
            ("hash_buckets = 2\nmin_count = 2", "feature `a`: `min_count` is 2, expected nothing"),
        ] {
            check(&format!("{categorical}{key}"), expected);
        }
        let numeric = "name = 'a'\nkind = 'numeric'\n";
        for (key, expected) in [
            ("dim = 3", "feature `a`: `dim` is 3, expected nothing"),
            ("transform = 'quantiles'", "feature `a`: `buckets` is not given"),
            ("buckets = 3", "feature `a`: `buckets` is 3, expected it with"),
            ("min_count = 3", "feature `a`: `min_count` is 3, expected nothing"),
        ] {
            check(&format!("{numeric}{key}"), expected);
        }
    }
}
