//! The formula of a request. What is wrong with it is said in the request's words, not in those of the
//! type that holds it.

use std::collections::BTreeMap;
use std::fmt;

use mtl_model::Fusion;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use crate::optional::OrNull;
use crate::problem::quoted;
use crate::request::Key;

/// `{"product": {output: exponent}}` or `{"sum": {output: weight}}`.
pub(crate) struct Formula;

impl<'de> DeserializeSeed<'de> for Formula {
    type Value = Fusion;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Fusion, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Formula {
    type Value = Fusion;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`fusion` to be an object with `product` or `sum`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fusion, A::Error> {
        // `null` is as good as not given, but twice is twice.
        let (mut product, mut sum) = (None, None);
        while let Some(key) = map.next_key::<Key<'de>>()? {
            let (form, terms) = match key.text() {
                "product" => ("product", &mut product),
                "sum" => ("sum", &mut sum),
                other => {
                    let message =
                        format!("`fusion` has {}, expected `product` or `sum`", quoted(other));
                    return Err(A::Error::custom(message));
                }
            };
            let given = map.next_value_seed(OrNull(Terms(form)))?;
            if terms.replace(given).is_some() {
                return Err(A::Error::custom(format!("`{form}` twice in `fusion`")));
            }
        }
        match (product.flatten(), sum.flatten()) {
            (Some(terms), None) => Ok(Fusion::Product(terms)),
            (None, Some(terms)) => Ok(Fusion::Sum(terms)),
            (found, _) => {
                let found = if found.is_some() { "both" } else { "neither" };
                let message = format!("`fusion` has {found}, expected one of `product` and `sum`");
                Err(A::Error::custom(message))
            }
        }
    }
}

/// Outputs and their exponents or weights.
struct Terms(&'static str);

impl<'de> DeserializeSeed<'de> for Terms {
    type Value = BTreeMap<String, f64>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Terms {
    type Value = BTreeMap<String, f64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`fusion.{}` to be an object of outputs and numbers", self.0)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut terms = BTreeMap::new();
        while let Some(key) = map.next_key::<Key<'de>>()? {
            let output = key.text().to_owned();
            let factor = map.next_value_seed(Factor { form: self.0, output: &output })?;
            if terms.insert(output, factor).is_some() {
                let (form, output) = (self.0, quoted(key.text()));
                return Err(A::Error::custom(format!("{output} twice in `fusion.{form}`")));
            }
        }
        Ok(terms)
    }
}

/// An exponent or a weight.
struct Factor<'a> {
    form: &'static str,
    output: &'a str,
}

impl<'de> DeserializeSeed<'de> for Factor<'_> {
    type Value = f64;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<f64, D::Error> {
        deserializer.deserialize_f64(self)
    }
}

impl Visitor<'_> for Factor<'_> {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = format!("fusion.{}.{}", self.form, self.output);
        write!(f, "{} to be a number", quoted(&place))
    }

    fn visit_f64<E>(self, value: f64) -> Result<f64, E> {
        Ok(value)
    }

    fn visit_i64<E>(self, value: i64) -> Result<f64, E> {
        Ok(value as f64)
    }

    fn visit_u64<E>(self, value: u64) -> Result<f64, E> {
        Ok(value as f64)
    }
}
