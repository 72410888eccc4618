//! Labels along a chain, on rows of every part: those that validate and test are to nest as those
//! that train, or what is measured on them is of labels that cannot be.

use mtl_data::{Dataset, Part, RowSource};
use mtl_esm::{BehaviourGraph, NestingCheck, Violation};
use mtl_model::{ModelSpec, add_to_nesting};

use crate::{Error, Observer, Result};

/// The violations among some rows, if the chain's policy takes them.
///
/// # Errors
/// [`Error::Nesting`] with the first of them, if it does not; labels that the rows lack; what is wrong
/// with a file.
pub fn check_nesting<R: RowSource + ?Sized>(
    chain: &BehaviourGraph,
    rows: &R,
    part: Part,
) -> Result<Vec<Violation>> {
    let mut check = NestingCheck::new(chain);
    for block in rows.blocks(None) {
        add_to_nesting(&mut check, &*block?)?;
    }
    finish(check, Some(part))
}

/// What a check found among the rows of a part, or of a file where that is not known.
pub(crate) fn finish(check: NestingCheck<'_>, part: Option<Part>) -> Result<Vec<Violation>> {
    check.finish().map_err(|error| match error {
        mtl_esm::Error::Nesting { event, without, count, first_row } => {
            Error::Nesting { part, violation: Violation { event, without, count, first_row } }
        }
        other => mtl_model::Error::from(other).into(),
    })
}

/// What is to be said of a violation that the policy takes, among such rows.
pub fn nesting_note(rows: &str, Violation { event, without, count, .. }: &Violation) -> String {
    format!("{count} {rows} have `{event}` without `{without}` and count as not `{event}`")
}

/// What is to be said of a violation that the policy `error` does not take, where the first of such rows is
/// in a file; `part` is which rows they are among, if that is known.
pub fn nesting_refusal((file, row): (&str, u64), part: Option<&str>, found: &Violation) -> String {
    let Violation { event, without, count, .. } = found;
    let which = part.map_or(String::new(), |part| format!("{part} "));
    let others = match count - 1 {
        0 => format!("it is the only {which}row like this"),
        1 => format!("1 more {which}row is like this"),
        n => format!("{n} more {which}rows are like this"),
    };
    format!(
        "{file}: row {row}: `{event}` happened and `{without}` did not, which lies on every path to \
         it: expected labels that nest ({others}; nesting = \"multiply\" in [chain] would take them \
         for rows without `{event}`)"
    )
}

/// [`fit`](crate::fit) looks at the rows that train and validate; this at those that test, before
/// anything is trained. What is to be noted of them.
///
/// # Errors
/// As [`check_nesting`]; a chain that cannot be built.
pub fn check_test_rows<R: RowSource>(
    spec: &ModelSpec,
    dataset: &Dataset<R>,
) -> Result<Vec<String>> {
    let Some(chain) = spec.behaviour_graph()? else { return Ok(Vec::new()) };
    let found = check_nesting(&chain, &dataset.test, Part::Test)?;
    Ok(found.iter().map(|violation| nesting_note("test rows", violation)).collect())
}

/// Notes the violations among the rows of a part.
pub(crate) fn note(observer: &mut dyn Observer, part: Part, violations: &[Violation]) {
    let rows = format!("{} rows", part.adjective());
    violations.iter().for_each(|violation| observer.note(&nesting_note(&rows, violation)));
}
