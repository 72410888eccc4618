//! `mtl init`: a first configuration, from a look at a data file.

mod column;
mod role;
mod text;

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use mtl_data::{ReadOptions, Reader};

use crate::args::InitArgs;
use crate::commands::outputs;
use crate::render;
use column::Column;
use role::{Role, is_spoiled};

/// Rows that are looked at: enough to tell an id from a number.
const ROWS: usize = 100_000;

pub(crate) fn run(args: &InitArgs, json: bool) -> anyhow::Result<()> {
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(default_name(&args.data)));
    let delimiter = delimiter(&args.data)?;
    let (columns, n_rows) = look(&args.data, delimiter)?;
    ensure!(n_rows > 0, "{}: there are no rows, expected some", args.data.display());
    let roles = role::roles(&columns, args.labels.as_deref())
        .with_context(|| args.data.display().to_string())?;
    let file = data_path(&args.data, &out)?;
    let toml = text::configuration((&file, delimiter), &out, n_rows, &columns, &roles);
    write_new(&out, &toml)?;
    for (column, _) in columns.iter().zip(&roles).filter(|(_, role)| **role == Role::Label) {
        if let Some((row, value)) = column.first_other.as_ref().filter(|_| is_spoiled(column)) {
            tell!(
                "warning: {}: row {row}, column `{}`: found {value}, expected 0 or 1 ({} cells like it): \
                 it is taken for a label, and training stops there until they are mended",
                args.data.display(),
                column.name,
                column.others()
            );
        }
    }
    if json {
        return render::json(&serde_json::json!({ "config": out, "rows": n_rows }));
    }
    say!("wrote {}; look it over, then:", out.display());
    say!("  mtl check {0}\n  mtl compare {0}\n  mtl train {0} --out model", out.display());
    Ok(())
}

/// `log.csv.gz` → `log.toml`, in the current folder.
fn default_name(data: &Path) -> String {
    let name = data.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.split('.').find(|part| !part.is_empty()).unwrap_or("data");
    format!("{stem}.toml")
}

/// What separates fields, if it is not what the ending says: the header is one column, and has it.
fn delimiter(path: &Path) -> anyhow::Result<Option<char>> {
    let reader = Reader::open(path, &ReadOptions::default())?;
    let [header] = reader.names() else { return Ok(None) };
    Ok([';', '\t', '|', ','].into_iter().find(|delimiter| header.contains(*delimiter)))
}

/// The columns of the first rows.
fn look(path: &Path, delimiter: Option<char>) -> anyhow::Result<(Vec<Column>, usize)> {
    let mut options = ReadOptions::default();
    options.delimiter = delimiter.map(|character| character as u8); // one of ASCII
    let reader = Reader::open(path, &options)?;
    let names = reader.names().to_vec();
    let mut columns: Vec<Column> = names.iter().map(|name| Column::new(name)).collect();
    let mut n_rows = 0;
    for chunk in reader.chunks(&names)? {
        let chunk = chunk?;
        for column in &mut columns {
            if let Some(cells) = chunk.column(&column.name) {
                column.observe(cells, chunk.rows());
            }
        }
        n_rows += chunk.n_rows();
        if n_rows >= ROWS {
            break;
        }
    }
    Ok((columns, n_rows))
}

/// The data file as the configuration names it: files are relative to the configuration's folder.
fn data_path(data: &Path, out: &Path) -> anyhow::Result<String> {
    let folder = |path: &Path| match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let (from, to) = (folder(out), folder(data));
    let same =
        from == to || matches!((from.canonicalize(), to.canonicalize()), (Ok(a), Ok(b)) if a == b);
    let path = if same {
        PathBuf::from(data.file_name().unwrap_or_default())
    } else if from == Path::new(".") || data.is_absolute() {
        data.to_owned()
    } else {
        data.canonicalize().with_context(|| data.display().to_string())?
    };
    Ok(path.to_string_lossy().into_owned())
}

/// Writes a file that is not there yet.
fn write_new(path: &Path, content: &str) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = file.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => outputs::is_there(path),
        _ => anyhow::anyhow!("{}: {error}", path.display()),
    })?;
    file.write_all(content.as_bytes()).with_context(|| path.display().to_string())
}
