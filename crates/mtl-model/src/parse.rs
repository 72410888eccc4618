//! Tables of a configuration into types, with a suggestion for a mistyped key.

use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// Reads a TOML table into a type. `section` names the table in messages.
///
/// # Errors
/// [`Error::Config`]; for an unknown key or value it suggests the nearest that there is.
pub fn parse_table<T: DeserializeOwned>(table: toml::Table, section: &str) -> Result<T> {
    toml::Value::Table(table)
        .try_into()
        .map_err(|error: toml::de::Error| Error::config(section, explain(&error)))
}

/// One line: serde's message, with the key that it is about and the nearest of the names it lists.
fn explain(error: &toml::de::Error) -> String {
    let message = error.message().trim().replace('\n', " ");
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
        _ => match key(error) {
            Some(key) => format!("`{key}`: {message}"),
            None => message,
        },
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
        let expected = "[model] `experts`: invalid type: string \"many\", expected usize";
        assert_eq!(error.to_string(), expected);
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
