//! The settings of the funnel, checked.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The settings of the funnel.
///
/// | key | default | purpose | range |
/// |---|---|---|---|
/// | `rows` | 250,000 | impressions | ≥ 10 |
/// | `users` | 10,000 | users | 1 to 2³¹ |
/// | `items` | 2,000 | items | 1 to 2³¹ |
/// | `click_rate` | .1 | P(click), mean over all impressions | .001 to .999 |
/// | `action_rate` | .3 | P(action if clicked), mean over all impressions | .001 to .999 |
/// | `purchase_rate` | .1 | P(purchase if clicked), mean over all impressions | .001 to .999 |
/// | `selection_strength` | 1 | how much clicks depend on what drives purchases | −5 to 5 |
/// | `unobserved_share` | 0 | the share of that which no feature shows | 0 to 1 |
/// | `feature_correlation` | .9 | of a feature with the factor that it looks at | 0 to 1 |
/// | `position_bias` | .5 | log-odds of a click lost for ln(1 + position) | 0 to 5 |
/// | `drift` | .8 | how much of an item's popularity comes and goes | 0 to .95 |
/// | `seed` | 1 | another seed is another world | |
///
/// The rates hold whatever the selection: it changes who clicks, not how many, and nothing about
/// what follows a click. They are met to about 1 %.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Impressions.
    pub rows: u64,
    /// Users.
    pub users: usize,
    /// Items.
    pub items: usize,
    /// P(click), mean over all impressions.
    pub click_rate: f64,
    /// P(action if clicked), mean over all impressions.
    pub action_rate: f64,
    /// P(purchase if clicked), mean over all impressions.
    pub purchase_rate: f64,
    /// How much clicks depend on what drives purchases.
    pub selection_strength: f64,
    /// The share of what drives both that no feature shows.
    pub unobserved_share: f64,
    /// Correlation of a feature with the factor that it looks at.
    pub feature_correlation: f64,
    /// Log-odds of a click lost for ln(1 + position).
    pub position_bias: f64,
    /// How much of an item's popularity comes and goes.
    pub drift: f64,
    /// Another seed is another world.
    pub seed: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rows: 250_000,
            users: 10_000,
            items: 2_000,
            click_rate: 0.1,
            action_rate: 0.3,
            purchase_rate: 0.1,
            selection_strength: 1.0,
            unobserved_share: 0.0,
            feature_correlation: 0.9,
            position_bias: 0.5,
            drift: 0.8,
            seed: 1,
        }
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<()> {
        let wrong = |key, value: String, expected: String| {
            Err(Error::Generator { generator: "funnel", key, value, expected })
        };
        if self.rows < 10 {
            return wrong("rows", self.rows.to_string(), "at least 10, one a day".to_owned());
        }
        for (key, value) in [("users", self.users), ("items", self.items)] {
            if value == 0 || value > 1 << 31 {
                return wrong(key, value.to_string(), "1 to 2147483648".to_owned());
            }
        }
        for (key, value, least, most) in [
            ("click_rate", self.click_rate, 0.001, 0.999),
            ("action_rate", self.action_rate, 0.001, 0.999),
            ("purchase_rate", self.purchase_rate, 0.001, 0.999),
            ("selection_strength", self.selection_strength, -5.0, 5.0),
            ("unobserved_share", self.unobserved_share, 0.0, 1.0),
            ("feature_correlation", self.feature_correlation, 0.0, 1.0),
            ("position_bias", self.position_bias, 0.0, 5.0),
            ("drift", self.drift, 0.0, 0.95),
        ] {
            if !(least..=most).contains(&value) {
                return wrong(key, value.to_string(), format!("{least} to {most}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_named() {
        let check = |config: Config, expected: &str| {
            assert_eq!(config.check().unwrap_err().to_string(), expected);
        };
        assert!(Config::default().check().is_ok());
        let config = Config { rows: 3, ..Config::default() };
        check(config, "funnel: `rows` is 3, expected at least 10, one a day");
        let config = Config { users: 0, ..Config::default() };
        check(config, "funnel: `users` is 0, expected 1 to 2147483648");
        let config = Config { drift: f64::NAN, ..Config::default() };
        check(config, "funnel: `drift` is NaN, expected 0 to 0.95");
        let config = Config { purchase_rate: 0.0, ..Config::default() };
        check(config, "funnel: `purchase_rate` is 0, expected 0.001 to 0.999");
    }

    #[test]
    fn settings_read_from_toml_and_a_wrong_key_is_named() {
        let config: Config = toml::from_str("rows = 1000\nunobserved_share = 0.5").unwrap();
        let expected = Config { rows: 1000, unobserved_share: 0.5, ..Config::default() };
        assert_eq!(config, expected);
        assert!(toml::from_str::<Config>("selection = 1").is_err());
    }
}
