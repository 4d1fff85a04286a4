//! Writes a seed corpus of real encodings: `seeds FOLDER` makes `FOLDER/TARGET/NUMBER`.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;

use chronolith_engine::chunk::codec::gorilla::Gorilla;
use chronolith_engine::chunk::codec::{Policy, encode_times, encode_values};
use chronolith_engine::{Column, Kind, Value, VarColumn};
use chronolith_keys::{Grant, KeyTree, Secret, TreeId};
// Everything here is built with coverage counters; this brings what they are registered with.
use libfuzzer_sys as _;
use rand_core::{TryCryptoRng, TryRng};

const SECOND_NS: i64 = 1_000_000_000;

fn main() -> io::Result<()> {
    let folder = std::env::args().nth(1).ok_or_else(|| io::Error::other("usage: seeds FOLDER"))?;
    let folder = PathBuf::from(folder);
    let mut seeds = chronolith_engine::fuzzing::seeds();
    times(&mut seeds);
    values(&mut seeds);
    database(&mut seeds);
    keys(&mut seeds);
    let headers = seeds.iter().filter(|(target, _)| *target == "chunk_header");
    let headers: Seeds = headers.map(|(_, bytes)| ("header_view", bytes.clone())).collect();
    seeds.extend(headers);
    let mut numbers = HashMap::new();
    for (target, bytes) in seeds {
        let number = numbers.entry(target).and_modify(|number| *number += 1).or_insert(0);
        std::fs::create_dir_all(folder.join(target))?;
        std::fs::write(folder.join(target).join(format!("{number:03}")), bytes)?;
    }
    Ok(())
}

type Seeds = Vec<(&'static str, Vec<u8>)>;

/// `count u16` before an encoding.
fn counted(count: usize, encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut seed = (count as u16).to_le_bytes().to_vec();
    encode(&mut seed);
    seed
}

/// Noise that is the same on every machine.
fn noise(at: u64) -> u64 {
    let mixed = (at + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed ^ (mixed >> 31)).wrapping_mul(0x94D0_49BB_1331_11EB)
}

fn times(seeds: &mut Seeds) {
    let regular = |at: u64| at as i64 * SECOND_NS;
    let jitter = |at: u64| at as i64 * SECOND_NS + (noise(at) % 1000) as i64 * 1_000_000;
    let gaps = |at: u64| (at + at / 9 * 50) as i64 * SECOND_NS;
    let wide = |at: u64| i64::MIN + at as i64 * (1 << 54);
    let shapes: [&dyn Fn(u64) -> i64; 4] = [&regular, &jitter, &gaps, &wide];
    for shape in shapes {
        for count in [0, 1, 2, 40, 300] {
            let times: Vec<i64> = (0..count).map(shape).collect();
            for policy in [Policy::Smallest, Policy::Fastest] {
                let seed = counted(times.len(), |out| encode_times(&times, policy, out));
                seeds.push(("times", seed));
            }
            let mut gorilla = Gorilla::new();
            times
                .iter()
                .zip(0..)
                .for_each(|(time, at)| gorilla.push(*time, noise(at) >> (at % 60)));
            seeds.push(("gorilla", counted(times.len(), |out| gorilla.copy_stream(out))));
        }
    }
}

fn value(kind: Kind, shape: usize, at: u64) -> Value {
    let number = match shape {
        0 => 7,
        1 => at,
        2 => noise(at) % 1000,
        3 => noise(at),
        _ => at / 10 % 3,
    };
    match kind {
        Kind::F64 if shape == 3 => Value::F64(f64::from_bits(number)),
        Kind::F64 => Value::F64(number as f64 / 100.0),
        Kind::I64 => Value::I64(number as i64 - 50),
        Kind::U64 => Value::U64(number),
        Kind::Bool => Value::Bool(number % 3 == 0),
        Kind::Text => Value::Text(format!("value {number}")),
        Kind::Bytes => Value::Bytes(number.to_le_bytes().to_vec()),
    }
}

fn values(seeds: &mut Seeds) {
    let targets =
        ["values_f64", "values_i64", "values_u64", "values_bool", "values_text", "values_bytes"];
    for (kind, target) in Kind::ALL.into_iter().zip(targets) {
        for shape in 0..5 {
            for count in [0, 1, 40, 700] {
                let values: Vec<Value> = (0..count).map(|at| value(kind, shape, at)).collect();
                let column = Column::from_values(kind, &values).expect("values of one kind");
                for policy in [Policy::Smallest, Policy::Fastest] {
                    let seed = counted(values.len(), |out| encode_values(&column, policy, out));
                    if seed.len() <= 4096 {
                        seeds.push((target, seed));
                    }
                }
            }
        }
    }
    let mut long = VarColumn::default();
    (0..60).for_each(|at| long.push(&vec![b'a' + at % 3; 900]));
    for (target, column) in
        [("values_text", Column::Text(long.clone())), ("values_bytes", Column::Bytes(long))]
    {
        let seed = counted(60, |out| encode_values(&column, Policy::Smallest, out));
        seeds.push((target, seed));
    }
}

/// Grants of one and of several trees, open and sealed.
fn keys(seeds: &mut Seeds) {
    let tree = |id: u8| KeyTree::new(TreeId([id; 32]), Secret::new([id; 32]));
    let whole = tree(1).cover(i64::MIN..=i64::MAX).expect("a whole tree");
    let parts = [2, 3].map(|id| tree(id).cover(-5..=9).expect("a part of a whole tree"));
    for grant in [Grant::new([whole]), Grant::new(parts)] {
        let grant = grant.expect("a few keys");
        let (secret, context) = chronolith_engine_fuzz::buyer();
        let sealed = grant.seal(&secret.public(), &context, &mut Counter(0)).expect("a sound key");
        let bytes = grant.to_bytes().to_vec();
        seeds.push(("grant", bytes));
        seeds.push(("grant_sealed", sealed));
    }
}

/// Bytes that are the same on every machine; the seeds' keys are no secrets.
struct Counter(u64);

impl TryRng for Counter {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(self.try_next_u64()? as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.0 += 1;
        Ok(noise(self.0))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        for byte in bytes {
            *byte = self.try_next_u64()? as u8;
        }
        Ok(())
    }
}

impl TryCryptoRng for Counter {}

/// Every file and every kind of record with one edit, and all that can be done afterwards.
fn database(seeds: &mut Seeds) {
    for which in 0..12 {
        for flags in [0, 2, 3, 6, 1 | 8 | 16, 2 | 8 | 16 | 32, 3 | 32] {
            seeds.push(("database", vec![flags, which, which % 3, which % 5, 9, 0, 3, 4]));
        }
    }
    seeds.push(("database", vec![8 | 16 | 32, 0, 0]));
}
