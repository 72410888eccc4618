//! Labels that contradict a chain, by file and row.

use std::path::Path;

use mtl_data::{DataConfig, Part, Place, ReadOptions, place_in, place_of};
use mtl_train::{Error, Scored, nesting_note, nesting_refusal};

/// The error that training gave; if labels do not nest as the chain does, with the file and the row
/// of the first that does not, which training does not know.
pub(crate) fn located(error: anyhow::Error, data: &DataConfig) -> anyhow::Error {
    with_place(error, |part, row| place_of(data, part?, row).ok()?)
}

/// The same for rows of one file.
pub(crate) fn located_in(
    error: anyhow::Error,
    file: &Path,
    options: &ReadOptions,
) -> anyhow::Error {
    with_place(error, |_, row| place_in(file, options, row).ok()?)
}

fn with_place(
    error: anyhow::Error,
    place: impl FnOnce(Option<Part>, u64) -> Option<Place>,
) -> anyhow::Error {
    let nesting = error.chain().find_map(|cause| match cause.downcast_ref() {
        Some(Error::Nesting { part, violation }) => Some((*part, violation.clone())),
        _ => None,
    });
    let Some((part, violation)) = nesting else { return error };
    let Some(place) = place(part, violation.first_row) else { return error };
    let file = place.file.display().to_string();
    let line = nesting_refusal((&file, place.row), part.map(Part::adjective), &violation);
    anyhow::anyhow!(line)
}

/// What is to be noted of the rows of a file.
pub(crate) fn note(file: &Path, scored: &Scored) {
    let rows = format!("rows of {}", file.display());
    for violation in &scored.violations {
        tell!("note: {}", nesting_note(&rows, violation));
    }
}
