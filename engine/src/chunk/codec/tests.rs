//! Promises of the codecs: what goes in comes out, and nothing from outside does harm.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use proptest::collection::vec;
use proptest::prelude::*;

use super::gorilla::Gorilla;
use super::*;
use crate::{BlobRef, Value, VarColumn};

const POLICIES: [Policy; 2] = [Policy::Smallest, Policy::Fastest];

fn times_come_back(times: &[i64]) {
    for policy in POLICIES {
        let mut bytes = vec![];
        encode_times(times, policy, &mut bytes);
        let mut back = vec![7];
        decode_times(&bytes, times.len(), &mut back).unwrap();
        assert_eq!(back[1..], *times, "{policy:?}");
        let view = TimesView::parse(&bytes, times.len()).unwrap();
        let some = times.iter().step_by(times.len() / 7 + 1).copied();
        for time in some.flat_map(|time| [time.saturating_sub(1), time, time.saturating_add(1)]) {
            let expected = times.partition_point(|other| *other < time);
            assert_eq!(view.lower_bound(time), Ok(expected));
        }
        for time in [i64::MIN, i64::MAX] {
            let expected = times.partition_point(|other| *other < time);
            assert_eq!(view.lower_bound(time), Ok(expected));
        }
    }
}

fn values_come_back(values: &Column) {
    for policy in POLICIES {
        let mut bytes = vec![];
        encode_values(values, policy, &mut bytes);
        let mut back = Column::new(values.kind());
        decode_values(values.kind(), &bytes, values.len(), &mut back).unwrap();
        assert_eq!(back, *values, "{policy:?} {}", values_codec_name(&bytes).unwrap());
        // Behind other values too.
        decode_values(values.kind(), &bytes, values.len(), &mut back).unwrap();
        assert_eq!(back.len(), values.len() * 2);
        assert!(back.get(values.len()) == values.get(0));
    }
}

fn codec_of(values: &Column, policy: Policy) -> &'static str {
    let mut bytes = vec![];
    encode_values(values, policy, &mut bytes);
    values_codec_name(&bytes).unwrap()
}

/// A small generator, so that data of many shapes needs no proptest strategy each.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) ^ self.0 << 31
    }

    fn below(&mut self, most: u64) -> u64 {
        (self.next() >> 8) % most
    }
}

fn blob(number: u8) -> BlobRef {
    let hash = cid::multihash::Multihash::<64>::wrap(0x12, &[number; 32]).unwrap();
    BlobRef { cid: cid::Cid::new_v1(0x71, hash), len_bytes: u64::MAX - u64::from(number) }
}

/// Columns and times of every shape that a codec is made for, and some that none is.
fn shapes() -> Vec<Column> {
    let mut noise = Noise(42);
    let mut columns = vec![];
    for count in [0_usize, 1, 2, 3, 63, 64, 65, 257, 1_024, 1_025, 5_000] {
        let mut numbers = |spread: u64| -> Vec<i64> {
            (0..count).map(|_| noise.below(spread) as i64 - spread as i64 / 2).collect()
        };
        let walk = |steps: Vec<i64>| -> Vec<i64> {
            steps
                .into_iter()
                .scan(0_i64, |at, step| Some(*at + step).inspect(|to| *at = *to))
                .collect()
        };
        let decimal = |numbers: Vec<i64>, scale: f64| -> Column {
            Column::F64(numbers.into_iter().map(|number| number as f64 / scale).collect())
        };
        columns.push(decimal(walk(numbers(200)), 100.0));
        columns.push(decimal(walk(numbers(3)), 10.0));
        columns.push(decimal(numbers(50), 1e7));
        columns.push(decimal(numbers(2), 1.0));
        columns.push(decimal(numbers(u64::MAX >> 8), 1.0));
        columns.push(Column::F64(numbers(90).iter().map(|n| *n as f64 * 1e-7 * 1e3).collect()));
        columns
            .push(Column::F64(numbers(900).iter().map(|n| f64::from(*n as f32 / 10.0)).collect()));
        columns.push(Column::F64(numbers(99).iter().map(|n| (*n as f64).sin() * 1e5).collect()));
        columns.push(Column::I64(walk(numbers(1 << 40))));
        columns.push(Column::I64(numbers(7).iter().map(|n| n << 60).collect()));
        columns.push(Column::U64(numbers(500).iter().map(|n| n.cast_unsigned()).collect()));
        columns.push(Column::Bool(numbers(2).iter().map(|n| *n == 0).collect()));
        columns.push(Column::Bool(numbers(60).iter().map(|n| *n == 0).collect()));
        let mut holes: Vec<f64> = walk(numbers(20)).iter().map(|n| *n as f64 / 10.0).collect();
        for index in (0..count).step_by(7) {
            holes[index] = if index % 2 == 0 { f64::NAN } else { -0.0 };
        }
        columns.push(Column::F64(holes));
        let mut text = Column::new(Kind::Text);
        let mut bytes = Column::new(Kind::Bytes);
        for number in numbers(9) {
            assert!(text.push(Value::Text(format!("état {number}")).as_ref()));
            let value = match number {
                3 => Value::Blob(blob(number as u8)),
                _ => Value::Bytes(vec![number as u8; number.unsigned_abs() as usize]),
            };
            assert!(bytes.push(value.as_ref()));
        }
        columns.extend([text, bytes]);
        let mut long = Column::new(Kind::Text);
        for number in numbers(1 << 40) {
            assert!(long.push(Value::Text(format!("vehicle {number} started")).as_ref()));
        }
        columns.push(long);
    }
    columns
}

fn time_shapes() -> Vec<Vec<i64>> {
    let mut noise = Noise(7);
    let mut shapes = vec![vec![i64::MIN, i64::MAX], vec![i64::MIN, -1, 0, i64::MAX - 1, i64::MAX]];
    for count in [0, 1, 2, 3, 10, 300, 3_600_i64] {
        let start = 1_767_225_600_000_000_000_i64;
        for unit in [1, 1_000_000, 1_000_000_000] {
            let grid = |index: i64| start / unit * unit + index * 1_000 * unit;
            shapes.push((0..count).map(grid).collect());
            shapes.push((0..count).map(|i| grid(i) + noise.below(40) as i64 * unit).collect());
            let gaps = (0..count).filter(|i| i % 100 < 97);
            shapes.push(gaps.map(|i| grid(i) + noise.below(9) as i64 * unit).collect());
            shapes.push((0..count).map(|i| grid(i * i / 7)).collect());
            shapes.push((0..count).map(|i| start + i * 33_333_333).collect());
        }
    }
    shapes.iter_mut().for_each(|times| times.dedup());
    shapes
}

#[test]
fn all_shapes_come_back() {
    shapes().iter().for_each(values_come_back);
    time_shapes().iter().for_each(|times| times_come_back(times));
}

#[test]
fn extreme_numbers_come_back() {
    let bits =
        [0, 1, 1 << 63, u64::MAX, 0x7FF0 << 48, 0xFFF0 << 48, 0x7FF8_0000_0000_0001, 1 << 52];
    for count in [8, 80, 800] {
        let some = || bits.iter().cycle().take(count).copied();
        values_come_back(&Column::F64(some().map(f64::from_bits).collect()));
        values_come_back(&Column::I64(some().map(u64::cast_signed).collect()));
        values_come_back(&Column::U64(some().collect()));
    }
    values_come_back(&Column::F64(vec![f64::NAN; 100]));
    values_come_back(&Column::F64(vec![-0.0; 100]));
}

#[test]
fn each_codec_is_chosen_for_what_it_is_made_for() {
    let decimal = |count: i64, of: fn(i64) -> i64| -> Column {
        Column::F64((0..count).map(|n| of(n) as f64 / 100.0).collect())
    };
    let shuffled = |n: i64| n * 7_919 % 10_007;
    assert_eq!(codec_of(&decimal(900, |_| 6_120), Policy::Smallest), "constant");
    assert_eq!(codec_of(&decimal(900, shuffled), Policy::Smallest), "decimal");
    assert_eq!(codec_of(&decimal(900, |n| (n / 150) * (n / 150) % 7), Policy::Smallest), "runs");
    let wild = |n: i64| f64::from_bits((shuffled(n) * 922_337_203_685_477).cast_unsigned());
    let few = (0..9_000).map(|n| wild(shuffled(n) % 611));
    let few = Column::F64(few.map(|value| (value.to_bits() as f64).sqrt()).collect());
    assert!(["dictionary", "pco"].contains(&codec_of(&few, Policy::Smallest)));
    assert_eq!(codec_of(&few, Policy::Fastest), "dictionary");
    let integers = Column::I64((0..900).map(shuffled).collect());
    assert_eq!(codec_of(&integers, Policy::Smallest), "ints");
    let mut noise = Noise(5);
    let flags: Vec<bool> = (0..900).map(|_| noise.below(2) == 0).collect();
    assert_eq!(codec_of(&Column::Bool(flags), Policy::Smallest), "bitmap");
    let flags: Vec<bool> = (0..900).map(|n| n % 300 < 7).collect();
    assert_eq!(codec_of(&Column::Bool(flags), Policy::Smallest), "runs");
}

#[test]
fn regular_times_cost_nothing_and_are_found_without_decoding() {
    let times: Vec<i64> =
        (0..3_600).map(|n| 1_767_225_600_000_000_000 + n * 1_000_000_000).collect();
    let mut bytes = vec![];
    encode_times(&times, Policy::Smallest, &mut bytes);
    assert!(bytes.len() <= 8);
    assert_eq!(times_codec_name(&bytes), Ok("regular"));
    let view = TimesView::parse(&bytes, times.len()).unwrap();
    assert_eq!(view.regular(), Some((times[0], 1_000_000_000)));
    assert_eq!(view.lower_bound(times[1_000] + 1), Ok(1_001));
}

#[test]
fn jittered_times_with_gaps_cost_their_jitter() {
    let mut noise = Noise(3);
    let seconds = (0..4_000).filter(|n| n % 400 != 13);
    let times: Vec<i64> = seconds
        .map(|n| 1_767_225_600_000 + n * 1_000 + noise.below(16) as i64)
        .map(|ms| ms * 1_000_000)
        .collect();
    let mut bytes = vec![];
    encode_times(&times, Policy::Smallest, &mut bytes);
    assert_eq!(times_codec_name(&bytes), Ok("grid"));
    // Four bits of jitter each; as deltas it would be five.
    assert!(bytes.len() * 8 < times.len() * 41 / 10 + 500, "{} bytes", bytes.len());
}

#[test]
fn very_repetitive_text_stays_within_the_bound_of_its_decoder() {
    let mut column = VarColumn::default();
    (0..2_000).for_each(|_| column.push(&[b'x'; 4_000]));
    values_come_back(&Column::Text(column));
}

#[test]
fn an_unknown_codec_is_named() {
    assert_eq!(times_codec_name(&[99]), Err(CodecError::UnknownCodec(99)));
    assert_eq!(values_codec_name(&[99]), Err(CodecError::UnknownCodec(99)));
    let mut column = Column::new(Kind::F64);
    assert_eq!(decode_values(Kind::F64, &[99], 1, &mut column), Err(CodecError::UnknownCodec(99)));
    // Known, and not for numbers.
    assert_eq!(decode_values(Kind::F64, &[8], 1, &mut column), Err(CodecError::UnknownCodec(8)));
    assert_eq!(decode_times(&[], 1, &mut vec![]), Err(CodecError::Truncated));
}

#[test]
fn a_failed_decode_leaves_the_column_as_it_was() {
    let values = Column::F64((0..5_000).map(|n| f64::from(n * n % 977) / 10.0).collect());
    let mut bytes = vec![];
    encode_values(&values, Policy::Smallest, &mut bytes);
    bytes.truncate(bytes.len() - 1);
    let mut back = Column::F64(vec![1.5]);
    assert!(decode_values(Kind::F64, &bytes, values.len(), &mut back).is_err());
    assert_eq!(back, Column::F64(vec![1.5]));
}

/// The worked example of `docs/format/codecs.md`, byte for byte.
#[test]
fn the_worked_example_holds() {
    let mut times: Vec<i64> = (0..5).map(|n| (1_767_225_600 + n) * 1_000_000_000).collect();
    let mut bytes = vec![];
    encode_times(&times, Policy::Fastest, &mut bytes);
    assert_eq!(bytes, [0x01, 0x09, 0x80, 0xE4, 0xAD, 0x95, 0x0D, 0x01]);
    bytes.clear();
    let values = Column::F64(vec![61.2, 61.3, 61.1, 61.4, 61.2]);
    encode_values(&values, Policy::Fastest, &mut bytes);
    assert_eq!(bytes, [0x03, 0x01, 0x00, 0x10, 0xC6, 0x09, 0x00, 0x02, 0xC9, 0x01]);
    times[2] += 3_000_000;
    times[4] -= 2_000_000;
    bytes.clear();
    encode_times(&times, Policy::Fastest, &mut bytes);
    let head = [0x02, 0x06, 0x80, 0xA0, 0xD5, 0xED, 0xEE, 0x66, 0xE8, 0x07, 0x00];
    assert_eq!(bytes[..11], head);
    assert_eq!(bytes[11..], [0x10, 0x03, 0x00, 0x03, 0x52, 0x05]);
}

/// An encoding of each codec of ours, by its FNV-1a hash: a change of the format shows here.
#[test]
fn formats_do_not_drift() {
    let mut noise = Noise(1);
    let walk: Vec<f64> = (0..3_600)
        .scan(5_000_i64, |at, _| Some(*at + noise.below(99) as i64 - 49).inspect(|to| *at = *to))
        .map(|number| number as f64 / 100.0)
        .collect();
    let steps = (0..3_600).map(|n| f64::from(n / 50 % 9)).collect();
    let times: Vec<i64> =
        (0..3_600).map(|n| (n * 1_000 + noise.below(20) as i64) * 1_000_000).collect();
    let mut hashes = vec![];
    for policy in POLICIES {
        let mut bytes = vec![];
        encode_values(&Column::F64(walk.clone()), policy, &mut bytes);
        encode_values(&Column::F64(Clone::clone(&steps)), policy, &mut bytes);
        encode_times(&times, policy, &mut bytes);
        let fnv = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3);
        hashes.push(bytes.iter().fold(0xCBF2_9CE4_8422_2325, fnv));
    }
    assert_eq!(hashes, [0xBA90_B3FF_63A5_E2D9, 0x99A9_CB47_2988_9966], "{hashes:#x?}");
}

#[test]
fn times_out_of_order_come_back_too() {
    let mut noise = Noise(9);
    let times: Vec<i64> = (0..500).map(|_| noise.next().cast_signed()).collect();
    for policy in POLICIES {
        for times in [&times[..], &[5, 5, 5], &[9, 7, 5, 3]] {
            let (mut bytes, mut back) = (vec![], vec![]);
            encode_times(times, policy, &mut bytes);
            decode_times(&bytes, times.len(), &mut back).unwrap();
            assert_eq!(back, *times);
        }
    }
}

fn gorilla_of(records: &[(i64, u64)]) -> Gorilla {
    let mut encoder = Gorilla::new();
    records.iter().for_each(|(time, bits)| encoder.push(*time, *bits));
    encoder
}

fn gorilla_comes_back(records: &[(i64, u64)]) {
    let encoder = gorilla_of(records);
    assert_eq!(encoder.len(), records.len());
    assert_eq!(encoder.last(), records.last().copied());
    assert_eq!(encoder.first_time(), records.first().map(|(time, _)| *time));
    let (mut times, mut bits) = (vec![], vec![]);
    encoder.decode_into(&mut times, &mut bits);
    let mut stream = vec![];
    encoder.copy_stream(&mut stream);
    gorilla::decode(&stream, records.len(), &mut times, &mut bits).unwrap();
    let twice: Vec<_> = records.iter().chain(records).copied().collect();
    assert_eq!(times.into_iter().zip(bits).collect::<Vec<_>>(), twice);
}

#[test]
fn gorilla_keeps_every_class_of_time() {
    let steps = [
        0,
        1,
        -1,
        1_000_000,
        63_000_000,
        -64_000_000,
        64_000_000,
        2_047_000_000,
        2_048_000_000,
        -2_048_000_000,
        1_000,
        524_287_000,
        524_288_000,
        2_147_483_647,
        2_147_483_648,
        2_147_483_647_000_000,
        2_147_483_648_000_000,
        i64::MAX,
        i64::MIN,
    ];
    let mut records = vec![];
    let (mut time, mut delta) = (0_i64, 0_i64);
    for (index, step) in steps.iter().cycle().take(400).enumerate() {
        delta = delta.wrapping_add(*step);
        time = time.wrapping_add(delta);
        records
            .push((time, (index as u64 / 3).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (index % 64)));
        gorilla_comes_back(&records);
    }
}

#[test]
fn gorilla_starts_small() {
    let mut encoder = Gorilla::new();
    encoder.push(5, 5);
    assert!(encoder.size_bytes() <= 96);
    (0..10).for_each(|n| encoder.push(n * 1_000_000_000, 5));
    assert!(encoder.size_bytes() <= 160);
}

/// Values that are likely to upset something, and any others.
fn any_bits() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0_u64..50),
        (0_u64..64).prop_map(|shift| 1 << shift),
        (-500_i64..500).prop_map(|n| (n as f64 / 10.0).to_bits()),
        Just(f64::NAN.to_bits()),
        Just(u64::MAX),
    ]
}

fn some_bits() -> impl Strategy<Value = Vec<u64>> {
    prop_oneof![
        vec(any_bits(), 0..400),
        vec(any::<u64>(), 0..1_500),
        (vec(any_bits(), 1..12), vec(any::<u8>(), 0..2_000)).prop_map(|(few, picks)| {
            picks.iter().map(|pick| few[usize::from(*pick) % few.len()]).collect()
        }),
        (vec(-300_i64..300, 0..2_000), 0_i32..9).prop_map(|(steps, digits)| {
            let scale = 10_f64.powi(digits);
            let walk = steps.iter().scan(0, |at, step| Some(*at + step).inspect(|to| *at = *to));
            walk.map(|number| (number as f64 / scale).to_bits()).collect()
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn numbers_of_every_kind_come_back(bits in some_bits()) {
        values_come_back(&Column::F64(bits.iter().map(|bits| f64::from_bits(*bits)).collect()));
        values_come_back(&Column::I64(bits.iter().map(|bits| bits.cast_signed()).collect()));
        values_come_back(&Column::Bool(bits.iter().map(|bits| bits % 3 == 0).collect()));
        values_come_back(&Column::U64(bits));
    }

    #[test]
    fn rising_times_come_back(mut times in prop_oneof![
        vec(any::<i64>(), 0..500),
        vec(0_i64..100_000, 0..500),
        vec((0_i64..100_000).prop_map(|ms| ms * 1_000_000), 0..3_000),
    ]) {
        times.sort_unstable();
        times.dedup();
        times_come_back(&times);
    }

    #[test]
    fn text_comes_back(texts in vec(".{0,12}", 0..300)) {
        let mut column = Column::new(Kind::Text);
        for text in texts {
            assert!(column.push(Value::Text(text).as_ref()));
        }
        values_come_back(&column);
    }

    #[test]
    fn bytes_and_blobs_come_back(
        values in vec(prop_oneof![
            vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
            Just(Value::Bytes(vec![1, 2, 3])),
            any::<u8>().prop_map(|number| Value::Blob(blob(number))),
        ], 0..300),
    ) {
        values_come_back(&Column::from_values(Kind::Bytes, &values).unwrap());
    }

    #[test]
    fn gorilla_keeps_any_records_in_any_order(
        records in vec((prop_oneof![any::<i64>(), 0..9_000_000_000_i64], any_bits()), 0..300),
    ) {
        gorilla_comes_back(&records);
    }

    #[test]
    fn random_bytes_never_panic(mut bytes in vec(any::<u8>(), 0..300), count in 0_usize..5_000) {
        for first in 0..10 {
            if let Some(byte) = bytes.first_mut() {
                *byte = first;
            }
            decode_everything(&bytes, count);
        }
    }
}

/// Runs all decoders; what they say does not matter.
fn decode_everything(bytes: &[u8], count: usize) {
    let _ = decode_times(bytes, count, &mut vec![]);
    let _ = TimesView::parse(bytes, count).and_then(|view| view.lower_bound(0));
    for kind in Kind::ALL {
        let mut column = Column::new(kind);
        match decode_values(kind, bytes, count, &mut column) {
            Ok(()) => assert_eq!(column.len(), count),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    let _ = gorilla::decode(bytes, count, &mut vec![], &mut vec![]);
}

/// The longest step of the greatest unit, twelve thousand times: beyond 128 bits. Fuzzing found it.
#[test]
fn steps_beyond_any_time_are_refused() {
    let bytes = [1, 18, 0, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 1];
    for count in [2, 0x3101, MAX_COUNT] {
        assert!(decode_times(&bytes, count, &mut vec![]).is_err());
        assert!(TimesView::parse(&bytes, count).is_err());
    }
}

/// Valid encodings with bytes changed, cut off, put in; tens of thousands of them.
#[test]
fn damaged_encodings_never_panic() {
    let mut noise = Noise(11);
    let mut valid: Vec<(Vec<u8>, usize)> = vec![];
    for policy in POLICIES {
        for column in shapes() {
            let mut bytes = vec![];
            encode_values(&column, policy, &mut bytes);
            valid.push((bytes, column.len()));
        }
        for times in time_shapes() {
            let mut bytes = vec![];
            encode_times(&times, policy, &mut bytes);
            valid.push((bytes, times.len()));
        }
    }
    let records: Vec<_> =
        (0..300_i64).map(|n| (n * n * 1_000_000, n.cast_unsigned() * 77)).collect();
    let mut stream = vec![];
    gorilla_of(&records).copy_stream(&mut stream);
    valid.push((stream, records.len()));
    for (bytes, count) in valid {
        for _ in 0..if bytes.len() < 4_000 { 60 } else { 12 } {
            let mut damaged = bytes.clone();
            // Heads are where the lengths are.
            let reach = if noise.below(2) == 0 { 24 } else { damaged.len() as u64 };
            let at = noise.below(reach.clamp(1, damaged.len().max(1) as u64)) as usize;
            match noise.below(4) {
                0 => damaged.truncate(at),
                1 => damaged.insert(at, noise.next() as u8),
                _ => {
                    if let Some(byte) = damaged.get_mut(at) {
                        *byte ^= 1 << noise.below(8);
                    }
                }
            }
            let count = if noise.below(4) == 0 { noise.below(6_000) as usize } else { count };
            decode_everything(&damaged, count);
        }
    }
}
