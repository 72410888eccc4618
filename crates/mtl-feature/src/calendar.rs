//! Dates and days since 1 January 1970, by the Gregorian calendar.
//!
//! Years begin in March here, so that the leap day is the last of a year; eras have 400 years.

const DAYS_OF_ERA: i64 = 146_097;

/// From 1 March of the year 0 to 1 January 1970.
const DAYS_TO_1970: i64 = 719_468;

/// The date so many days after 1 January 1970, such as `2022-05-01`.
pub fn iso_date(days: i32) -> String {
    let (year, month, day) = date_of(days.into());
    format!("{year:04}-{month:02}-{day:02}")
}

/// The year, month and day of the date so many days after 1 January 1970.
pub fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_1970;
    let (era, day) = (days.div_euclid(DAYS_OF_ERA), days.rem_euclid(DAYS_OF_ERA));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year + era * 400 + next, month, day)
}

/// The days from 1 January 1970 to a date; `None` if there is no such date.
pub fn days_of(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=length).contains(&day) || !(0..=9999).contains(&year) {
        return None;
    }
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let day = 365 * year + year / 4 - year / 100 + (153 * month + 2) / 5 + day - 1;
    Some(era * DAYS_OF_ERA + day - DAYS_TO_1970)
}

/// The day of the week, 0 for Monday.
pub fn weekday(days: i64) -> i64 {
    // 1 January 1970 was a Thursday.
    (days + 3).rem_euclid(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_dates() {
        for (days, date) in [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (11_016, "2000-02-29"),
            (11_017, "2000-03-01"),
            (19_113, "2022-05-01"),
            (-25_567, "1900-01-01"),
        ] {
            assert_eq!(iso_date(days), date);
        }
    }

    #[test]
    fn dates_are_days() {
        for days in (-60_000..60_000).step_by(7) {
            let date = iso_date(days);
            let [year, month, day]: [i64; 3] = date
                .split('-')
                .map(|part| part.parse().unwrap())
                .collect::<Vec<_>>()
                .try_into()
                .unwrap();
            assert_eq!(days_of(year, month, day), Some(days.into()), "{date}");
        }
        assert_eq!(days_of(2022, 2, 29), None);
        assert_eq!(days_of(2024, 2, 29), Some(19_782));
        assert_eq!(days_of(2022, 13, 1), None);
        assert_eq!(days_of(2022, 4, 31), None);
    }

    #[test]
    fn the_first_of_may_2022_was_a_sunday() {
        assert_eq!(weekday(19_113), 6);
        assert_eq!(weekday(-1), 2);
    }
}
