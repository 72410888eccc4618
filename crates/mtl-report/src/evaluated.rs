//! The report of a trained model that is measured on a file.

use mtl_train::Evaluated;

use crate::html::{count, escape};
use crate::metrics::{bins, tables};
use crate::page::{Chapter, Section};
use crate::{Report, Result, gates, importance, segments, shared};

/// The report of a model on a file's rows.
///
/// # Errors
/// [`crate::Error::Draw`] if a figure cannot be drawn.
pub fn evaluated(evaluated: &Evaluated) -> Result<Report> {
    let whole = &evaluated.evaluation;
    let sections = vec![
        Section::new("Results").html(&tables("All rows", whole)),
        shared::reliability(bins(Some(whole)), "rows")?,
        segments::section(&evaluated.segments, Some(whole))?,
        importance::section(evaluated.importance.as_ref(), "measured")?,
        gates::section(&[(&evaluated.model, &evaluated.gates)], "rows")?,
    ];
    let (data, version) = (escape(&evaluated.data), escape(evaluated.version));
    let facts = format!("{data}: {} rows<br>mtl {version}", count(whole.rows));
    let title = format!("{}, measured", evaluated.model);
    Ok(Report::new(&title, facts, vec![Chapter::new(&evaluated.model, sections)]))
}
