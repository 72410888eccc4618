//! Labels that contradict a chain, by file and row.

use std::path::Path;

use mtl_data::{DataConfig, Part, Place, ReadOptions, place_in, place_of};
use mtl_esm::Violation;
use mtl_train::{Error, Scored, nesting_note};

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
    let Some((part, Violation { event, without, count, first_row })) = nesting else {
        return error;
    };
    let Some(place) = place(part, first_row) else { return error };
    let (file, row) = (place.file.display(), place.row);
    let which = part.map_or(String::new(), |part| format!("{} ", part.adjective()));
    let others = match count - 1 {
        0 => format!("it is the only {which}row like this"),
        1 => format!("1 more {which}row is like this"),
        n => format!("{n} more {which}rows are like this"),
    };
    anyhow::anyhow!(
        "{file}: row {row}: `{event}` happened and `{without}` did not, which lies on every path to \
         it: expected labels that nest ({others}; nesting = \"multiply\" in [chain] would take them \
         for rows without `{event}`)"
    )
}

/// What is to be noted of the rows of a file.
pub(crate) fn note(file: &Path, scored: &Scored) {
    let rows = format!("rows of {}", file.display());
    for violation in &scored.violations {
        tell!("note: {}", nesting_note(&rows, violation));
    }
}
