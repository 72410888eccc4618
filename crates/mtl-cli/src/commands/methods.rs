//! Loss weightings on the command line: names, or tables with settings as a configuration has them.

use anyhow::Context;
use mtl_loss::WeightingConfig;
use mtl_model::ModelSpec;
use mtl_train::LossConfig;

/// A weighting that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Method {
    /// The name, and the settings that were written beside it: `gradnorm alpha=0.5`.
    pub(crate) label: String,
    weighting: WeightingConfig,
    /// Whether settings were left to who reads the name.
    by_name: bool,
}

impl Method {
    /// Reads what an option was given: lists with commas between, such as
    /// `equal,{ method = "gradnorm", alpha = 0.5 }`.
    ///
    /// # Errors
    /// A method or a setting that there is not, a table that is no TOML, what is named twice.
    pub(crate) fn read(option: &str, lists: &[String]) -> anyhow::Result<Vec<Self>> {
        let mut methods: Vec<Self> = Vec::new();
        for item in lists.iter().flat_map(|list| items(list)) {
            let method = Self::parse(item).with_context(|| option.to_owned())?;
            let twice = methods.iter().any(|other| other.label == method.label);
            anyhow::ensure!(!twice, "{option} names `{}` twice, expected once", method.label);
            methods.push(method);
        }
        Ok(methods)
    }

    /// The method of that name, its settings left open.
    pub(crate) fn named(name: &str) -> anyhow::Result<Self> {
        let (label, weighting) = (name.to_owned(), weighting(name.into())?);
        Ok(Self { label, weighting, by_name: true })
    }

    fn parse(item: &str) -> anyhow::Result<Self> {
        if !item.starts_with('{') {
            return Self::named(item);
        }
        let table: toml::Table =
            toml::from_str(&format!("weighting = {item}")).map_err(|error| {
                let problem = error.message().replace('\n', " ");
                anyhow::anyhow!(
                    "`{item}`: {problem}, expected such as {{ method = \"gradnorm\", alpha = 0.5 }}"
                )
            })?;
        let inside = table.get("weighting").and_then(toml::Value::as_table);
        let settings = inside.into_iter().flatten().filter(|(key, _)| *key != "method");
        let settings: String = settings
            .map(|(key, value)| match value {
                toml::Value::String(text) => format!(" {key}={text}"),
                value => format!(" {key}={value}"),
            })
            .collect();
        let written = inside.cloned().unwrap_or_default();
        let weighting = weighting(toml::Value::Table(written))?;
        Ok(Self { label: format!("{}{settings}", weighting.name()), weighting, by_name: false })
    }

    /// The losses' configuration: `own` with this weighting. A bare name that `own` configures has its
    /// settings from there.
    pub(crate) fn loss(&self, own: &LossConfig) -> LossConfig {
        let configured = own.weighting.as_ref().filter(|w| w.name() == self.weighting.name());
        let weighting = match configured {
            Some(configured) if self.by_name => configured.clone(),
            _ => self.weighting.clone(),
        };
        LossConfig { weighting: Some(weighting), ..own.clone() }
    }

    /// The same, once it fits the losses of a model.
    ///
    /// # Errors
    /// A setting that is out of its range, or names a loss that there is not.
    pub(crate) fn checked(
        &self,
        option: &str,
        own: &LossConfig,
        spec: &ModelSpec,
    ) -> anyhow::Result<LossConfig> {
        let loss = self.loss(own);
        loss.check(&spec.loss_names()?).with_context(|| option.to_owned())?;
        Ok(loss)
    }
}

fn weighting(value: toml::Value) -> anyhow::Result<WeightingConfig> {
    let table = toml::Table::from_iter([("weighting".to_owned(), value)]);
    LossConfig::parse(table)?.weighting.context("expected a weighting")
}

/// The items between commas that no bracket and no quote has inside.
fn items(list: &str) -> Vec<&str> {
    let (mut items, mut start, mut depth, mut quote) = (Vec::new(), 0, 0_usize, None);
    for (at, character) in list.char_indices() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(character),
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                items.push(list[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    items.push(list[start..].trim());
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(list: &str) -> anyhow::Result<Vec<Method>> {
        Method::read("--weightings", &[list.to_owned()])
    }

    #[test]
    fn names_and_tables_are_parted_by_the_commas_outside() -> anyhow::Result<()> {
        assert_eq!(items("a, b,c"), ["a", "b", "c"]);
        assert_eq!(items(r#"{ m = "a,}", w = [1, 2] },b"#), [r#"{ m = "a,}", w = [1, 2] }"#, "b"]);
        let list = r#"equal,{ method = "gradnorm", alpha = 0.5, start = "one" },
            { method = "fixed", weights = { click = 2.0 } },gradnorm"#;
        let labels: Vec<String> = read(list)?.into_iter().map(|method| method.label).collect();
        let expected =
            ["equal", "gradnorm alpha=0.5 start=one", "fixed weights={ click = 2.0 }", "gradnorm"];
        assert_eq!(labels, expected);
        Ok(())
    }

    #[test]
    fn a_bare_name_has_the_settings_that_the_configuration_gives_it() -> anyhow::Result<()> {
        let text = "weighting = { method = 'gradnorm', alpha = 0.25 }\nshared = 'dense'";
        let own = LossConfig::parse(text.parse()?)?;
        let list = r#"gradnorm,pareto,{ method = "gradnorm", alpha = 0.5 }"#;
        let losses: Vec<_> = read(list)?.iter().map(|method| method.loss(&own)).collect();
        assert!(losses.iter().all(|loss| loss.shared == own.shared));
        assert_eq!(losses[0], own);
        assert_eq!(losses[1].name(), "pareto");
        let other = LossConfig::parse(text.replace("0.25", "0.5").parse()?)?;
        assert_eq!(losses[2], other);
        Ok(())
    }

    #[test]
    fn what_cannot_be_asked_for_is_said() {
        for (list, expected) in [
            ("equal,gradnrom", "did you mean `gradnorm`?"),
            ("", "unknown variant ``"),
            ("pareto,equal,pareto", "--weightings names `pareto` twice"),
            ("{ method = 'rlw' },rlw", "--weightings names `rlw` twice"),
            ("{ method = 'gradnorm', alpah = 1 }", "did you mean `alpha`?"),
            ("{ alpha = 1 }", "missing field `method`"),
            ("{ method = 'gradnorm'", "expected such as { method = \"gradnorm\", alpha = 0.5 }"),
        ] {
            let error = format!("{:#}", read(list).unwrap_err());
            assert!(error.contains(expected), "{list}\nfound    {error}\nexpected {expected}");
        }
    }
}
