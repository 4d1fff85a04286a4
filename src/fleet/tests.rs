use super::*;

fn small() -> Fleet {
    Fleet::new(FleetOptions { vehicles: 3, seconds: 4_000, seed: 7 })
}

#[test]
fn equal_seeds_give_equal_data_and_other_seeds_other_data() {
    let rows: Vec<_> = small().rows().collect();
    assert_eq!(rows, small().rows().collect::<Vec<_>>());
    let other = Fleet::new(FleetOptions { seed: 8, ..small().options() });
    assert_ne!(rows, other.rows().collect::<Vec<_>>());
    assert_eq!(rows.len() as u64 * METRICS as u64, small().record_count());
}

#[test]
fn columns_and_rows_are_the_same_records() {
    let fleet = small();
    let columns = fleet.vehicle_columns(2);
    let rows = fleet.rows().filter(|row| row.vehicle == 2);
    for (second, row) in rows.enumerate() {
        for (metric, (times, values)) in columns.iter().enumerate() {
            assert_eq!((times[second], values[second]), (row.times_ns[metric], row.values[metric]));
        }
    }
    assert_eq!(columns[5], fleet.metric_columns(2, 5));
}

#[test]
fn times_rise_and_stay_in_their_second() {
    for row in small().rows().enumerate().map(|(index, row)| (index as i64 / 3, row)) {
        let (second, row) = row;
        let base = START_NS + second * 1_000_000_000;
        for (metric, time) in row.times_ns.iter().enumerate() {
            let offset = time - base;
            assert!((0..1_000_000_000).contains(&offset) && offset % 1_000_000 == 0);
            assert!(JITTERED[metric] || offset == 0);
        }
    }
}

#[test]
fn line_protocol_groups_what_shares_a_time() -> io::Result<()> {
    let fleet = Fleet::new(FleetOptions { vehicles: 1, seconds: 2, seed: 1 });
    let mut text = Vec::new();
    fleet.write_line_protocol(&mut text)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let first = text.lines().next().unwrap_or_default();
    assert!(first.starts_with("fleet,device=car-0001 speed="), "{first}");
    assert!(first.ends_with(" 1767225600000000000"), "{first}");
    let fields: usize = text.lines().map(|line| line.matches('=').count() - 1).sum();
    assert_eq!(fields, 2 * METRICS);
    Ok(())
}

/// Bits of a normal variable of a standard deviation, rounded to integers.
fn normal_bits(deviation: f64) -> f64 {
    (deviation * (std::f64::consts::TAU * std::f64::consts::E).sqrt()).log2()
}

/// Bits per event and second of something that happens with a probability.
fn event_bits(p: f64) -> f64 {
    -p * p.log2() - (1.0 - p) * (1.0 - p).log2()
}

/// The entropy of what is random in each metric, given its own past, in bytes per record.
#[test]
fn entropy_floor() {
    // A walk with step deviation s below noise of deviation n is best predicted by an
    // exponentially weighted mean (Kalman); its innovations have this deviation.
    let innovation = |step: f64, noise: f64| {
        let ratio = (step / noise).powi(2);
        let gain_part = ratio / 2.0 + (ratio + ratio * ratio / 4.0).sqrt();
        noise * (1.0 + gain_part).sqrt()
    };
    let bits = [
        normal_bits(102.0),
        normal_bits(innovation(31.0, 20.0)),
        event_bits(0.011),
        normal_bits(innovation(0.3, 1.2)),
        normal_bits(16.5),
        normal_bits(165.0),
        normal_bits(innovation(0.3, 8.0)),
        // A step of 0.1 km every five seconds or so, at times that the recent speed predicts.
        0.45,
        // Pressed once in 56 s, for 2 to 9 s.
        (event_bits(0.02) * 50.0 + 3.0) / 56.0,
        normal_bits(innovation(0.2, 3.0)),
    ];
    let jitter = normal_bits(JITTER_MS) * 5.0;
    let bytes = (bits.iter().sum::<f64>() + jitter) / METRICS as f64 / 8.0;
    assert!((0.82..0.86).contains(&bytes), "{bytes} bytes per record");
}
