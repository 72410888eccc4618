//! Dates and times in parts: what the hour and the weekday say, that a number of seconds does not.

use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::calendar::{date_of, days_of, weekday};
use crate::{Cell, FIRST_KNOWN, MISSING, TimeZone};

/// A part of a date or a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DatePart {
    /// The hour of the day, 24 ids.
    Hour,
    /// The day of the week, 7 ids, from Monday on.
    Weekday,
    /// The hour of the week, 168 ids, from Monday 0 o'clock on.
    HourOfWeek,
    /// The day of the month, 31 ids.
    Day,
    /// The month, 12 ids.
    Month,
    /// How long ago: a number, the days back from the average training row, standardised.
    AgeDays,
}

impl DatePart {
    /// Its name, which follows the feature's: `time.hour`.
    pub const fn name(self) -> &'static str {
        match self {
            DatePart::Hour => "hour",
            DatePart::Weekday => "weekday",
            DatePart::HourOfWeek => "hour_of_week",
            DatePart::Day => "day",
            DatePart::Month => "month",
            DatePart::AgeDays => "age_days",
        }
    }

    /// Number of its values; `None` of a number.
    pub const fn n_values(self) -> Option<usize> {
        match self {
            DatePart::Hour => Some(24),
            DatePart::Weekday => Some(7),
            DatePart::HourOfWeek => Some(168),
            DatePart::Day => Some(31),
            DatePart::Month => Some(12),
            DatePart::AgeDays => None,
        }
    }

    /// The id of a cell: [`MISSING`] of a missing one, and of the hour of a date without a time.
    pub(crate) fn id(self, cell: Cell<'_>, zone: Option<&TimeZone>) -> Result<u32, &'static str> {
        let Some(moment) = moment(cell, zone)? else { return Ok(MISSING) };
        let hour = moment.seconds.map(|seconds| seconds / 3600);
        let (_, month, day) = date_of(moment.days);
        let value = match self {
            DatePart::Hour => hour,
            DatePart::Weekday => Some(weekday(moment.days)),
            DatePart::HourOfWeek => hour.map(|hour| weekday(moment.days) * 24 + hour),
            DatePart::Day => Some(day - 1),
            DatePart::Month | DatePart::AgeDays => Some(month - 1),
        };
        Ok(value.map_or(MISSING, |value| FIRST_KNOWN + value as u32))
    }
}

/// How far local time is ahead of UTC, from −23:59 to +23:59; written `+08:00`, `-03:30` or `Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UtcOffset {
    minutes: i16,
}

impl UtcOffset {
    /// So many minutes ahead of UTC; `None` for a day or more.
    pub fn from_minutes(minutes: i16) -> Option<Self> {
        (minutes.abs() < 24 * 60).then_some(Self { minutes })
    }

    pub(crate) fn seconds(self) -> i64 {
        i64::from(self.minutes) * 60
    }

    /// `Z`, `+08:00`, `+0800` or `+08`.
    fn parse(text: &[u8]) -> Option<Self> {
        let (sign, digits) = match text {
            [b'Z' | b'z'] => return Self::from_minutes(0),
            [b'+', digits @ ..] => (1, digits),
            [b'-', digits @ ..] => (-1, digits),
            _ => return None,
        };
        let (hours, minutes) = match digits {
            [_, _] => (digits, &b"00"[..]),
            [_, _, _, _] => digits.split_at(2),
            [_, _, b':', minutes @ ..] if minutes.len() == 2 => (&digits[..2], minutes),
            _ => return None,
        };
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        let minutes = (minutes < 60).then_some(hours * 60 + minutes)?;
        Self::from_minutes(sign * i16::try_from(minutes).ok()?)
    }
}

impl TryFrom<String> for UtcOffset {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let expected = "expected an offset from UTC, such as \"+08:00\" or \"Z\"";
        Self::parse(text.as_bytes()).ok_or_else(|| format!("found `{text}`, {expected}"))
    }
}

impl From<UtcOffset> for String {
    fn from(offset: UtcOffset) -> Self {
        offset.to_string()
    }
}

impl fmt::Display for UtcOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, size) = (if self.minutes < 0 { '-' } else { '+' }, self.minutes.abs());
        write!(f, "{sign}{:02}:{:02}", size / 60, size % 60)
    }
}

/// A date, and the time of day if it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Moment {
    /// Since 1 January 1970.
    days: i64,
    /// Since midnight.
    seconds: Option<i64>,
}

impl Moment {
    /// The local time of an instant, so many seconds after the beginning of 1970.
    fn of_instant(instant: i64, zone: Option<&TimeZone>) -> Self {
        Self::of_seconds(instant + zone.map_or(0, |zone| zone.ahead(instant)))
    }

    /// So many seconds after the beginning of 1970, all of them local.
    fn of_seconds(seconds: i64) -> Self {
        Self { days: seconds.div_euclid(DAY), seconds: Some(seconds.rem_euclid(DAY)) }
    }
}

const DAY: i64 = 86_400;

/// Days before 1 January 1970 as a cell, so that a later moment is a smaller number; a missing cell
/// stays missing.
pub(crate) fn age(cell: Cell<'_>, zone: Option<&TimeZone>) -> Result<Cell<'static>, &'static str> {
    let days = |m: Moment| m.days as f64 + m.seconds.unwrap_or(0) as f64 / DAY as f64;
    Ok(moment(cell, zone)?.map_or(Cell::Missing, |moment| Cell::Float(-days(moment))))
}

/// Whether a feature of dates and times can read a cell.
pub fn is_datetime(cell: Cell<'_>) -> bool {
    moment(cell, None).is_ok_and(|moment| moment.is_some())
}

/// The instant that a text names, a date being its midnight and what has no offset being in UTC; `None`
/// of a text that is no date and no time, or is a number.
pub fn seconds_since_1970(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.parse::<f64>().is_ok() {
        return None;
    }
    let utc = TimeZone::from(UtcOffset::from_minutes(0)?);
    let Moment { days, seconds } = of_text(text, Some(&utc))?;
    Some(days * DAY + seconds.unwrap_or(0))
}

const EXPECTED: &str = "a date or a time: 2026-11-24, 2026-11-24T18:30:00, 20261124, or seconds or \
                        milliseconds since 1970";

/// The local date and time of a cell. What names an instant, a number or a text with an offset of
/// its own, is brought to `zone` if there is one; else a number is in UTC, and the time of a text
/// is the one that is written.
fn moment(cell: Cell<'_>, zone: Option<&TimeZone>) -> Result<Option<Moment>, &'static str> {
    let integer = |value: i64| of_integer(value, zone).ok_or(EXPECTED);
    match cell {
        Cell::Missing => Ok(None),
        Cell::Integer(value) => integer(value).map(Some),
        Cell::Unsigned(value) => integer(i64::try_from(value).map_err(|_| EXPECTED)?).map(Some),
        Cell::Float(value) => of_float(value, zone).ok_or(EXPECTED).map(Some),
        Cell::Text(text) => of_text(text.trim(), zone).ok_or(EXPECTED).map(Some),
        Cell::Boolean(_) | Cell::List(_) => Err(EXPECTED),
    }
}

/// Seconds since 1970; or, of a number that would lie beyond the year 5138, milliseconds,
/// microseconds or nanoseconds, as Parquet holds them; or a date whose digits are written together.
///
/// Nanoseconds are more than a float holds: integers stay what they are.
fn of_integer(value: i64, zone: Option<&TimeZone>) -> Option<Moment> {
    if TOGETHER.contains(&value) {
        let days = days_of(value / 10_000, value / 100 % 100, value % 100)?;
        return Some(Moment { days, seconds: None });
    }
    let scales = [1, 1_000, 1_000_000, 1_000_000_000].into_iter();
    let mut seconds = scales.map(|scale| value.div_euclid(scale));
    seconds.find(|seconds| seconds.abs() < LARGEST).map(|s| Moment::of_instant(s, zone))
}

fn of_float(value: f64, zone: Option<&TimeZone>) -> Option<Moment> {
    if !value.is_finite() {
        return None;
    }
    if value.fract() == 0.0 && value.abs() < 9e15 {
        return of_integer(value as i64, zone);
    }
    let scales = [1.0, 1e3, 1e6, 1e9].into_iter();
    let seconds = scales.map(|scale| value / scale).find(|s| s.abs() < LARGEST as f64)?;
    Some(Moment::of_instant(seconds.floor() as i64, zone))
}

/// Seconds from 1970 to the year 5138; as milliseconds, to March 1973.
const LARGEST: i64 = 100_000_000_000;

/// Dates such as 20261124. As seconds such numbers would all lie in August 1970.
const TOGETHER: RangeInclusive<i64> = 19_000_101..=21_001_231;

/// A number as text, or ISO 8601: `2026-11-24`, then perhaps `T` or a blank, `18:30`, perhaps `:00`
/// and a fraction, and perhaps an offset.
fn of_text(text: &str, zone: Option<&TimeZone>) -> Option<Moment> {
    if let Ok(value) = text.parse::<i64>() {
        return of_integer(value, zone);
    }
    if let Ok(value) = text.parse::<f64>() {
        return of_float(value, zone);
    }
    let date = text.get(..10)?.as_bytes();
    if date[4] != b'-' || date[7] != b'-' {
        return None;
    }
    let days = days_of(number(&date[..4])?, number(&date[5..7])?, number(&date[8..])?)?;
    let rest = &text[10..];
    if rest.is_empty() {
        return Some(Moment { days, seconds: None });
    }
    let (seconds, own) = of_time(rest.strip_prefix(['T', 't', ' '])?.as_bytes())?;
    Some(match (own, zone) {
        (Some(own), Some(_)) => Moment::of_instant(days * DAY + seconds - own.seconds(), zone),
        _ => Moment { days, seconds: Some(seconds) },
    })
}

/// The seconds since midnight, and the offset if one is written.
fn of_time(time: &[u8]) -> Option<(i64, Option<UtcOffset>)> {
    let two = |at: usize| number(time.get(at..at + 2)?);
    let (hour, minute) = (two(0)?, two(3)?);
    let has_second = time.get(5) == Some(&b':');
    let second = if has_second { two(6)? } else { 0 };
    // The 61st second of a leap minute belongs to its day.
    if hour > 23 || minute > 59 || second > 60 || time[2] != b':' {
        return None;
    }
    let seconds = (hour * 3600 + minute * 60 + second).min(DAY - 1);
    let offset = match &time[if has_second { 8 } else { 5 }..] {
        [b'.' | b',', rest @ ..] => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 { None? } else { &rest[digits..] }
        }
        rest => rest,
    };
    match offset {
        [] => Some((seconds, None)),
        offset => Some((seconds, Some(UtcOffset::parse(offset)?))),
    }
}

/// The number that digits are; nothing else will do.
fn number(digits: &[u8]) -> Option<i64> {
    let are_digits = digits.iter().all(u8::is_ascii_digit);
    are_digits.then(|| digits.iter().fold(0, |n, digit| n * 10 + i64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PARTS: [DatePart; 5] =
        [DatePart::Hour, DatePart::Weekday, DatePart::HourOfWeek, DatePart::Day, DatePart::Month];

    fn parts(cell: Cell<'_>, offset: Option<&str>) -> [u32; 5] {
        let zone = offset.map(|text| TimeZone::try_from(text.to_owned()).unwrap());
        PARTS.map(|part| part.id(cell, zone.as_ref()).unwrap())
    }

    #[test]
    fn every_form_of_one_moment_has_the_same_parts() {
        // 24 November 2026 is a Tuesday.
        let expected = [18 + 2, 1 + 2, 24 + 18 + 2, 23 + 2, 10 + 2];
        for text in [
            "2026-11-24T18:30:15",
            "2026-11-24 18:30",
            "2026-11-24T18:30:15.123Z",
            "2026-11-24T18:30:15,5+08:00",
            "1795545015",
            "1795545015.75",
            "1795545015000",
        ] {
            assert_eq!(parts(Cell::Text(text), None), expected, "{text}");
        }
        assert_eq!(parts(Cell::Float(1_795_545_015.5), None), expected);
        let day = [MISSING, 3, MISSING, 25, 12];
        for date in ["2026-11-24", "20261124"] {
            assert_eq!(parts(Cell::Text(date), Some("+14:00")), day, "{date}");
        }
        assert_eq!(parts(Cell::Integer(20_261_124), None), day);
        assert_eq!(parts(Cell::Missing, None), [MISSING; 5]);
    }

    #[test]
    fn the_first_nanosecond_of_an_hour_is_in_it() {
        // As a float this would be some nanoseconds before 18 o'clock.
        let hour = |ns| DatePart::Hour.id(Cell::Integer(ns), None);
        assert_eq!(hour(1_795_543_200_000_000_001), Ok(20));
        assert_eq!(hour(1_795_543_200_000_000_000), Ok(20));
        assert_eq!(hour(1_795_543_199_999_999_999), Ok(19));
    }

    #[test]
    fn an_offset_moves_what_names_an_instant() {
        let hour_and_day = |text, offset| {
            let [hour, _, _, day, _] = parts(Cell::Text(text), offset);
            (hour - 2, day - 1)
        };
        let shanghai = Some("+08:00");
        assert_eq!(hour_and_day("1795545015", shanghai), (2, 25));
        assert_eq!(hour_and_day("2026-11-24T18:30:15Z", shanghai), (2, 25));
        assert_eq!(hour_and_day("2026-11-24T18:30:15-0330", shanghai), (6, 25));
        assert_eq!(hour_and_day("2026-11-24T18:30:15", shanghai), (18, 24));
        assert_eq!(hour_and_day("2026-11-24T00:30:15+02", Some("Z")), (22, 23));
        assert_eq!(hour_and_day("1795545015", Some("-19:00")), (23, 23));
    }

    #[test]
    fn a_zone_moves_an_instant_as_the_law_of_its_day_says() {
        let berlin = Some("Europe/Berlin");
        let hour_and_day = |text, zone| {
            let [hour, _, _, day, _] = parts(Cell::Text(text), zone);
            (hour - 2, day - 1)
        };
        // The night in which an hour is left out, and the one that has an hour twice.
        assert_eq!(hour_and_day("2026-03-29T00:59:59Z", berlin), (1, 29));
        assert_eq!(hour_and_day("2026-03-29T01:00:00Z", berlin), (3, 29));
        assert_eq!(hour_and_day("2026-10-25T00:30:00Z", berlin), (2, 25));
        assert_eq!(hour_and_day("1792891800", berlin), (2, 25));
        assert_eq!(hour_and_day("2026-10-25T02:30:00Z", berlin), (3, 25));
        // The same hour of UTC is another day in summer.
        assert_eq!(hour_and_day("2026-07-01T22:30:00Z", berlin), (0, 2));
        assert_eq!(hour_and_day("2026-12-01T22:30:00+00:00", berlin), (23, 1));
        // What is written without an offset is local already, an hour that is left out included.
        assert_eq!(hour_and_day("2026-03-29T02:30:00", berlin), (2, 29));
    }

    #[test]
    fn an_offset_is_written_as_it_is_read() {
        let read = |text: &str| UtcOffset::try_from(text.to_owned());
        for (text, written) in
            [("+08:00", "+08:00"), ("-0330", "-03:30"), ("Z", "+00:00"), ("+14", "+14:00")]
        {
            assert_eq!(read(text).unwrap().to_string(), written);
        }
        for text in ["", "8", "+8", "+24:00", "+08:60", "+08:0", "Berlin", "+-1:00", "é+"] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(&format!("found `{text}`, expected an offset")), "{error}");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "today",
            "2026-13-01",
            "2026-02-30",
            "20260230",
            "2026-11-24T25:00",
            "2026-11-24Tx",
            "24.11.2026",
            "2026-11-24T18:30:15 or so",
            "2026-11-24T18:30:15.",
            "2026-11-24T18:30+99:00",
            "1e40",
            "nan",
            "2026-11-2é",
        ] {
            assert_eq!(DatePart::Day.id(Cell::Text(text), None), Err(EXPECTED), "{text}");
        }
        assert_eq!(DatePart::Day.id(Cell::Unsigned(u64::MAX), None), Err(EXPECTED));
        assert_eq!(DatePart::Day.id(Cell::Boolean(true), None), Err(EXPECTED));
    }

    #[test]
    fn age_falls_with_time() {
        let days = |text| match age(Cell::Text(text), None) {
            Ok(Cell::Float(days)) => days,
            other => panic!("{other:?}"),
        };
        assert_eq!(days("2026-11-24") - days("2026-11-25T12:00"), 1.5);
        assert_eq!(age(Cell::Missing, None), Ok(Cell::Missing));
    }

    proptest! {
        /// Seconds, their other units and the text that they are: one moment under any offset.
        #[test]
        fn a_number_is_the_text_that_it_stands_for(
            seconds in 200_000_000_i64..32_000_000_000,
            own in -1439_i16..1440,
            wanted in -1439_i16..1440,
        ) {
            let (own, wanted) = (UtcOffset::from_minutes(own), UtcOffset::from_minutes(wanted));
            let zone = wanted.map(TimeZone::from);
            let wanted = zone.as_ref();
            let expected = moment(Cell::Integer(seconds), wanted);
            let local = Moment::of_seconds(seconds + own.unwrap().seconds());
            let (year, month, day) = date_of(local.days);
            let second = local.seconds.unwrap();
            let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
            let text = format!(
                "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{}",
                own.unwrap()
            );
            prop_assert_eq!(moment(Cell::Text(&text), wanted), expected, "{}", text);
            for scale in [1_000, 1_000_000] {
                prop_assert_eq!(moment(Cell::Integer(seconds * scale), wanted), expected);
            }
        }

        #[test]
        fn no_text_panics(text in "[0-9TZ :+.,é-]{0,30}") {
            let zone = UtcOffset::from_minutes(60).map(TimeZone::from);
            let _ = moment(Cell::Text(&text), zone.as_ref());
        }
    }
}
