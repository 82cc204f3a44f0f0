//! Five-field cron in a time zone, as crontab(5) means it: when both day fields are restricted, either of them suffices.
//!
//! Our own: the libraries that build on jiff take seconds and years too, count weekdays from 1, and join the two day fields.

use jiff::civil::{DateTime, time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// When something recurs.
#[derive(Debug, Clone)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    any_day: bool,
    any_weekday: bool,
    zone: TimeZone,
}

/// What is wrong with a schedule.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CronError {
    #[error(
        "failed to read the schedule {0:?}: five fields are needed (minute hour day month weekday), such as \"30 4 * * 1-5\""
    )]
    Fields(String),
    #[error(
        "failed to read the schedule's {field} {text:?}: use numbers from {low} to {high}, *, lists (1,3), ranges (1-5) and steps (*/10)"
    )]
    Field { field: &'static str, text: String, low: u8, high: u8 },
    #[error("failed to find the time zone {0:?}: use an IANA name such as Europe/Berlin")]
    Zone(String),
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Cron {
    pub fn parse(text: &str, zone: &str) -> Result<Self, CronError> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err(CronError::Fields(text.to_owned()));
        };
        let zone = if zone == "Etc/UTC" || zone == "UTC" {
            TimeZone::UTC
        } else {
            TimeZone::get(zone).map_err(|_| CronError::Zone(zone.to_owned()))?
        };
        let mut weekday_bits = field("weekday", weekdays, 0, 7, &WEEKDAYS, 0)?;
        // Sunday is 0 and 7.
        weekday_bits |= weekday_bits >> 7 & 1;
        Ok(Self {
            minutes: field("minute", minutes, 0, 59, &[], 0)?,
            hours: field("hour", hours, 0, 23, &[], 0)?,
            days: field("day", days, 1, 31, &[], 0)?,
            months: field("month", months, 1, 12, &MONTHS, 1)?,
            weekdays: weekday_bits,
            any_day: days.starts_with('*'),
            any_weekday: weekdays.starts_with('*'),
            zone,
        })
    }

    fn on(&self, day: DateTime) -> bool {
        let of_month = has(self.days, day.day() as u8);
        let of_week = has(self.weekdays, day.weekday().to_sunday_zero_offset() as u8);
        let is_day = match (self.any_day, self.any_weekday) {
            (false, false) => of_month || of_week,
            _ => of_month && of_week,
        };
        has(self.months, day.month() as u8) && is_day
    }

    /// The next moment after `from`; none within five years. Local times that a change of the clock skips fall on the moment after it.
    pub fn after(&self, from: Timestamp) -> Option<Timestamp> {
        let mut day = self.zone.to_datetime(from).with().time(time(0, 0, 0, 0)).build().ok()?;
        for _ in 0..5 * 366 {
            if self.on(day) {
                for hour in (0..24).filter(|hour| has(self.hours, *hour)) {
                    for minute in (0..60).filter(|minute| has(self.minutes, *minute)) {
                        let local = day.with().hour(hour as i8).minute(minute as i8).build().ok()?;
                        let moment = self.zone.to_ambiguous_timestamp(local).compatible().ok()?;
                        if moment > from {
                            return Some(moment);
                        }
                    }
                }
            }
            day = day.checked_add(1.day()).ok()?;
        }
        None
    }

    /// The last moment at or before `until`, not older than `since`.
    pub fn last(&self, since: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let mut found = None;
        let mut at = since.checked_sub(1.second()).ok()?;
        // More than a few thousand within the span means every minute of days: the last one is found all the same.
        for _ in 0..20_000 {
            match self.after(at) {
                Some(next) if next <= until => {
                    found = Some(next);
                    at = next;
                }
                _ => return found,
            }
        }
        found
    }
}

fn has(bits: u64, value: u8) -> bool {
    bits >> value & 1 == 1
}

fn field(name: &'static str, text: &str, low: u8, high: u8, names: &[&str], first: u8) -> Result<u64, CronError> {
    let wrong = || CronError::Field { field: name, text: text.to_owned(), low, high };
    let value = |part: &str| -> Option<u8> {
        let by_name = names.iter().position(|name| part.eq_ignore_ascii_case(name)).map(|at| at as u8 + first);
        by_name.or_else(|| part.parse().ok()).filter(|value| (low..=high).contains(value))
    };
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<u8>().ok().filter(|step| *step > 0).ok_or_else(wrong)?),
            None => (part, 1),
        };
        let (from, to) = if range == "*" {
            (low, high)
        } else if let Some((from, to)) = range.split_once('-') {
            (value(from).ok_or_else(wrong)?, value(to).ok_or_else(wrong)?)
        } else {
            let from = value(range).ok_or_else(wrong)?;
            (from, if part.contains('/') { high } else { from })
        };
        if from > to {
            return Err(wrong());
        }
        for value in (from..=to).step_by(usize::from(step)) {
            bits |= 1 << value;
        }
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn next(cron: &str, zone: &str, from: &str) -> String {
        Cron::parse(cron, zone).unwrap().after(from.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn fields_mean_what_crontab_means() {
        assert_eq!(next("30 4 * * *", "Etc/UTC", "2026-01-31T05:00:00Z"), "2026-02-01T04:30:00Z");
        assert_eq!(next("*/15 * * * *", "Etc/UTC", "2026-01-31T05:01:10Z"), "2026-01-31T05:15:00Z");
        assert_eq!(next("0 0 29 2 *", "Etc/UTC", "2026-03-01T00:00:00Z"), "2028-02-29T00:00:00Z");
        assert_eq!(next("0 9 * * mon-fri", "Etc/UTC", "2026-11-20T10:00:00Z"), "2026-11-23T09:00:00Z");
        // Either day field suffices when both are restricted: the 13th, or a Friday.
        assert_eq!(next("0 0 13 * 5", "Etc/UTC", "2026-11-10T00:00:00Z"), "2026-11-13T00:00:00Z");
        assert_eq!(next("0 0 13 * 5", "Etc/UTC", "2026-11-13T00:00:00Z"), "2026-11-20T00:00:00Z");
        assert_eq!(next("0 0 * * 7", "Etc/UTC", "2026-11-21T00:00:00Z"), "2026-11-22T00:00:00Z");
        assert_eq!(next("5-10/5 1,2 * * *", "Etc/UTC", "2026-11-21T01:05:00Z"), "2026-11-21T01:10:00Z");
    }

    #[test]
    fn clocks_that_change_neither_skip_nor_repeat_a_day() {
        // Berlin springs forward at 02:00 on 2026-03-29: 02:30 does not exist and falls on 03:30.
        assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z"), "2026-03-29T01:30:00Z");
        // It falls back at 03:00 on 2026-10-25: 02:30 comes twice, the first counts.
        assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z"), "2026-10-25T00:30:00Z");
    }

    #[test]
    fn mistakes_are_named() {
        for (cron, part) in [
            ("* * *", "five fields"),
            ("61 * * * *", "minute"),
            ("* * 0 * *", "day"),
            ("*/0 * * * *", "minute"),
            ("* 9-8 * * *", "hour"),
        ] {
            let error = Cron::parse(cron, "Etc/UTC").unwrap_err().to_string();
            assert!(error.contains(part), "{cron}: {error}");
        }
        assert!(Cron::parse("* * * * *", "Mars/Olympus").unwrap_err().to_string().contains("IANA"));
    }

    #[test]
    fn the_last_moment_of_a_span() {
        let cron = Cron::parse("0 * * * *", "Etc/UTC").unwrap();
        let at = |text: &str| text.parse().unwrap();
        assert_eq!(cron.last(at("2026-01-01T00:30:00Z"), at("2026-01-01T05:10:00Z")), Some(at("2026-01-01T05:00:00Z")));
        assert_eq!(cron.last(at("2026-01-01T00:30:00Z"), at("2026-01-01T00:40:00Z")), None);
    }
}
