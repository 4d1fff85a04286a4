#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn read(format: &str, text: &str) -> Result<i64, TimeError> {
    TimeReader::new(TimeFormat::parse(format).unwrap(), None, None).read(text)
}

fn in_zone(zone: &str) -> TimeReader {
    TimeReader::new(TimeFormat::Iso, None, Some(TimeZone::get(zone).unwrap()))
}

fn utc(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_nanosecond().try_into().unwrap()
}

#[test]
fn decimal_seconds_are_exact_to_the_nanosecond() {
    for (format, text, ns) in [
        ("s", "46408.654976041", 46_408_654_976_041),
        ("s", "1494645243.4715", 1_494_645_243_471_500_000),
        ("s", "0.1", 100_000_000),
        ("s", "-0.000000001", -1),
        ("s", "46408.58950284333", 46_408_589_502_843),
        ("s", "1.4e9", 1_400_000_000_000_000_000),
        ("ms", "1558467126220", 1_558_467_126_220_000_000),
        ("us", "1953613500", 1_953_613_500_000),
        ("ns", "-9223372036854775808", i64::MIN),
        ("ns", "9223372036854775807", i64::MAX),
        ("ns", "0.5", 1),
    ] {
        assert_eq!(read(format, text), Ok(ns), "{format} {text}");
    }
    assert!(matches!(read("s", "9223372037"), Err(TimeError::OutOfRange { .. })));
    for text in ["", "x", "1x", "1.2.3", "e5", "-", ".", "1e", "0x1"] {
        assert!(read("s", text).is_err(), "{text:?}");
    }
}

#[test]
fn iso_times_are_read_as_jiff_reads_them() {
    for text in [
        "2007-08-20T06:52:28Z",
        "2014-01-01T01:00:00+01:00",
        "1969-12-31T23:59:59.999999999Z",
        "2024-02-29T12:00:00.5-09:30",
        "1700-01-01T00:00:00Z",
        "2261-12-31T23:59:59Z",
    ] {
        assert_eq!(read("rfc3339", text), Ok(utc(text)), "{text}");
    }
    assert_eq!(read("rfc3339", "2007-08-20 06:52:28"), Ok(utc("2007-08-20T06:52:28Z")));
    assert_eq!(read("rfc3339", "2007-08-20 06:52"), Ok(utc("2007-08-20T06:52:00Z")));
    assert_eq!(read("rfc3339", "2007-08-20"), Ok(utc("2007-08-20T00:00:00Z")));
    // The midnight that ends a day, and a leap second.
    assert_eq!(read("rfc3339", "2023-12-31 24:00"), Ok(utc("2024-01-01T00:00:00Z")));
    assert_eq!(read("rfc3339", "2023-12-31T24:00:00+01:00"), Ok(utc("2023-12-31T23:00:00Z")));
    assert_eq!(read("rfc3339", "2016-12-31T23:59:60Z"), Ok(utc("2017-01-01T00:00:00Z")));
    assert_eq!(read("rfc3339", "2007-08-20 06:52:28+0130"), Ok(utc("2007-08-20T05:22:28Z")));
}

#[test]
fn dates_that_do_not_exist_are_refused() {
    for text in ["2023-02-29T00:00:00Z", "2023-13-01", "2023-04-31", "2023-01-01T24:00:01Z"] {
        assert!(matches!(read("rfc3339", text), Err(TimeError::NoSuchTime { .. })), "{text}");
    }
    for text in ["2023-1-1", "20230101", "2023-01-01T", "2023-01-01T00:00:00X", "12"] {
        assert!(matches!(read("rfc3339", text), Err(TimeError::NotIso { .. })), "{text}");
    }
    assert!(matches!(read("rfc3339", "2300-01-01T00:00:00Z"), Err(TimeError::OutOfRange { .. })));
}

#[test]
fn every_day_of_four_centuries_has_the_number_that_jiff_gives_it() {
    let mut date = jiff::civil::date(1800, 1, 1);
    let mut days: i64 = date.since(jiff::civil::date(1970, 1, 1)).unwrap().get_days().into();
    while date.year() < 2201 {
        assert_eq!(
            days_from_civil(date.year().into(), date.month().into(), date.day().into()),
            days
        );
        date = date.tomorrow().unwrap();
        days += 1;
    }
}

#[test]
fn patterns_read_the_times_of_real_logs() {
    let of = |pattern: &str, text: &str| read(pattern, text).unwrap();
    assert_eq!(
        of("%d-%b-%Y %H:%M:%S%.f", "24-May-2019 18:11:23.018"),
        utc("2019-05-24T18:11:23.018Z")
    );
    assert_eq!(of("%m/%d/%Y %H:%M:%S", "12/16/2019 14:03:25"), utc("2019-12-16T14:03:25Z"));
    assert_eq!(of("%m/%d/%Y", "12/16/2019"), utc("2019-12-16T00:00:00Z"));
    assert_eq!(
        of("%d/%b/%Y:%H:%M:%S %z", "10/Oct/2000:13:55:36 -0700"),
        utc("2000-10-10T20:55:36Z")
    );
    assert!(matches!(read("%m/%d/%Y", "2019-12-16"), Err(TimeError::NotThePattern { .. })));
    assert!(TimeFormat::parse("%H:%M").is_err(), "a pattern without a date");
    assert!(TimeFormat::parse("%!").is_err());
    assert!(TimeFormat::parse("seconds").is_err());
}

#[test]
fn relative_seconds_count_from_the_start() {
    let start = parse_instant("2020-01-01T00:00:00Z", None).unwrap();
    let mut reader = TimeReader::new(TimeFormat::Epoch(TimeUnit::Seconds), Some(start), None);
    assert_eq!(reader.read("1.25"), Ok(start + 1_250_000_000));
    assert_eq!(reader.read(" -1 "), Ok(start - 1_000_000_000));
}

#[test]
fn a_size_decides_a_unit_only_for_auto_and_once_for_the_file() {
    let mut reader = TimeReader::new(TimeFormat::Auto, None, None);
    assert_eq!(reader.read("1558467126220"), Ok(1_558_467_126_220_000_000));
    assert_eq!(reader.read("5"), Ok(5_000_000));
    assert!(reader.note().unwrap().contains("milliseconds"));
    assert_eq!(read("auto", "1558467126"), Ok(1_558_467_126_000_000_000));
    assert_eq!(read("auto", "2007-08-20T06:52:28Z"), Ok(utc("2007-08-20T06:52:28Z")));
}

#[test]
fn wall_clocks_follow_daylight_saving() {
    let mut paris = in_zone("Europe/Paris");
    assert_eq!(paris.read("2014-01-01 01:00:00"), Ok(utc("2014-01-01T00:00:00Z")));
    assert_eq!(paris.read("2014-07-01 01:00:00"), Ok(utc("2014-06-30T23:00:00Z")));
    let skipped = paris.read("2014-03-30 02:30:00").unwrap_err();
    assert!(skipped.to_string().contains("Europe/Paris"), "{skipped}");
}

#[test]
fn the_repeated_hour_is_the_earlier_one_until_the_clock_steps_back() {
    let mut clock = in_zone("America/Los_Angeles");
    let steps = [
        ("2019-11-03 00:59:00", "2019-11-03T07:59:00Z"),
        ("2019-11-03 01:00:00", "2019-11-03T08:00:00Z"),
        ("2019-11-03 01:59:30", "2019-11-03T08:59:30Z"),
        ("2019-11-03 01:59:29", "2019-11-03T08:59:29Z"),
        ("2019-11-03 01:00:00", "2019-11-03T09:00:00Z"),
        ("2019-11-03 01:00:00", "2019-11-03T09:00:00Z"),
        ("2019-11-03 01:59:59", "2019-11-03T09:59:59Z"),
        ("2019-11-03 02:00:00", "2019-11-03T10:00:00Z"),
    ];
    for (text, expected) in steps {
        assert_eq!(clock.read(text), Ok(utc(expected)), "{text}");
    }
    let mut alone = in_zone("America/Los_Angeles");
    assert_eq!(alone.read("2019-11-03 01:30:00"), Ok(utc("2019-11-03T08:30:00Z")));
}
