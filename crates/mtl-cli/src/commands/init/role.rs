//! What each column is for, guessed by its name and its values.

use anyhow::bail;

use super::column::{Column, SEPARATORS};

/// What a column is for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Role {
    Label,
    /// Of names; of the user, if rows are grouped by it.
    Categorical {
        is_group: bool,
    },
    Numeric,
    /// Dates, with a time of day or without.
    Datetime {
        has_time: bool,
    },
    /// A list of names, with the feature whose ids it shares.
    Sequence {
        separator: Option<char>,
        shares: Option<String>,
    },
    /// Not read, and why.
    Left(&'static str),
}

/// Words of which one stands in the name of a label.
const LABELS: [&str; 19] = [
    "click", "like", "buy", "bought", "purchase", "order", "cart", "conver", "label", "target",
    "follow", "share", "comment", "install", "pay", "subscrib", "view", "watch", "is_",
];

/// Names of the column that says who sees the rows.
const GROUPS: [&str; 8] =
    ["user", "uid", "member", "customer", "visitor", "account", "session", "device"];

/// Words that make a name one of counts, which are 0 and 1 nearly always and no label.
const COUNTS: [&str; 6] = ["count", "cnt", "num", "total", "times", "n_"];

/// A role for each column.
///
/// # Errors
/// If there is no label, or none of the names given.
pub(super) fn roles(columns: &[Column], labels: Option<&[String]>) -> anyhow::Result<Vec<Role>> {
    if let Some(labels) = labels {
        for label in labels {
            if !columns.iter().any(|column| column.name == *label) {
                let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
                let near = mtl_feature::nearest_names(label, &names);
                let hint =
                    near.first().map_or(String::new(), |name| format!("; did you mean `{name}`?"));
                bail!("there is no column `{label}` (needed by --labels){hint}");
            }
        }
    }
    let is_label = |column: &Column| match labels {
        Some(labels) => labels.contains(&column.name),
        None if is_binary(column) => sounds(column, &LABELS) || !any_sounds(columns),
        None => is_spoiled(column),
    };
    if !columns.iter().any(is_label) {
        bail!("no column holds 0 and 1 alone, expected a label (name some by --labels A,B)");
    }
    let mut roles: Vec<Role> = columns
        .iter()
        .map(|column| match is_label(column) {
            true => Role::Label,
            false => feature(column),
        })
        .collect();
    let is_group = |(column, role): &(&Column, &Role)| {
        matches!(role, Role::Categorical { .. }) && sounds(column, &GROUPS)
    };
    let group = columns.iter().zip(&roles).position(|pair| is_group(&pair));
    if let Some(role) = group.and_then(|i| roles.get_mut(i)) {
        *role = Role::Categorical { is_group: true };
    }
    for i in 0..columns.len() {
        if let Some(role) = sequence(&columns[i], columns, &roles) {
            roles[i] = role;
        }
    }
    Ok(roles)
}

fn is_binary(column: &Column) -> bool {
    column.zeros > 0 && column.ones > 0 && column.others() == 0
}

/// Whether a column was a label but for a few cells. As a feature it would tell what is to be predicted.
pub(super) fn is_spoiled(column: &Column) -> bool {
    let few = column.others() > 0 && 20 * column.others() <= column.present();
    few && column.zeros > 0
        && column.ones > 0
        && sounds(column, &LABELS)
        && !sounds(column, &COUNTS)
}

fn any_sounds(columns: &[Column]) -> bool {
    let is_label = |column| is_binary(column) && sounds(column, &LABELS);
    columns.iter().any(|column| is_label(column) || is_spoiled(column))
}

fn sounds(column: &Column, words: &[&str]) -> bool {
    let name = column.name.to_lowercase();
    words.iter().any(|word| name.contains(word))
}

fn feature(column: &Column) -> Role {
    let (present, distinct) = (column.present(), column.keys.len());
    let name = column.name.to_lowercase();
    let is_id = name == "id" || name.ends_with("id") || name.ends_with("ids");
    if present == 0 || (distinct == 1 && column.missing == 0) {
        return Role::Left("every row has the same value");
    }
    if column.dates == present {
        return Role::Datetime { has_time: column.times > 0 };
    }
    if column.numbers == present
        && let Some(has_time) = looks_like_time(column)
    {
        return Role::Datetime { has_time };
    }
    let is_number = column.numbers == present;
    if is_number && !is_id && (column.integers < present || distinct > 20) {
        return Role::Numeric;
    }
    if distinct == present && present > 100 {
        return Role::Left("every row has a value of its own");
    }
    Role::Categorical { is_group: false }
}

/// Between 2001 and 2065, in seconds or milliseconds or as a date such as 20261124, under a name that
/// says so; whether with a time of day.
fn looks_like_time(column: &Column) -> Option<bool> {
    let range = |low: f64, high: f64| column.smallest >= low && column.largest < high;
    let name = column.name.to_lowercase();
    let says_so = ["time", "date", "ts", "_at"].iter().any(|word| name.contains(word));
    let has_time = range(1e9, 3e9) || range(1e12, 3e12);
    (says_so && (has_time || range(20_010_101.0, 20_651_232.0))).then_some(has_time)
}

/// The sequence that a column of texts or lists is, if it is one.
fn sequence(column: &Column, columns: &[Column], roles: &[Role]) -> Option<Role> {
    if column.dates > 0 {
        return None;
    }
    let shares = |separator: char| {
        let items = column.items.get(&separator).filter(|items| !items.is_empty())?;
        let others = columns.iter().zip(roles).filter(|(other, role)| {
            other.name != column.name && matches!(role, Role::Categorical { .. })
        });
        let common = others.map(|(other, _)| (items.intersection(&other.keys).count(), other));
        let (n, other) = common.max_by_key(|(n, _)| *n)?;
        (2 * n >= items.len()).then(|| other.name.clone())
    };
    if column.lists > 0 {
        return Some(Role::Sequence { separator: None, shares: shares(SEPARATORS[0]) });
    }
    for (i, separator) in SEPARATORS.into_iter().enumerate() {
        if 5 * column.separated[i] < column.present() || column.separated[i] == 0 {
            continue;
        }
        let shares = shares(separator);
        // A comma or a blank may be a part of a name; a bar or a semicolon hardly is.
        if i < 2 || shares.is_some() {
            return Some(Role::Sequence { separator: Some(separator), shares });
        }
    }
    None
}
