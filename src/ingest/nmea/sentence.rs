//! One sentence: `$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A`.

use crate::ingest::time::{Decimal, days_from_civil};
use crate::ingest::value::nibble;
use crate::ingest::{Format, Reason};

/// Metres per second of a knot.
const KNOT: f64 = 1852.0 / 3600.0;

/// What a receiver measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantity {
    Latitude,
    Longitude,
    Speed,
    Course,
    Altitude,
    Satellites,
    Hdop,
    Heading,
}

impl Quantity {
    pub(super) const COUNT: usize = Self::Heading as usize + 1;

    /// The metric's name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Latitude => "latitude",
            Self::Longitude => "longitude",
            Self::Speed => "speed",
            Self::Course => "course",
            Self::Altitude => "altitude",
            Self::Satellites => "satellites",
            Self::Hdop => "hdop",
            Self::Heading => "heading",
        }
    }

    /// The metric's unit.
    pub(super) const fn unit(self) -> &'static str {
        match self {
            Self::Latitude | Self::Longitude | Self::Course | Self::Heading => "deg",
            Self::Speed => "m/s",
            Self::Altitude => "m",
            Self::Satellites | Self::Hdop => "",
        }
    }
}

/// One measured value and where it is in the line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Value {
    pub(super) quantity: Quantity,
    pub(super) number: f64,
    pub(super) at: usize,
}

/// What a sentence says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Reading {
    pub(super) time_of_day_ns: Option<i64>,
    /// Days since 1970.
    pub(super) day: Option<i64>,
    pub(super) values: Vec<Value>,
    /// Fields without a value.
    pub(super) empty: u64,
}

/// A sentence, or a line to pass over.
#[derive(Debug, PartialEq)]
pub(super) enum Parsed {
    Reading(Reading),
    Other,
}

type Fault = (usize, Reason);

fn fault(at: usize, problem: &'static str) -> Fault {
    (at, Reason::syntax(Format::Nmea, problem))
}

/// Parses a line; what is before the `$` (stamps of loggers) is passed over.
pub(super) fn parse(line: &str) -> Result<Parsed, Fault> {
    let bare = line.trim();
    if bare.is_empty() || bare.starts_with('#') {
        return Ok(Parsed::Other);
    }
    let start = line.find(['$', '!']).ok_or_else(|| fault(0, "a sentence starts with $ or !"))?;
    let (body_at, body) = (start + 1, &line[start + 1..]);
    let (body, sum) = body
        .split_once('*')
        .ok_or_else(|| fault(line.trim_end().len(), "the sentence has no checksum"))?;
    let sum_at = body_at + body.len() + 1;
    let stated = match sum.trim_end().as_bytes() {
        [high, low] => nibble(*high).zip(nibble(*low)).map(|(high, low)| high << 4 | low),
        _ => None,
    };
    let stated =
        stated.ok_or_else(|| fault(sum_at, "the checksum is not two hexadecimal digits"))?;
    if body.bytes().fold(0, |sum, byte| sum ^ byte) != stated {
        return Err(fault(sum_at, "the checksum does not fit; the sentence is damaged"));
    }
    let mut fields = Fields::new(body_at, body);
    let (_, address) = fields.get(0);
    // Proprietary sentences start with P; AIS with !.
    if address.starts_with('P') || line[start..].starts_with('!') {
        return Ok(Parsed::Other);
    }
    let kind = address.get(address.len().saturating_sub(3)..).unwrap_or_default();
    match kind {
        "RMC" => fields.rmc()?,
        "GGA" => fields.gga()?,
        "GLL" => fields.gll()?,
        "VTG" => fields.vtg()?,
        "ZDA" => fields.zda()?,
        "HDT" => fields.number(1, Quantity::Heading, 1.0)?,
        _ => return Ok(Parsed::Other),
    }
    Ok(Parsed::Reading(fields.reading))
}

/// The fields of a sentence, and what was read of them.
struct Fields<'a> {
    fields: Vec<(usize, &'a str)>,
    reading: Reading,
}

impl<'a> Fields<'a> {
    fn new(at: usize, body: &'a str) -> Self {
        let mut at = at;
        let place = |field: &'a str| {
            let here = at;
            at += field.len() + 1;
            (here, field)
        };
        Self { fields: body.split(',').map(place).collect(), reading: Reading::default() }
    }

    /// A field and where it is; empty where the sentence is shorter.
    fn get(&self, index: usize) -> (usize, &'a str) {
        let end = self.fields.last().map_or(0, |(at, field)| at + field.len());
        self.fields.get(index).map_or((end, ""), |(at, field)| (*at, field.trim()))
    }

    fn rmc(&mut self) -> Result<(), Fault> {
        if self.get(2).1 != "A" {
            self.reading.empty += 4;
            return Ok(());
        }
        self.time(1)?;
        let (at, date) = self.get(9);
        if !date.is_empty() {
            let part = |range: std::ops::Range<usize>| digits(date.get(range)?);
            let (Some(day), Some(month), Some(year)) = (part(0..2), part(2..4), part(4..6)) else {
                return Err(fault(at, "the date is not DDMMYY"));
            };
            let year = if year < 80 { 2000 + year } else { 1900 + year };
            self.date(at, year, month, day)?;
        }
        self.position(3)?;
        self.number(7, Quantity::Speed, KNOT)?;
        self.number(8, Quantity::Course, 1.0)
    }

    fn gga(&mut self) -> Result<(), Fault> {
        if matches!(self.get(6).1, "" | "0") {
            self.reading.empty += 5;
            return Ok(());
        }
        self.time(1)?;
        self.position(2)?;
        self.number(7, Quantity::Satellites, 1.0)?;
        self.number(8, Quantity::Hdop, 1.0)?;
        self.number(9, Quantity::Altitude, 1.0)
    }

    fn gll(&mut self) -> Result<(), Fault> {
        if self.get(6).1 != "A" {
            self.reading.empty += 2;
            return Ok(());
        }
        self.time(5)?;
        self.position(1)
    }

    fn vtg(&mut self) -> Result<(), Fault> {
        self.number(1, Quantity::Course, 1.0)?;
        if self.get(5).1.is_empty() {
            return self.number(7, Quantity::Speed, 1.0 / 3.6);
        }
        self.number(5, Quantity::Speed, KNOT)
    }

    fn zda(&mut self) -> Result<(), Fault> {
        let of = |index: usize| self.get(index).1;
        if of(1).is_empty() || of(2).is_empty() || of(4).is_empty() {
            return Ok(());
        }
        let (Some(day), Some(month), Some(year)) = (digits(of(2)), digits(of(3)), digits(of(4)))
        else {
            return Err(fault(self.get(2).0, "the date is not day, month, year"));
        };
        self.time(1)?;
        self.date(self.get(2).0, year, month, day)
    }

    /// `hhmmss[.fraction]`.
    fn time(&mut self, index: usize) -> Result<(), Fault> {
        let (at, text) = self.get(index);
        if text.is_empty() {
            return Ok(());
        }
        let wrong = || fault(at, "the time is not hhmmss");
        let part = |range| text.get(range).and_then(digits).ok_or_else(wrong);
        let (hour, minute) = (part(0..2)?, part(2..4)?);
        let seconds = text.get(4..).filter(|text| text.starts_with(|c: char| c.is_ascii_digit()));
        let second_ns = seconds
            .and_then(|text| Decimal::parse(text)?.scaled(9))
            .filter(|second| (0..61_000_000_000).contains(second))
            .ok_or_else(wrong)?;
        if hour > 23 || minute > 59 {
            return Err(wrong());
        }
        self.reading.time_of_day_ns = Some((hour * 60 + minute) * 60_000_000_000 + second_ns);
        Ok(())
    }

    fn date(&mut self, at: usize, year: i64, month: i64, day: i64) -> Result<(), Fault> {
        let date = |number: i64| i8::try_from(number).unwrap_or(-1);
        let year_16 = i16::try_from(year).unwrap_or(-1);
        if jiff::civil::Date::new(year_16, date(month), date(day)).is_err()
            || !(1678..2262).contains(&year)
        {
            return Err(fault(at, "the date does not exist"));
        }
        self.reading.day = Some(days_from_civil(year, month, day));
        Ok(())
    }

    /// `ddmm.mmmm,N,dddmm.mmmm,E`.
    fn position(&mut self, index: usize) -> Result<(), Fault> {
        let axes = [(Quantity::Latitude, "N", "S", 90.0), (Quantity::Longitude, "E", "W", 180.0)];
        for (axis, (quantity, positive, negative, most)) in axes.into_iter().enumerate() {
            let (at, text) = self.get(index + 2 * axis);
            let (side_at, side) = self.get(index + 2 * axis + 1);
            if text.is_empty() {
                self.reading.empty += 1;
                continue;
            }
            let sign = match side {
                _ if side == positive => 1.0,
                _ if side == negative => -1.0,
                _ => return Err(fault(side_at, "the hemisphere is not N or S, E or W")),
            };
            let degrees = degrees(text).filter(|degrees| *degrees <= most);
            let degrees = degrees.ok_or_else(|| fault(at, "the position is not dddmm.mmmm"))?;
            self.reading.values.push(Value { quantity, number: sign * degrees, at });
        }
        Ok(())
    }

    fn number(&mut self, index: usize, quantity: Quantity, factor: f64) -> Result<(), Fault> {
        let (at, text) = self.get(index);
        if text.is_empty() {
            self.reading.empty += 1;
            return Ok(());
        }
        let number: f64 = fast_float2::parse(text)
            .ok()
            .filter(|number: &f64| number.is_finite())
            .ok_or_else(|| fault(at, "not a number"))?;
        self.reading.values.push(Value { quantity, number: number * factor, at });
        Ok(())
    }
}

/// Degrees from degrees and minutes.
fn degrees(text: &str) -> Option<f64> {
    let point = text.find('.').unwrap_or(text.len());
    let (degrees, minutes) = text.split_at_checked(point.checked_sub(2)?)?;
    let minutes: f64 = fast_float2::parse(minutes).ok()?;
    let degrees = if degrees.is_empty() { 0 } else { digits(degrees)? };
    (0.0..60.0).contains(&minutes).then(|| degrees as f64 + minutes / 60.0)
}

/// A number of at most four digits.
fn digits(text: &str) -> Option<i64> {
    let valid = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    valid.then(|| text.parse().ok())?
}
