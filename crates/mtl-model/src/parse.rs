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
        .map_err(|error: toml::de::Error| Error::config(section, explain(error.message())))
}

/// One line: serde's message, with the nearest of the names that it lists.
fn explain(message: &str) -> String {
    let message = message.trim().replace('\n', " ");
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
        _ => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_key_is_answered_with_the_nearest() {
        let table = "experst = 3".parse::<toml::Table>().unwrap();
        let error = parse_table::<mtl_arch::ArchitectureConfig>(table, "model").unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with("[model] unknown field `experst`"), "{message}");
        assert!(message.ends_with("did you mean `experts`?"), "{message}");
    }
}
