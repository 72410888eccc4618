//! Tables of a configuration into types, with a suggestion for a mistyped key.

use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// Reads a TOML table into a type. `section` names the table in messages.
///
/// # Errors
/// [`Error::Config`]; for an unknown key or value it suggests the nearest that there is.
pub fn parse_table<T: DeserializeOwned>(table: toml::Table, section: &str) -> Result<T> {
    toml::Value::Table(table.clone())
        .try_into()
        .map_err(|error: toml::de::Error| Error::config(section, explain(&error, &table)))
}

/// One line: serde's message, with the key that it is about and the nearest of the names it lists.
fn explain(error: &toml::de::Error, table: &toml::Table) -> String {
    let message = in_words(&error.message().trim().replace('\n', " "));
    let unknown = message.starts_with("unknown field") || message.starts_with("unknown variant");
    let mut names = message.split('`').skip(1).step_by(2);
    match (unknown, names.next()) {
        (true, Some(name)) => {
            let known: Vec<&str> = names.collect();
            match mtl_feature::nearest_names(name, &known).first() {
                Some(nearest) => format!("{message}; did you mean `{nearest}`?"),
                None => message,
            }
        }
        _ => match key(error).or_else(|| place_of_missing(&message, table)) {
            Some(key) => format!("`{key}`: {message}"),
            None => message,
        },
    }
}

/// What serde calls by a type of the program.
fn in_words(message: &str) -> String {
    let words = [
        ("usize", "a whole number of at least 0"),
        ("u64", "a whole number of at least 0"),
        ("u32", "a whole number from 0 to 4294967295"),
        ("i64", "a whole number"),
        ("f64", "a number"),
        ("f32", "a number"),
    ];
    let said = |(name, words): (&str, &str)| {
        let start = message.strip_suffix(name)?.strip_suffix("expected ")?;
        Some(format!("{start}expected {words}"))
    };
    words.into_iter().find_map(said).unwrap_or_else(|| message.to_owned())
}

/// Where a field is missing, if serde does not say: it loses the place inside a tagged enum. It is
/// an innermost table without that field.
fn place_of_missing(message: &str, table: &toml::Table) -> Option<String> {
    let field = message.strip_prefix("missing field `")?.split('`').next()?;
    let mut found = Vec::new();
    collect_lacking(table, field, "", &mut found);
    (!found.is_empty()).then(|| found.join("` or `"))
}

fn collect_lacking(table: &toml::Table, field: &str, path: &str, found: &mut Vec<String>) {
    let inner: Vec<_> =
        table.iter().filter_map(|(key, value)| Some((key, value.as_table()?))).collect();
    if inner.is_empty() && !path.is_empty() && !table.contains_key(field) {
        found.push(path.to_owned());
    }
    for (key, value) in inner {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        collect_lacking(value, field, &path, found);
    }
}

/// The key of an error in a table that has no text to point at: the last line of its display.
fn key(error: &toml::de::Error) -> Option<String> {
    let text = error.to_string();
    let key = text.lines().last()?.strip_prefix("in `")?.strip_suffix('`')?;
    Some(key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_value_is_answered_with_its_key() {
        let table = "experts = 'many'".parse::<toml::Table>().unwrap();
        let error = parse_table::<mtl_arch::ArchitectureConfig>(table, "model").unwrap_err();
        let expected = "[model] `experts`: invalid type: string \"many\", expected \
                        a whole number of at least 0";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_missing_field_is_answered_with_its_table() {
        let table = "schedule = { kind = 'constant' }\ndense = { lr = 0.1 }";
        let table = table.parse::<toml::Table>().unwrap();
        let error = parse_table::<mtl_nn::OptimiserConfig>(table, "train.optimiser").unwrap_err();
        assert_eq!(error.to_string(), "[train.optimiser] `dense`: missing field `kind`");
    }

    #[test]
    fn a_mistyped_key_is_answered_with_the_nearest() {
        let table = "experst = 3".parse::<toml::Table>().unwrap();
        let error = parse_table::<mtl_arch::ArchitectureConfig>(table, "model").unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with("[model] unknown field `experst`"), "{message}");
        assert!(message.ends_with("did you mean `experts`?"), "{message}");
    }
}
