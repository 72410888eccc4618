//! Labels that contradict a chain, by file and row.

use mtl_data::{DataConfig, place_of};

/// The error that training gave; if labels do not nest as the chain does, with the file and the row
/// of the first that does not, which training does not know.
pub(crate) fn located(error: anyhow::Error, data: &DataConfig) -> anyhow::Error {
    let nesting = error.chain().find_map(|cause| match cause.downcast_ref() {
        Some(mtl_esm::Error::Nesting { event, without, count, first_row }) => {
            Some((event, without, *count, *first_row))
        }
        _ => None,
    });
    let Some((event, without, count, first_row)) = nesting else { return error };
    let Ok(Some(place)) = place_of(data, first_row) else { return error };
    let (file, row) = (place.file.display(), place.row);
    let others = match count - 1 {
        0 => "it is the only training row like this".to_owned(),
        1 => "1 more training row is like this".to_owned(),
        n => format!("{n} more training rows are like this"),
    };
    anyhow::anyhow!(
        "{file}: row {row}: `{event}` happened and `{without}` did not, which lies on every path to \
         it: expected labels that nest ({others}; nesting = \"multiply\" in [chain] would take them \
         for rows without `{event}`)"
    )
}
