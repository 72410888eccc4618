//! Census-Income (KDD): the public set of the MMoE and PLE papers, inside the crate.
//!
//! 199,523 people to train on and 99,762 to test on, from the United States' Current Population
//! Surveys of 1994 and 1995 (licence and attribution: `data/CENSUS-LICENCE.md`). Two groups of two
//! tasks, as in Ma et al., KDD 2018, §6:
//!
//! | group | label | is 1 where | share in training |
//! |---|---|---|---|
//! | [`Group::Income`] | `income` | income is above 50,000 | .0621 |
//! | both | `never_married` | marital status is "Never married" | .4335 |
//! | [`Group::College`] | `college` | education is at least some college | .3358 |
//!
//! "At least college" is read as *some college but no degree* or anything above it: the two associate
//! degrees, bachelor, master, professional school and doctorate.
//!
//! # Features
//! The file has 42 columns: the income, an instance weight, and the 40 features of which papers speak.
//! Two of those, education and marital status, are sources of labels here and are left out in both
//! groups, as the income is, so that groups have equal inputs: 38 features, 7 numeric (signed
//! logarithm, then standardised) and 31 categorical. `?` is a value like any other.
//!
//! # Parts
//! The training file trains. The test file is halved at random, once and for all: 49,881 rows validate
//! and 49,881 test.

use std::path::Path;

use bytes::Bytes;
use mtl_feature::{
    Cell, Chunk, FeatureSpec, FeatureTable, LabelSpec, SchemaFitter, SchemaSpec, Targets, Transform,
};

use crate::reader::Reader;
use crate::{Dataset, Error, Result, Shuffle};

/// Which two tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// `income` and `never_married` (the papers' group 1).
    Income,
    /// `college` and `never_married` (the papers' group 2).
    College,
}

const NUMERIC: [&str; 7] = [
    "age",
    "wage_per_hour",
    "capital_gains",
    "capital_losses",
    "dividends_from_stocks",
    "num_persons_worked_for_employer",
    "weeks_worked_in_year",
];

const CATEGORICAL: [&str; 31] = [
    "class_of_worker",
    "detailed_industry_recode",
    "detailed_occupation_recode",
    "enroll_in_edu_inst_last_wk",
    "major_industry_code",
    "major_occupation_code",
    "race",
    "hispanic_origin",
    "sex",
    "member_of_a_labor_union",
    "reason_for_unemployment",
    "full_or_part_time_employment_stat",
    "tax_filer_stat",
    "region_of_previous_residence",
    "state_of_previous_residence",
    "detailed_household_and_family_stat",
    "detailed_household_summary_in_household",
    "migration_code_change_in_msa",
    "migration_code_change_in_reg",
    "migration_code_move_within_reg",
    "live_in_this_house_1_year_ago",
    "migration_prev_res_in_sunbelt",
    "family_members_under_18",
    "country_of_birth_father",
    "country_of_birth_mother",
    "country_of_birth_self",
    "citizenship",
    "own_business_or_self_employed",
    "fill_inc_questionnaire_for_veterans_admin",
    "veterans_benefits",
    "year",
];

const COLLEGE: [&str; 7] = [
    "Some college but no degree",
    "Associates degree-occup /vocational",
    "Associates degree-academic program",
    "Bachelors degree(BA AB BS)",
    "Masters degree(MA MS MEng MEd MSW MBA)",
    "Prof school degree (MD DDS DVM LLB JD)",
    "Doctorate degree(PhD EdD)",
];

static FILE: &[u8] = include_bytes!("../data/census.parquet");

/// The name of the embedded file in messages.
const NAME: &str = "census.parquet (embedded)";

/// Another seed would be another validation half.
const HALVES_SEED: u64 = 1994;

/// The 38 features.
pub fn features() -> Vec<FeatureSpec> {
    let numeric = |name| FeatureSpec::numeric(name).transform(Transform::Log1pStandardise);
    let categorical = CATEGORICAL.into_iter().map(FeatureSpec::categorical);
    NUMERIC.into_iter().map(numeric).chain(categorical).collect()
}

/// The two labels of a group.
pub fn labels(group: Group) -> Vec<LabelSpec> {
    let never_married =
        LabelSpec::binary("never_married").column("marital_stat").positive(["Never married"]);
    let other = match group {
        Group::Income => LabelSpec::binary("income").positive(["50000+."]),
        Group::College => LabelSpec::binary("college").column("education").positive(COLLEGE),
    };
    vec![other, never_married]
}

/// Decodes, fits and encodes the set.
///
/// # Errors
/// None that a caller could cause: the file is part of the program.
pub fn load(group: Group) -> Result<Dataset> {
    let path = Path::new(NAME);
    let in_file = |error| Error::in_file(path, error);
    let spec = SchemaSpec::new(features(), labels(group));
    let mut columns: Vec<&str> = spec.needs().into_iter().map(|(column, _)| column).collect();
    columns.push("split");
    let reader = Reader::parquet_bytes(path, Bytes::from_static(FILE))?;

    let mut fitter = SchemaFitter::new(spec.clone())?;
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for chunk in reader.chunks(&columns)? {
        for (part, is_train) in halves(chunk?) {
            if is_train {
                fitter.observe(&part).map_err(in_file)?;
                train.push(part);
            } else {
                test.push(part);
            }
        }
    }
    let schema = fitter.finish()?;
    let encoder = schema.encoder(&columns, Targets::Required)?;
    let encode = |chunks: Vec<Chunk>| -> Result<FeatureTable> {
        let mut table = encoder.table();
        chunks.iter().try_for_each(|chunk| encoder.encode(chunk, &mut table)).map_err(in_file)?;
        Ok(table)
    };
    let (train, rest) = (encode(train)?, encode(test)?);
    let [validation, test] = two_halves(&rest);
    Ok(Dataset::new(schema, train, validation, test))
}

/// The training and the test rows of a chunk, without empty pieces.
fn halves(chunk: Chunk) -> Vec<(Chunk, bool)> {
    let is_train: Vec<bool> = (0..chunk.n_rows())
        .map(|i| chunk.column("split").is_some_and(|split| split.cell(i) == Cell::Text("train")))
        .collect();
    if is_train.iter().all(|train| *train) {
        return vec![(chunk, true)];
    }
    let is_test: Vec<bool> = is_train.iter().map(|train| !train).collect();
    let pieces = [(chunk.filter(&is_train), true), (chunk.filter(&is_test), false)];
    pieces.into_iter().filter(|(piece, _)| piece.n_rows() > 0).collect()
}

/// The table cut in two at random, each half in the table's order.
fn two_halves(table: &FeatureTable) -> [FeatureTable; 2] {
    let shuffle = Shuffle::new(table.n_rows(), HALVES_SEED, 0);
    let (first, second) = shuffle.order().split_at(table.n_rows() / 2);
    [first, second].map(|rows| {
        let mut rows = rows.to_vec();
        rows.sort_unstable();
        table.select(&rows)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(table: &FeatureTable, label: &str) -> f64 {
        let labels = table.label_of(label).unwrap();
        labels.iter().map(|&label| f64::from(label)).sum::<f64>() / labels.len() as f64
    }

    #[test]
    fn the_labels_have_their_published_rates() {
        let income = load(Group::Income).unwrap();
        let sizes = [&income.train, &income.validation, &income.test].map(FeatureTable::n_rows);
        assert_eq!(sizes, [199_523, 49_881, 49_881]);
        assert_eq!(rate(&income.train, "income"), 12_382.0 / 199_523.0);
        assert_eq!(rate(&income.train, "never_married"), 86_485.0 / 199_523.0);
        let college = load(Group::College).unwrap();
        assert_eq!(rate(&college.train, "college"), 67_003.0 / 199_523.0);
        assert_eq!(college.schema.features(), income.schema.features());
        assert_eq!(college.test.ids(), income.test.ids());
        // 6,186 of the test file's people earn more than 50,000.
        let positives = |table| (rate(table, "income") * 49_881.0).round();
        assert_eq!(positives(&income.validation) + positives(&income.test), 6_186.0);
    }

    #[test]
    fn no_source_of_a_label_is_an_input() {
        let names: Vec<String> = features().into_iter().map(|feature| feature.name).collect();
        assert_eq!(names.len(), 38);
        for source in ["education", "marital_stat", "income", "instance_weight", "split"] {
            assert!(!names.iter().any(|name| name == source), "{source}");
        }
    }

    #[test]
    fn features_have_the_cardinalities_of_the_file() {
        let schema = load(Group::Income).unwrap().schema;
        let rows = |name: &str| schema.feature(name).unwrap().encoding().n_rows();
        // Counted apart from this code; the reserved ids are two more.
        for (name, values) in [
            ("class_of_worker", 9),
            ("detailed_industry_recode", 52),
            ("detailed_household_and_family_stat", 38),
            ("country_of_birth_self", 43),
            ("citizenship", 5),
            ("year", 2),
        ] {
            assert_eq!(rows(name), Some(values + 2), "{name}");
        }
        assert_eq!(schema.numeric().len(), 7);
    }

    #[test]
    fn standardised_columns_have_mean_0_and_variance_1() {
        let train = load(Group::Income).unwrap().train;
        for (name, values) in train.values() {
            let n = values.len() as f64;
            let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / n;
            let square = values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / n;
            assert!(mean.abs() < 1e-5 && (square - 1.0).abs() < 1e-5, "{name} {mean} {square}");
        }
    }
}
