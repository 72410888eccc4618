//! The configuration as text, with a comment where something was guessed.

use std::fmt::Write as _;
use std::path::Path;

use super::column::Column;
use super::role::Role;

/// Values from which on a name must come twice to be known.
const MANY: usize = 1000;

pub(super) fn configuration(
    (file, delimiter): (&str, Option<char>),
    out: &Path,
    n_rows: usize,
    columns: &[Column],
    roles: &[Role],
) -> String {
    let mut text = format!(
        "# A first configuration, guessed from the first {n_rows} rows: every line is yours to change.\n\
         # The keys are in docs/configuration.md.\n#\n\
         #   mtl check {0}      what is in the data, and which column tells too much\n\
         #   mtl compare {0}    every model on it\n\
         #   mtl train {0} --out model\n\n\
         [data]\ntrain = {1}\n\
         split = {{ by = \"random\", validation = 0.1, test = 0.1 }}   # by a date column: by = \"column\"\n",
        out.display(),
        quoted(file),
    );
    if let Some(delimiter) = delimiter {
        let delimiter = delimiter.escape_default();
        _ = writeln!(text, "delimiter = \"{delimiter}\"                       # between fields");
    }
    let all = || columns.iter().zip(roles);
    if let Some((column, _)) =
        all().find(|(_, role)| **role == Role::Categorical { is_group: true })
    {
        line(&mut text, &format!("group = {}", quoted(&column.name)), "AUC user by user, too");
    }
    for (column, role) in all() {
        feature(&mut text, column, role);
    }
    for (column, _) in all().filter(|(_, role)| **role == Role::Label) {
        task(&mut text, column);
    }
    model(&mut text, n_rows);
    text
}

fn feature(text: &mut String, column: &Column, role: &Role) {
    let name = quoted(&column.name);
    let distinct = column.keys.len();
    match role {
        Role::Label => {}
        Role::Left(why) => {
            let _ = write!(text, "\n# {name} is not read: {why}.\n");
        }
        Role::Categorical { .. } => {
            let _ = write!(text, "\n[[feature]]\nname = {name}\nkind = \"categorical\"");
            let _ = writeln!(text, "                # {distinct} values");
            if column.zeros + column.ones == column.present() {
                text.push_str(
                    "# 0 and 1: if it is an outcome, make it a [[task]] or take it away\n",
                );
            }
            if distinct > MANY {
                line(text, "min_count = 2", "rarer ones share the row of the unseen");
            }
        }
        Role::Numeric => {
            let _ = write!(text, "\n[[feature]]\nname = {name}\nkind = \"numeric\"\n");
            let (low, high) = (column.smallest, column.largest);
            let transform = match low >= 0.0 && high > 100.0 {
                true => "log1p_standardise",
                false => "standardise",
            };
            line(text, &format!("transform = \"{transform}\""), &format!("from {low} to {high}"));
            if column.missing > 0 {
                line(text, "missing_indicator = true", &format!("{} are missing", column.missing));
            }
        }
        Role::Datetime { has_time } => {
            let _ = write!(text, "\n[[feature]]\nname = {name}\nkind = \"datetime\"\n");
            let parts = match has_time {
                true => "parts = [\"hour\", \"weekday\"]",
                false => "parts = [\"weekday\"]",
            };
            line(text, parts, "or \"hour_of_week\", \"day\", \"month\", \"age_days\"");
            if column.numbers > 0 {
                text.push_str(
                    "# numbers are in UTC; `time_zone = \"Europe/Berlin\"` makes them local\n",
                );
            }
        }
        Role::Sequence { separator, shares } => {
            let _ = write!(text, "\n[[feature]]\nname = {name}\nkind = \"sequence\"\n");
            if let Some(separator) = separator {
                line(text, &format!("separator = \"{separator}\""), "between items");
            }
            line(text, "max_length = 50", "the last items, if there are more");
            match shares {
                None => line(text, "pooling = \"mean\"", "or \"sum\", \"max\""),
                Some(other) => {
                    let other = quoted(other);
                    line(text, &format!("shares = {other}"), "its items are that feature's");
                    line(text, "pooling = \"din\"", "items are weighed by the target");
                    let _ = writeln!(text, "target = {other}");
                }
            }
        }
    }
}

fn task(text: &mut String, column: &Column) {
    let is_binary = column.zeros + column.ones == column.present();
    let plain = column.name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    let name: String = column
        .name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "_-".contains(c) { c } else { '_' })
        .collect();
    let _ = write!(text, "\n[[task]]\nname = {}\n", quoted(&name));
    if !plain {
        let _ = writeln!(text, "label = {}", quoted(&column.name));
    }
    if is_binary {
        let rate = 100.0 * column.ones as f64 / column.present().max(1) as f64;
        let _ = writeln!(text, "# 1 in {rate:.2} % of the rows that have it");
    } else {
        text.push_str("kind = \"regression\"\n");
    }
}

fn model(text: &mut String, n_rows: usize) {
    let batch = match n_rows {
        0..5_000 => 64,
        5_000..50_000 => 256,
        _ => 1024,
    };
    let _ = write!(
        text,
        "\n[model]\nname = \"mmoe\"                       # what `mtl train` trains; `mtl compare` trains all\n\
         \n[train]\nepochs = 10\nbatch_size = {batch}\n\
         patience = 2                          # stop after 2 epochs without a better macro AUC\n\
         \n[train.optimiser]\n\
         dense = {{ kind = \"adam\", lr = 1e-3 }}\n\
         tables = {{ kind = \"adagrad\", lr = 0.05 }}   # embeddings learn faster so\n"
    );
}

fn line(text: &mut String, content: &str, comment: &str) {
    let _ = writeln!(text, "{content:<37} # {comment}");
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
