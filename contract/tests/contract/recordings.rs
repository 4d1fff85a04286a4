//! Real recordings, and answers to the templates' questions computed from them by hand.

use std::io::Read;
use std::path::PathBuf;

use flate2::read::GzDecoder;

fn repository() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn text(path: PathBuf) -> Option<String> {
    let bytes = std::fs::read(path).ok()?;
    let mut plain = Vec::new();
    match bytes.starts_with(&[0x1f, 0x8b]) {
        true => GzDecoder::new(&*bytes).read_to_end(&mut plain).ok()?,
        false => bytes.as_slice().read_to_end(&mut plain).ok()?,
    };
    // Heads of laboratories have signs of other encodings in them.
    Some(String::from_utf8_lossy(&plain).into_owned())
}

/// The column of a CSV whose head names it; cells that are no numbers are left out.
fn column(text: &str, name: &str) -> Vec<f64> {
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    let heads: Vec<_> = lines.next().unwrap().split(',').collect();
    let at = heads.iter().position(|head| head.trim() == name).unwrap();
    lines.filter_map(|line| line.split(',').nth(at)?.trim().parse().ok()).collect()
}

/// The speed of a household's car on one day in the Chicago region, once a second: miles an hour.
pub(crate) fn drive(name: &str) -> Vec<f64> {
    let text = text(repository().join("testdata/drives").join(name)).unwrap();
    let speeds = column(&text, "speed_mph");
    assert!(speeds.len() > 500, "{name} has {} records", speeds.len());
    speeds
}

/// A column of the shared data that is not part of the repository; none where it is absent.
pub(crate) fn shared(path: &str, name: &str) -> Option<Vec<f64>> {
    shared_text(path).map(|text| column(&text, name))
}

/// What a meter counts in the first charge of a cell of an electric car on a laboratory's cycler, in
/// watt-hours since its beginning.
pub(crate) fn first_charge() -> Option<Vec<f64>> {
    let text = shared_text("battery-beep/xTESLADIAG_000019_CH70.070.txt.gz")?;
    let mut lines = text.lines().skip(1);
    let heads: Vec<_> = lines.next().unwrap().split('\t').map(str::trim).collect();
    let at = |name: &str| heads.iter().position(|head| *head == name).unwrap();
    let (time, amps, volts, state) = (at("Test (Sec)"), at("Amps"), at("Volts"), at("State"));
    let charge = lines.map(|line| line.split('\t').map(str::trim).collect::<Vec<_>>());
    let charge = charge.filter(|row| row.len() > state).skip_while(|row| row[state] != "C");
    let number = |row: &[&str], at: usize| row[at].parse::<f64>().unwrap();
    let rows: Vec<_> = charge
        .take_while(|row| row[state] == "C")
        .map(|row| (number(&row, time), number(&row, amps) * number(&row, volts)))
        .collect();
    let mut sum = 0.0;
    let counted = rows.windows(2).map(|two| {
        sum += two[0].1 * (two[1].0 - two[0].0) / 3_600.0;
        sum
    });
    Some(counted.collect())
}

fn shared_text(path: &str) -> Option<String> {
    let folder = std::env::var_os("CHRONOLITH_DATA").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| repository().join("../../shared/data"));
    match text(folder.join(path)) {
        Some(text) => Some(text),
        None => {
            println!("skipped: {path} is not there; CHRONOLITH_DATA names its folder");
            None
        }
    }
}

/// `CAST(round(max(value) * 10) AS BIGINT)`.
pub(crate) fn max_tenths(values: &[f64]) -> i64 {
    (values.iter().copied().fold(f64::MIN, f64::max) * 10.0).round() as i64
}

/// Of a thousand records, how many are at least so fast.
pub(crate) fn per_mille_above(values: &[f64], tenths: i64) -> i64 {
    let fast = values.iter().filter(|value| **value * 10.0 >= tenths as f64).count();
    (fast * 1_000 / values.len()) as i64
}

/// How often a value fell by 7 or more from one record to the next.
pub(crate) fn falls(values: &[f64]) -> i64 {
    values.windows(2).filter(|two| two[1] - two[0] <= -7.0).count() as i64
}

/// Tenths of the unit above a limit, each rounded up, summed: of ten-minute means these are degree-minutes.
pub(crate) fn above(values: &[f64], limit_tenths: i64) -> i64 {
    let above = |value: &f64| (value * 10.0 - limit_tenths as f64).max(0.0).ceil() as i64;
    values.iter().map(above).sum()
}
