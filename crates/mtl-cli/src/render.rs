//! Tables on a terminal, JSON elsewhere; and the one place that writes to either.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde::Serialize;

/// Prints a line of results, as `println!` does, but for a reader that has gone (`mtl … | head`).
macro_rules! say {
    () => { $crate::render::line(format_args!("")) };
    ($($argument:tt)*) => { $crate::render::line(format_args!($($argument)*)) };
}

/// Tells the person at the terminal a line (an error, a warning, a note), as `eprintln!` does, but
/// for a reader that has gone.
macro_rules! tell {
    ($($argument:tt)*) => { $crate::render::line_aside(format_args!($($argument)*)) };
}

/// Prints a line. Nobody may be reading it any more: files are still to be written then, so that is
/// no failure.
pub(crate) fn line(text: Arguments<'_>) {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            tell!("error: standard output: {error}");
            std::process::exit(2);
        }
        _ => {}
    }
}

/// Writes a line to standard error.
pub(crate) fn line_aside(text: Arguments<'_>) {
    // If it cannot be said, there is nowhere left to say that.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Prints a table; every column but the first is right-aligned.
pub(crate) fn table(header: &[String], rows: &[Vec<String>]) {
    let mut table = Table::new();
    // What is printed can be pasted into a document as it is.
    table.load_style(ASCII_MARKDOWN);
    // A results table that wraps inside its cells cannot be read; lines may be long.
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    table.add_rows(rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    say!("{table}");
}

/// Prints JSON, indented.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    say!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// A number with so many digits, or a dash.
pub(crate) fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}
