//! The configuration as text, with a comment where something was guessed.

use std::fmt::Write as _;
use std::path::Path;

use super::column::Column;
use super::role::{Role, is_spoiled};

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
    chain(&mut text, &nested(columns, roles));
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
            if column.others() == 0 {
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
    let is_binary = column.others() == 0 || is_spoiled(column);
    let name = plain(&column.name);
    let _ = write!(text, "\n[[task]]\nname = {}\n", quoted(&name));
    if name != column.name {
        let _ = writeln!(text, "label = {}", quoted(&column.name));
    }
    if is_binary {
        let rate = 100.0 * column.ones as f64 / column.present().max(1) as f64;
        let _ = writeln!(text, "# 1 in {rate:.2} % of the rows that have it");
        if let Some((row, value)) = &column.first_other {
            let n = column.others();
            let _ = writeln!(
                text,
                "# row {row} holds {value}, expected 0 or 1 ({n} rows like it): mend the data"
            );
        }
    } else {
        text.push_str("kind = \"regression\"\n");
    }
}

/// Labels of which each happens only where the one before did, the commonest first.
fn nested<'c>(columns: &'c [Column], roles: &[Role]) -> Vec<&'c Column> {
    let labels = columns.iter().zip(roles).filter(|(_, role)| **role == Role::Label);
    let mut labels: Vec<&Column> =
        labels.map(|(column, _)| column).filter(|column| column.others() == 0).collect();
    labels.sort_by_key(|column| std::cmp::Reverse(column.ones));
    let inside = |inner: &Column, outer: &Column| {
        inner.ones < outer.ones
            && inner.missing == 0
            && outer.missing == 0
            && inner.ones_at.iter().all(|row| outer.ones_at.binary_search(row).is_ok())
    };
    let from = |first: usize| {
        labels[first + 1..].iter().fold(vec![labels[first]], |mut chain, label| {
            if chain.last().is_some_and(|last| inside(label, last)) {
                chain.push(label);
            }
            chain
        })
    };
    // Of the longest the one that starts with the commonest label.
    let longest = (0..labels.len()).map(from).rev().max_by_key(Vec::len).unwrap_or_default();
    if longest.len() < 2 { Vec::new() } else { longest }
}

/// The chain that nested labels suggest, for the reader to switch on.
fn chain(text: &mut String, labels: &[&Column]) {
    if labels.is_empty() {
        return;
    }
    let names: Vec<String> = labels.iter().map(|label| quoted(&label.name)).collect();
    let _ = write!(
        text,
        "\n# {} happen only one after the other. To train their probabilities over all rows\n\
         # (docs/esm.md), take these marks away, and the [[task]]s that need no tower of their own:\n\
         # [chain]\n",
        names.join(", ")
    );
    let mut from = "impression".to_owned();
    for label in labels {
        let event = format!("{}_in_chain", plain(&label.name));
        let _ = write!(
            text,
            "# [[chain.event]]\n# name = {0}\n# from = {1}\n# tower = {0}\n# label = {2}\n",
            quoted(&event),
            quoted(&from),
            quoted(&label.name)
        );
        from = event;
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

/// A name that towers and outputs may have.
fn plain(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect()
}

fn line(text: &mut String, content: &str, comment: &str) {
    let _ = writeln!(text, "{content:<37} # {comment}");
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
