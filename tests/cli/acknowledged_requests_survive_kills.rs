//! Whatever was acknowledged over HTTP is there after `kill -9`.
//!
//! `CHRONOLITH_KILLS=200 cargo test --test cli acknowledged_requests` runs the long campaign.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::http::Server;
use crate::run::{expect, kills};

const WRITERS: usize = 4;
/// Lines of one request.
const LINES: u64 = 50;

/// Writes lines with rising numbers on one connection until it is broken; `acknowledged` is the next
/// number that is not.
fn write(address: &str, writer: usize, from: u64, acknowledged: &AtomicU64) {
    let Ok(mut stream) = TcpStream::connect(address) else { return };
    stream.set_read_timeout(Some(crate::http::PATIENCE)).unwrap();
    let mut next = from;
    loop {
        let line = |number| format!("m,device=w{writer} n={number}i {number}\n");
        let body: String = (next..next + LINES).map(line).collect();
        let length = body.len();
        let head =
            format!("POST /write HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
        if stream.write_all((head + &body).as_bytes()).is_err() {
            return;
        }
        let mut answer = Vec::new();
        while !answer.windows(4).any(|four| four == b"\r\n\r\n") {
            let mut piece = [0; 1_024];
            match stream.read(&mut piece) {
                Ok(read) if read > 0 => answer.extend_from_slice(&piece[..read]),
                _ => return,
            }
        }
        assert!(answer.starts_with(b"HTTP/1.1 204"), "{}", String::from_utf8_lossy(&answer));
        next += LINES;
        acknowledged.store(next, Ordering::SeqCst);
    }
}

#[test]
fn acknowledged_requests_survive_kills_of_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let acknowledged: Arc<Vec<AtomicU64>> =
        Arc::new((0..WRITERS).map(|_| AtomicU64::new(0)).collect());
    for kill in 0..kills(5) {
        let server = Server::start(path, &[]);
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (address, all) = (server.address.clone(), Arc::clone(&acknowledged));
                let from = all[writer].load(Ordering::SeqCst);
                std::thread::spawn(move || write(&address, writer, from, &all[writer]))
            })
            .collect();
        let sum = || acknowledged.iter().map(|of| of.load(Ordering::SeqCst)).sum::<u64>();
        let until = sum() + LINES * (1 + kill * 13 % 60);
        let begin = Instant::now();
        while sum() < until {
            assert!(begin.elapsed() < crate::http::PATIENCE, "nothing is acknowledged");
            std::thread::yield_now();
        }
        server.kill();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        for (writer, next) in acknowledged.iter().enumerate() {
            let device = format!("w{writer}");
            let next = next.load(Ordering::SeqCst);
            if next == 0 {
                continue;
            }
            let rows =
                expect(path, 0, &["export", "--db", "db", "--device", &device, "--metric", "n"]);
            let there = rows.lines().skip(1).map(|row| row.split(',').nth(3).unwrap());
            let there: Vec<u64> = there.map(|value| value.parse().unwrap()).collect();
            let expected: Vec<u64> = (0..there.len() as u64).collect();
            // All that was acknowledged, and behind it what was on its way: in order, without gaps.
            assert_eq!(there, expected, "{device}");
            assert!(there.len() as u64 >= next, "{device}: {} of {next}", there.len());
        }
    }
}
