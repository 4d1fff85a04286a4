//! Measures the chunk codecs: bytes per record and records per CPU second.
//!
//! ```text
//! cargo run --release -p chronolith-engine --example codec_report             # the fleet data
//! cargo run --release -p chronolith-engine --example codec_report -- DIRECTORY  # real floats
//! ```
//!
//! The fleet is cut into chunks of 3,600 and of 10,800 records, as hourly and longer windows give
//! them. A directory may hold `.csv` files of one number a line and `.bin` files of little-endian
//! `f64`; packed ones (`.gz`) are to be unpacked first.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chronolith_engine::chunk::codec::{
    Policy, decode_times, decode_values, encode_times, encode_values, gorilla, values_codec_name,
};
use chronolith_engine::{Column, Kind};

#[path = "../../src/fleet.rs"]
#[allow(dead_code, unreachable_pub, reason = "the generator of the root package, used in part")]
mod fleet;
#[path = "../../src/random.rs"]
#[allow(dead_code, unreachable_pub, reason = "what the generator draws from")]
mod random;

/// What one codec did on some chunks.
#[derive(Default, Clone, Copy)]
struct Score {
    records: usize,
    time_bytes: usize,
    value_bytes: usize,
    encode: Duration,
    decode: Duration,
}

impl Score {
    fn add(&mut self, other: Self) {
        self.records += other.records;
        self.time_bytes += other.time_bytes;
        self.value_bytes += other.value_bytes;
        self.encode += other.encode;
        self.decode += other.decode;
    }

    fn print(&self, name: &str) {
        let records = self.records as f64;
        let rate = |time: Duration| records / time.as_secs_f64() / 1e6;
        println!(
            "{name:<15} {:>7.4} {:>7.4} {:>7.4} {:>8.1} {:>8.1}",
            self.time_bytes as f64 / records,
            self.value_bytes as f64 / records,
            (self.time_bytes + self.value_bytes) as f64 / records,
            rate(self.encode),
            rate(self.decode),
        );
    }
}

type Chunk = (Vec<i64>, Column);
type Codec = fn(&[Chunk]) -> Score;

const REPEATS: u32 = 3;

/// Runs something a few times and takes the fastest.
fn timed<T>(mut run: impl FnMut() -> T) -> (T, Duration) {
    let mut best = Duration::MAX;
    loop {
        let mut last = None;
        for _ in 0..REPEATS {
            let start = Instant::now();
            last = Some(run());
            best = best.min(start.elapsed());
        }
        if let Some(last) = last {
            return (last, best);
        }
    }
}

fn ours(chunks: &[Chunk], policy: Policy) -> Score {
    let encode = || -> Vec<(Vec<u8>, Vec<u8>)> {
        chunks
            .iter()
            .map(|(times, values)| {
                let (mut time_bytes, mut value_bytes) = (Vec::new(), Vec::new());
                encode_times(times, policy, &mut time_bytes);
                encode_values(values, policy, &mut value_bytes);
                (time_bytes, value_bytes)
            })
            .collect()
    };
    let (encoded, encode) = timed(encode);
    let mut times = Vec::new();
    let mut values = Column::new(Kind::F64);
    let (faults, decode) = timed(|| {
        let mut faults = 0;
        for ((all_times, all_values), (time_bytes, value_bytes)) in chunks.iter().zip(&encoded) {
            times.clear();
            values.clear();
            let count = all_times.len();
            let kind = all_values.kind();
            faults += usize::from(decode_times(time_bytes, count, &mut times).is_err());
            faults += usize::from(decode_values(kind, value_bytes, count, &mut values).is_err());
        }
        faults
    });
    assert_eq!(faults, 0, "a chunk does not decode");
    for ((all_times, all_values), (time_bytes, value_bytes)) in chunks.iter().zip(&encoded) {
        times.clear();
        values.clear();
        let _ = decode_times(time_bytes, all_times.len(), &mut times);
        let _ = decode_values(Kind::F64, value_bytes, all_times.len(), &mut values);
        assert!(times == *all_times && values == *all_values, "a chunk comes back changed");
    }
    Score {
        records: chunks.iter().map(|(times, _)| times.len()).sum(),
        time_bytes: encoded.iter().map(|(times, _)| times.len()).sum(),
        value_bytes: encoded.iter().map(|(_, values)| values.len()).sum(),
        encode,
        decode,
    }
}

fn floats(values: &Column) -> &[f64] {
    match values {
        Column::F64(values) => values,
        _ => &[],
    }
}

fn gorilla(chunks: &[Chunk]) -> Score {
    let (encoded, encode) = timed(|| {
        let one = |(times, values): &Chunk| {
            let mut encoder = gorilla::Gorilla::new();
            for (time, value) in times.iter().zip(floats(values)) {
                encoder.push(*time, value.to_bits());
            }
            let mut stream = Vec::new();
            encoder.copy_stream(&mut stream);
            stream
        };
        chunks.iter().map(one).collect::<Vec<_>>()
    });
    let (mut times, mut bits) = (Vec::new(), Vec::new());
    let ((), decode) = timed(|| {
        for ((all, _), stream) in chunks.iter().zip(&encoded) {
            times.clear();
            bits.clear();
            assert!(gorilla::decode(stream, all.len(), &mut times, &mut bits).is_ok());
        }
    });
    Score {
        records: chunks.iter().map(|(times, _)| times.len()).sum(),
        time_bytes: 0,
        value_bytes: encoded.iter().map(Vec::len).sum(),
        encode,
        decode,
    }
}

/// pco as it comes: standalone, default level, nanoseconds and floats.
fn plain_pco(chunks: &[Chunk]) -> Score {
    use pco::standalone::{simple_compress, simple_decompress};
    let config = pco::ChunkConfig::default();
    let (encoded, encode) = timed(|| {
        let one = |(times, values): &Chunk| {
            let times = simple_compress(times, &config).unwrap_or_default();
            (times, simple_compress(floats(values), &config).unwrap_or_default())
        };
        chunks.iter().map(one).collect::<Vec<_>>()
    });
    let ((), decode) = timed(|| {
        for (times, values) in &encoded {
            std::hint::black_box(simple_decompress::<i64>(times).is_ok());
            std::hint::black_box(simple_decompress::<f64>(values).is_ok());
        }
    });
    Score {
        records: chunks.iter().map(|(times, _)| times.len()).sum(),
        time_bytes: encoded.iter().map(|(times, _)| times.len()).sum(),
        value_bytes: encoded.iter().map(|(_, values)| values.len()).sum(),
        encode,
        decode,
    }
}

/// zstd level 3 over the little-endian bytes.
fn plain_zstd(chunks: &[Chunk]) -> Score {
    let (encoded, encode) = timed(|| {
        let one = |(times, values): &Chunk| {
            let times: Vec<u8> = times.iter().flat_map(|time| time.to_le_bytes()).collect();
            let values: Vec<u8> =
                floats(values).iter().flat_map(|value| value.to_le_bytes()).collect();
            let pack = |bytes: &[u8]| zstd::bulk::compress(bytes, 3).unwrap_or_default();
            (pack(&times), pack(&values))
        };
        chunks.iter().map(one).collect::<Vec<_>>()
    });
    let ((), decode) = timed(|| {
        for ((all, _), (times, values)) in chunks.iter().zip(&encoded) {
            std::hint::black_box(zstd::bulk::decompress(times, all.len() * 8).is_ok());
            std::hint::black_box(zstd::bulk::decompress(values, all.len() * 8).is_ok());
        }
    });
    Score {
        records: chunks.iter().map(|(times, _)| times.len()).sum(),
        time_bytes: encoded.iter().map(|(times, _)| times.len()).sum(),
        value_bytes: encoded.iter().map(|(_, values)| values.len()).sum(),
        encode,
        decode,
    }
}

const CODECS: [(&str, Codec); 5] = [
    ("smallest", |chunks| ours(chunks, Policy::Smallest)),
    ("fastest", |chunks| ours(chunks, Policy::Fastest)),
    ("gorilla", gorilla),
    ("pco", plain_pco),
    ("zstd", plain_zstd),
];

fn report_fleet(vehicles: u32) {
    let fleet = fleet::Fleet::new(fleet::FleetOptions { vehicles, ..Default::default() });
    let data: Vec<_> = (0..vehicles).map(|vehicle| fleet.vehicle_columns(vehicle)).collect();
    for records in [3_600, 10_800] {
        for (codec_name, codec) in CODECS {
            println!("\n{codec_name}, {records} records per chunk, {vehicles} vehicles");
            println!(
                "{:<15} {:>7} {:>7} {:>7} {:>8} {:>8}",
                "metric", "times", "values", "B/rec", "enc M/s", "dec M/s"
            );
            let mut total = Score::default();
            for (metric, name) in fleet.metric_names().iter().enumerate() {
                let columns = data.iter().map(|columns| &columns[metric]);
                let chunks: Vec<Chunk> = columns
                    .flat_map(|(times, values)| times.chunks(records).zip(values.chunks(records)))
                    .map(|(times, values)| (times.to_vec(), Column::F64(values.to_vec())))
                    .collect();
                let score = codec(&chunks);
                score.print(name);
                total.add(score);
            }
            total.print("total");
        }
    }
}

fn read_floats(path: &Path) -> Vec<f64> {
    let bytes = std::fs::read(path).unwrap_or_default();
    if path.extension().is_some_and(|extension| extension == "bin") {
        return bytes.as_chunks().0.iter().map(|word| f64::from_le_bytes(*word)).collect();
    }
    let text = String::from_utf8_lossy(&bytes);
    text.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

/// Bits per value of each file, in chunks of at most 120,000 values, by each codec.
fn report_files(directory: &Path) {
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default();
    files.sort();
    println!(
        "{:<28} {:>8} {:>9} {:>9} {:>9} {:>9} {:>9}  codec",
        "bits per value", "values", "smallest", "fastest", "gorilla", "pco", "zstd"
    );
    for path in files {
        let values = read_floats(&path);
        if values.is_empty() {
            continue;
        }
        let chunks: Vec<Chunk> = values
            .chunks(120_000)
            .map(|part| ((0..part.len() as i64).collect(), Column::F64(part.to_vec())))
            .collect();
        let mut first = Vec::new();
        encode_values(&chunks[0].1, Policy::Smallest, &mut first);
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        print!("{name:<28} {:>8}", values.len());
        for (_, codec) in CODECS {
            print!(" {:>9.2}", codec(&chunks).value_bytes as f64 * 8.0 / values.len() as f64);
        }
        println!("  {}", values_codec_name(&first).unwrap_or("none"));
    }
}

fn main() {
    match std::env::args_os().nth(1).map(PathBuf::from) {
        Some(directory) if directory.is_dir() => report_files(&directory),
        Some(vehicles) => {
            let vehicles = vehicles.to_string_lossy().parse().unwrap_or(5);
            report_fleet(vehicles);
        }
        None => report_fleet(20),
    }
}
