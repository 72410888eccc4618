//! Local time: so far ahead of UTC, all year or as the law of a place says.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZoneDatabase;
use serde::{Deserialize, Serialize};

use crate::{UtcOffset, nearest_names};

/// What an instant is brought to before it is split into parts: an offset from UTC, such as `+08:00`,
/// or a zone of the tz database by its name, such as `Europe/Berlin`, with its summer times.
///
/// The database is a part of the program; nothing of the machine's own is read.
///
/// ```
/// use mtl_feature::TimeZone;
///
/// let berlin = TimeZone::try_from("europe/berlin".to_owned())?;
/// assert_eq!(berlin.to_string(), "Europe/Berlin");
/// let error = TimeZone::try_from("Europe/Berln".to_owned()).unwrap_err();
/// assert!(error.ends_with("did you mean `Europe/Berlin`?"));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeZone(Rule);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Fixed(UtcOffset),
    Named(jiff::tz::TimeZone),
}

impl TimeZone {
    /// Seconds that local time is ahead of UTC at an instant, in seconds since 1970.
    pub(crate) fn ahead(&self, instant: i64) -> i64 {
        match &self.0 {
            Rule::Fixed(offset) => offset.seconds(),
            Rule::Named(zone) => {
                // Beyond the year 9999 no law is known.
                Timestamp::from_second(instant).map_or(0, |at| zone.to_offset(at).seconds().into())
            }
        }
    }
}

impl From<UtcOffset> for TimeZone {
    fn from(offset: UtcOffset) -> Self {
        Self(Rule::Fixed(offset))
    }
}

impl TryFrom<String> for TimeZone {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if let Ok(offset) = UtcOffset::try_from(text.clone()) {
            return Ok(offset.into());
        }
        let zones = TimeZoneDatabase::bundled();
        zones.get(&text).map(|zone| Self(Rule::Named(zone))).map_err(|_| unknown(&text, &zones))
    }
}

fn unknown(text: &str, zones: &TimeZoneDatabase) -> String {
    let names: Vec<String> = zones.available().map(|name| name.to_string()).collect();
    let city = |name: &&String| {
        let last = name.rsplit('/').next().unwrap_or(name);
        last.eq_ignore_ascii_case(&text.trim().replace(' ', "_"))
    };
    let of_city = names.iter().find(city).cloned();
    let nearest = of_city.or_else(|| nearest_names(text, &names).into_iter().next());
    let hint = nearest.map_or(String::new(), |name| format!("; did you mean `{name}`?"));
    format!(
        "found `{text}`, expected an offset from UTC, such as \"+08:00\" or \"Z\", or a time zone, \
         such as \"Europe/Berlin\"{hint}"
    )
}

impl From<TimeZone> for String {
    fn from(zone: TimeZone) -> Self {
        zone.to_string()
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Rule::Fixed(offset) => offset.fmt(f),
            Rule::Named(zone) => f.write_str(zone.iana_name().unwrap_or("UTC")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(text: &str) -> Result<TimeZone, String> {
        TimeZone::try_from(text.to_owned())
    }

    #[test]
    fn clocks_change_at_the_second_that_the_law_says() {
        for (name, instant, before, after) in [
            // 29 March 2026, 1:00 UTC, and 25 October.
            ("Europe/Berlin", 1_774_746_000, 3600, 7200),
            ("Europe/Berlin", 1_792_890_000, 7200, 3600),
            // The last summer time of São Paulo ended on 17 February 2019.
            ("America/Sao_Paulo", 1_550_368_800, -7200, -10_800),
            // Half an hour, on 5 April 2026.
            ("Australia/Lord_Howe", 1_775_314_800, 39_600, 37_800),
        ] {
            let zone = zone(name).unwrap();
            assert_eq!((zone.ahead(instant - 1), zone.ahead(instant)), (before, after), "{name}");
        }
        assert_eq!(zone("Asia/Kolkata").unwrap().ahead(0), 19_800);
        assert_eq!(zone("+05:30").unwrap().ahead(1 << 40), 19_800);
        assert_eq!(zone("Europe/Berlin").unwrap().ahead(i64::MAX), 0);
    }

    #[test]
    fn a_zone_is_written_as_it_is_read() {
        for text in ["Europe/Berlin", "UTC", "America/Argentina/Buenos_Aires", "+08:00", "-03:30"] {
            let zone = zone(text).unwrap();
            assert_eq!(zone.to_string(), text);
            let bytes = bincode::serialize(&zone).unwrap();
            assert_eq!(bincode::deserialize::<TimeZone>(&bytes).unwrap(), zone);
        }
        assert_eq!(zone("Z").unwrap().to_string(), "+00:00");
    }

    #[test]
    fn what_is_no_zone_is_refused_with_the_nearest() {
        for (text, hint) in [
            ("Europe/Berln", "; did you mean `Europe/Berlin`?"),
            ("europe-berlin", "; did you mean `Europe/Berlin`?"),
            ("Rome", "; did you mean `Europe/Rome`?"),
            ("new york", "; did you mean `America/New_York`?"),
        ] {
            let error = zone(text).unwrap_err();
            assert!(error.starts_with(&format!("found `{text}`, expected an offset")), "{error}");
            assert!(error.ends_with(hint), "{error}");
        }
        for text in ["", "+24:00", "é", "xyzzy"] {
            assert!(zone(text).unwrap_err().starts_with(&format!("found `{text}`")), "{text}");
        }
    }
}
