//! Where axes are marked, and with what.
//!
//! Values are marked at multiples of 1, 2 or 5 times a power of ten (Heckbert, "Nice Numbers for
//! Graph Labels", Graphics Gems, 1990), times at the steps that clocks and calendars have, in the
//! chart's zone.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::scale::Scale;

/// A mark: where, and what is written at it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tick<T> {
    pub(crate) at: T,
    pub(crate) label: String,
}

/// No axis has more marks than this.
const TICKS_MAX: usize = 64;

/// The marks of values from `low` to `high`, about `count` of them.
pub(crate) fn of_values(scale: Scale, low: f64, high: f64, count: usize) -> Vec<Tick<f64>> {
    let ticks = match scale {
        Scale::Linear => linear(low, high, count),
        Scale::Logarithmic => {
            let ticks = decades(low, high, count);
            // Less than two decades have too few powers of ten.
            if ticks.len() >= 2 { ticks } else { linear(low, high, count) }
        }
    };
    ticks.into_iter().filter(|tick| scale.can_show(tick.at)).collect()
}

fn linear(low: f64, high: f64, count: usize) -> Vec<Tick<f64>> {
    let rough = (high / 2.0 - low / 2.0) / count.max(1) as f64 * 2.0;
    let exponent = rough.log10().floor();
    let power = 10_f64.powf(exponent);
    let step = match rough / power {
        part if part <= 1.0 => power,
        part if part <= 2.0 => 2.0 * power,
        part if part <= 5.0 => 5.0 * power,
        _ => 10.0 * power,
    };
    let first = (low / step).ceil();
    let is_sensible = step.is_finite() && step > 0.0 && first.is_finite() && first.abs() < 1e15;
    if !is_sensible {
        let label = |at: f64| Tick { at, label: short(at) };
        return vec![label(low), label(high)];
    }
    let decimals = if step >= 1.0 { 0 } else { (-step.log10().floor()).clamp(0.0, 300.0) as usize };
    let ticks = (0..TICKS_MAX).map(|n| (first + n as f64) * step);
    ticks.take_while(|at| *at <= high).map(|at| Tick { at, label: number(at, decimals) }).collect()
}

fn decades(low: f64, high: f64, count: usize) -> Vec<Tick<f64>> {
    let (first, last) = (low.log10().ceil() as i32, high.log10().floor() as i32);
    let step = ((last - first).max(0) as usize / count.max(1) + 1).min(TICKS_MAX);
    let powers = (first..=last).step_by(step).map(|exponent| 10_f64.powi(exponent));
    powers.map(|at| Tick { at, label: short(at) }).collect()
}

/// A number with so many decimals, or with an exponent where that is shorter.
fn number(value: f64, decimals: usize) -> String {
    let value = if value == 0.0 { 0.0 } else { value };
    if decimals > 6 || value.abs() >= 1e7 {
        return short(value);
    }
    format!("{value:.decimals$}")
}

fn short(value: f64) -> String {
    if value == 0.0 || (1e-4..1e7).contains(&value.abs()) {
        return ((value * 1e6).round() / 1e6).to_string();
    }
    let text = format!("{value:.3e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let digits = digits.trim_end_matches('0').trim_end_matches('.');
            format!("{digits}e{exponent}")
        }
        None => text,
    }
}

const SECOND_NS: i64 = 1_000_000_000;
const DAY_S: i64 = 86_400;
/// Steps within a day: seconds.
const SECONDS: [i64; 17] =
    [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200];
/// Steps of days.
const DAYS: [i64; 4] = [1, 2, 7, 14];
/// Steps of months.
const MONTHS: [i64; 11] = [1, 3, 6, 12, 24, 60, 120, 240, 600, 1_200, 2_400];

/// The marks of a span of time, no more than `count` of them, and what all of them leave out: the
/// date where times of day are marked.
pub(crate) fn of_times(span_ns: (i64, i64), zone: &TimeZone, count: usize) -> Vec<Tick<i64>> {
    let length_ns = span_ns.0.abs_diff(span_ns.1);
    let rough_ns = (length_ns / count.max(1) as u64).max(1);
    if rough_ns <= SECOND_NS as u64 / 2 {
        return below_a_second(span_ns, zone, rough_ns);
    }
    let rough_s = rough_ns.div_ceil(SECOND_NS as u64) as i64;
    if let Some(step) = SECONDS.iter().find(|step| **step >= rough_s) {
        return of_day(span_ns, zone, *step);
    }
    let rough_days = (rough_s + DAY_S - 1) / DAY_S;
    if let Some(step) = DAYS.iter().find(|step| **step >= rough_days) {
        return of_days(span_ns, zone, *step);
    }
    let rough_months = (rough_days + 27) / 28;
    let step = MONTHS.iter().find(|step| **step >= rough_months).unwrap_or(&MONTHS[10]);
    of_months(span_ns, zone, *step)
}

fn zoned(time_ns: i64, zone: &TimeZone) -> Zoned {
    let timestamp = Timestamp::from_nanosecond(i128::from(time_ns)).unwrap_or_default();
    timestamp.to_zoned(zone.clone())
}

fn nanosecond(zoned: &Zoned) -> Option<i64> {
    i64::try_from(zoned.timestamp().as_nanosecond()).ok()
}

fn below_a_second(span_ns: (i64, i64), zone: &TimeZone, rough_ns: u64) -> Vec<Tick<i64>> {
    let powers = (0..9).map(|exponent| 10_i64.pow(exponent));
    let mut steps = powers.flat_map(|power| [power, 2 * power, 5 * power]);
    let step = steps.find(|step| *step as u64 >= rough_ns).unwrap_or(SECOND_NS);
    let digits = 9 - step.ilog10() as usize;
    let first = span_ns.0.div_euclid(step).saturating_mul(step);
    let times = (0..=TICKS_MAX as i64).map(|n| first.saturating_add(n * step));
    let times = times.filter(|time| (span_ns.0..=span_ns.1).contains(time));
    let label = |at: i64| {
        let fraction = at.rem_euclid(SECOND_NS) / 10_i64.pow(9 - digits as u32);
        format!("{}.{fraction:0digits$}", zoned(at, zone).strftime("%H:%M:%S"))
    };
    let mut ticks: Vec<Tick<i64>> = times.map(|at| Tick { at, label: label(at) }).collect();
    ticks.dedup_by_key(|tick| tick.at);
    ticks
}

/// Days from the one of a time on, with the first nanosecond of each.
fn days(from_ns: i64, zone: &TimeZone) -> impl Iterator<Item = Date> {
    let date = zoned(from_ns, zone).date();
    std::iter::successors(Some(date), |date| date.tomorrow().ok())
}

fn push(ticks: &mut Vec<Tick<i64>>, span_ns: (i64, i64), at: Option<Zoned>, label: &str) {
    let Some(zoned) = at else { return };
    let Some(at) = nanosecond(&zoned) else { return };
    let is_new = ticks.last().is_none_or(|last| last.at < at);
    if is_new && (span_ns.0..=span_ns.1).contains(&at) {
        ticks.push(Tick { at, label: zoned.strftime(label).to_string() });
    }
}

/// Marks at times of day; midnight is marked with the date.
fn of_day(span_ns: (i64, i64), zone: &TimeZone, step_s: i64) -> Vec<Tick<i64>> {
    let label = if step_s < 60 { "%H:%M:%S" } else { "%H:%M" };
    let mut ticks = Vec::new();
    let first_s = zoned(span_ns.0, zone);
    let first_s = i64::from(first_s.hour()) * 3_600 + i64::from(first_s.minute()) * 60;
    for (n, date) in days(span_ns.0, zone).enumerate().take(TICKS_MAX) {
        // On the first day only what comes after its beginning is looked at.
        let from = if n == 0 { first_s / step_s * step_s } else { 0 };
        for second in (from..DAY_S).step_by(step_s as usize) {
            let (hour, rest) = ((second / 3_600) as i8, second % 3_600);
            let civil = date.at(hour, (rest / 60) as i8, (rest % 60) as i8, 0);
            let at = civil.to_zoned(zone.clone()).ok();
            if at.as_ref().and_then(nanosecond).is_none_or(|at| at > span_ns.1) {
                return ticks;
            }
            push(&mut ticks, span_ns, at, if second == 0 { "%m-%d" } else { label });
            if ticks.len() >= TICKS_MAX {
                return ticks;
            }
        }
    }
    ticks
}

fn of_days(span_ns: (i64, i64), zone: &TimeZone, step: i64) -> Vec<Tick<i64>> {
    let mut ticks = Vec::new();
    let epoch = Date::constant(2000, 1, 3);
    for date in days(span_ns.0, zone).take(15 * TICKS_MAX) {
        let number = (date - epoch).get_days();
        if i64::from(number).rem_euclid(step) == 0 {
            let at = date.to_zoned(zone.clone()).ok();
            if at.as_ref().and_then(nanosecond).is_none_or(|at| at > span_ns.1) {
                break;
            }
            push(&mut ticks, span_ns, at, "%m-%d");
        }
    }
    ticks
}

fn of_months(span_ns: (i64, i64), zone: &TimeZone, step: i64) -> Vec<Tick<i64>> {
    let mut ticks = Vec::new();
    let first = zoned(span_ns.0, zone).date();
    let month = i64::from(first.year()) * 12 + i64::from(first.month()) - 1;
    for n in 0..=TICKS_MAX as i64 {
        let month = (month.div_euclid(step) + n) * step;
        let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
        let date = i16::try_from(year).ok().and_then(|year| Date::new(year, month as i8, 1).ok());
        let Some(date) = date else { break };
        let at = date.to_zoned(zone.clone()).ok();
        push(&mut ticks, span_ns, at, if step < 12 { "%Y-%m" } else { "%Y" });
    }
    ticks
}

/// A span of time in words: both ends, and the zone.
pub(crate) fn described(span_ns: (i64, i64), zone: &TimeZone) -> String {
    let (first, last) = (zoned(span_ns.0, zone), zoned(span_ns.1, zone));
    let name = zone.iana_name().unwrap_or("UTC");
    let time = |at: &Zoned| at.strftime("%Y-%m-%d %H:%M:%S").to_string();
    match first.date() == last.date() {
        true => format!("{} to {} {name}", time(&first), last.strftime("%H:%M:%S")),
        false => format!("{} to {} {name}", time(&first), time(&last)),
    }
}
