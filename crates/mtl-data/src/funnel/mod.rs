//! A simulator of impressions → click → action → purchase whose truth is known.
//!
//! A log never shows what an impression without a click would have led to, so the error of a
//! conversion model over all impressions is not a number that a log can give. Here it is: every row
//! carries its true probabilities, and the purchase that *would* have followed a click. The formula
//! is in `docs/funnel.md`; in short, with user u, item v, position k, time t and a hidden
//! h ~ N(0, 1) of each row:
//!
//! ```text
//! s = √(1 − unobserved_share)·(w_u + r_v)/√2 + √unobserved_share·h
//! P(click)             = σ(α + A₀(u, v) + m_v(t) − ½ − position_bias·ln(1 + k) + selection_strength·s)
//! P(action   | click)  = σ(β + A₁(u, v) + s/2)
//! P(purchase | click, action or not) = σ(γ + A₂(u, v) + s + 1 if action)
//! ```
//!
//! Clicks depend on s as strongly as `selection_strength` says, and s drives purchases: that is the
//! selection bias. The share of s that no feature shows is `unobserved_share`. With a strength of 0
//! click and purchase-if-clicked are independent given the features.
//!
//! # Columns
//!
//! | column | kind | what |
//! |---|---|---|
//! | `user_id`, `item_id` | categorical | who and what |
//! | `user_taste_0` … `5`, `item_trait_0` … `5` | categorical | deciles of noisy looks at the factors behind A |
//! | `user_intent`, `item_appeal` | numeric | noisy looks at w_u and r_v |
//! | `item_trend` | numeric | m_v(t), the item's popularity at the time |
//! | `position` | categorical | 0 to 9 |
//! | `day` | integer | 0 to 9, what the split goes by: never a feature |
//! | `click`, `action`, `purchase` | label | what the log shows; an action and a purchase need a click |
//! | `purchase_given_click` | label | `purchase` where there is a click, missing elsewhere: what a naive conversion model trains on |
//! | `truth.*` | truth | see [`truth_labels`] |
//!
//! # Parts
//! Rows come in order of time. Days 0–7 train, day 8 validates, day 9 tests: 80, 10 and 10 % of the
//! rows. Items' popularity moves on meanwhile.

mod config;
mod probability;
mod rows;
mod world;

use std::path::Path;

use mtl_feature::{FeatureSpec, LabelSpec, SchemaSpec, Transform};

pub use config::Config;

use crate::generate::Generate;
use crate::{Bound, Dataset, Result, Split};
use rows::Rows;

/// The columns of a truth are named so in a file; [`Truth`](crate::Truth) has their names without it.
pub const TRUTH_PREFIX: &str = "truth.";

/// Factors of a user or an item that feature columns look at.
pub(crate) const FACTORS: usize = 6;

/// The 18 features.
pub fn features() -> Vec<FeatureSpec> {
    let ids = ["user_id", "item_id", "position"].map(str::to_owned).into_iter();
    let tastes = (0..FACTORS).map(|k| format!("user_taste_{k}"));
    let traits = (0..FACTORS).map(|k| format!("item_trait_{k}"));
    let numeric = ["user_intent", "item_appeal", "item_trend"];
    let numeric = numeric.map(|name| FeatureSpec::numeric(name).transform(Transform::Standardise));
    ids.chain(tastes).chain(traits).map(FeatureSpec::categorical).chain(numeric).collect()
}

/// The labels: `click`, `action`, `purchase` and `purchase_given_click`.
pub fn labels() -> Vec<LabelSpec> {
    ["click", "action", "purchase", "purchase_given_click"].map(LabelSpec::binary).into()
}

/// What is known of every row. All probabilities are given the features of the row, the hidden h
/// averaged over.
///
/// | label | what |
/// |---|---|
/// | `p_click` | P(click) |
/// | `p_action_given_click` | P(action \| click): ESM2's y2 |
/// | `p_purchase_given_action` | P(purchase \| click, action): ESM2's y3 |
/// | `p_purchase_given_no_action` | P(purchase \| click, no action): ESM2's y4 |
/// | `p_purchase_given_click` | P(purchase \| click): what a log can teach, pCVR |
/// | `p_action_if_clicked` | P(action) if the click were forced |
/// | `p_purchase_if_clicked` | P(purchase) if the click were forced |
/// | `action_if_clicked` | 0 or 1, drawn: the action that follows if there is a click |
/// | `purchase_if_clicked` | 0 or 1, drawn: the purchase that follows if there is a click |
///
/// `given` and `if` are the same where `selection_strength` or `unobserved_share` is 0. Where both
/// are above 0 a click tells something about h, so people who click buy more often than those who
/// do not would, even with equal features: no model of a log can then find `if`.
pub fn truth_labels() -> Vec<LabelSpec> {
    let name = |column: &str| column[TRUTH_PREFIX.len()..].to_owned();
    let probabilities = probability::COLUMNS.iter();
    let probabilities = probabilities.map(|c| LabelSpec::regression(name(c)).column(*c));
    let drawn = rows::DRAWN.iter().map(|c| LabelSpec::binary(name(c)).column(*c));
    probabilities.chain(drawn).collect()
}

/// Which days validate and test.
pub fn split() -> Split {
    let (validation_from, test_from) = (Some(Bound::Integer(8)), Some(Bound::Integer(9)));
    Split::Column { column: "day".to_owned(), validation_from, test_from }
}

/// Generates, splits, fits and encodes; [`Dataset::truth`] is given. Rows are grouped by `user_id`.
///
/// ```
/// use mtl_data::funnel;
///
/// let config = funnel::Config { rows: 4000, users: 200, items: 50, ..Default::default() };
/// let data = funnel::load(&config)?;
/// let truth = data.truth.as_ref().unwrap();
/// let p = truth.test.label_of("p_purchase_if_clicked").unwrap();
/// assert_eq!(p.len(), data.test.n_rows());
/// # Ok::<(), mtl_data::Error>(())
/// ```
///
/// # Errors
/// [`Error::Generator`](crate::Error::Generator) for a setting out of its range.
pub fn load(config: &Config) -> Result<Dataset> {
    let spec = SchemaSpec::new(features(), labels()).group("user_id");
    Rows::new(config)?.dataset(spec, truth_labels(), &split())
}

/// Generates into a file, `.parquet`, `.csv` or `.csv.gz`, of any number of rows: at most 128,000
/// are held at a time. `progress` is told now and then how many are written.
///
/// A file has every column of the [module's table](self). To read it as [`load`] would, use
/// [`features`], [`labels`] and [`split`] with [`load`](crate::load()).
///
/// # Errors
/// [`Error::Generator`](crate::Error::Generator) for a setting out of its range, and what writing
/// meets.
pub fn write(config: &Config, path: impl AsRef<Path>, progress: impl FnMut(u64)) -> Result<()> {
    Rows::new(config)?.write(path.as_ref(), progress)
}
