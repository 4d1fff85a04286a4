//! No change of a proved answer is accepted: neither of its bytes nor of its parts.
//!
//! Whoever asked knows the question, so he gives it: another text of the same question is the truth of
//! another question. All else follows from the trusted header.

use chronolith::answer::{
    AnswerBundle, AnswerRefused, BatchPath, ChunkPart, DeviceProof, Expected, Identity,
    MakeSettings, MetricProof, Name, OtherMetric, Reason, Trust,
};
use chronolith_chain::encoding::{Bytes, List};
use chronolith_chain::hash::Hash;

use crate::proving::{World, check, lines, within};

/// Deterministic numbers (splitmix64, Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }
}

/// How many inputs a campaign has: `CHRONOLITH_MUTATIONS`, or the promise's.
fn mutations() -> usize {
    std::env::var("CHRONOLITH_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(10_000)
}

fn question() -> String {
    format!(
        "SELECT axle, max(value) AS most FROM speed WHERE device = 'car-1' AND {} GROUP BY axle",
        within(1, 4)
    )
}

/// A bundle with all that a bundle can have, what is trusted, and what is expected.
fn subject(world: &World) -> (AnswerBundle, Trust, Expected) {
    let question = question();
    let nonce = Some(vec![3; 8]);
    let wallet = chronolith::wallet::Wallet::at(world.path().join("w"));
    let main = wallet.load("main").unwrap();
    let settings =
        MakeSettings { nonce: nonce.clone(), signer: Some(&main), ..MakeSettings::default() };
    let bundle = world.try_make(&question, &settings).unwrap().bundle;
    let expected = Expected { sql: Some(question), nonce, ..Expected::default() };
    (bundle, world.trust(), expected)
}

#[test]
fn ten_thousand_changes_of_bytes_are_refused() {
    let world = World::cars();
    let (mut bundle, trust, expected) = subject(&world);
    check(&bundle, &trust, &expected).unwrap();
    let mut random = Random(1);
    for is_signed in [true, false] {
        if !is_signed {
            // Without the word, which would cover all of it.
            bundle.word = None;
            check(&bundle, &trust, &expected).unwrap();
        }
        let whole = bundle.to_bytes().unwrap();
        let (mut round, mut refused) = (0, 0);
        while refused < mutations() / 2 {
            round += 1;
            let mut changed = whole.clone();
            match round % 4 {
                0 => changed[random.below(whole.len())] ^= 1 << random.below(8),
                1 => {
                    let from = random.below(whole.len());
                    for byte in changed.iter_mut().skip(from).take(1 + random.below(8)) {
                        *byte = random.below(256) as u8;
                    }
                }
                2 => changed.truncate(random.below(whole.len())),
                _ => {
                    let (from, to) = (random.below(whole.len()), random.below(whole.len()));
                    let size = 1 + random.below(64);
                    let piece: Vec<u8> = whole[from..].iter().copied().take(size).collect();
                    for (byte, new) in changed.iter_mut().skip(to).zip(piece) {
                        *byte = new;
                    }
                }
            }
            if changed == whole {
                continue;
            }
            let read = AnswerBundle::from_bytes(&changed);
            let verdict =
                read.map_err(AnswerRefused::from).and_then(|b| check(&b, &trust, &expected));
            assert!(verdict.is_err(), "round {round} of {is_signed} was accepted");
            refused += 1;
        }
    }
}

/// The same bundle with a part changed; unsigned, as whoever changes it could not sign it.
fn changed(bundle: &AnswerBundle, change: impl FnOnce(&mut AnswerBundle)) -> AnswerBundle {
    let mut bundle = AnswerBundle { word: None, ..bundle.clone() };
    change(&mut bundle);
    bundle
}

fn with<T: Clone, const MAX: usize>(list: &mut List<T, MAX>, change: impl FnOnce(&mut Vec<T>)) {
    let mut values = list.to_vec();
    change(&mut values);
    *list = List::new(values).unwrap();
}

fn with_metric(bundle: &mut AnswerBundle, at: usize, change: impl FnOnce(&mut MetricProof)) {
    with(&mut bundle.metrics, |metrics| change(&mut metrics[at]));
}

fn with_device(bundle: &mut AnswerBundle, change: impl FnOnce(&mut DeviceProof)) {
    with(&mut bundle.devices, |devices| change(&mut devices[0]));
}

fn with_batch(bundle: &mut AnswerBundle, change: impl FnOnce(&mut BatchPath)) {
    with(&mut bundle.batches, |batches| change(&mut batches[0]));
}

fn with_chunk(bundle: &mut AnswerBundle, at: usize, change: impl FnOnce(&mut ChunkPart)) {
    with_metric(bundle, 0, |metric| with(&mut metric.chunks, |chunks| change(&mut chunks[at])));
}

#[test]
fn changes_of_parts_are_refused_with_their_reason() {
    let world = World::cars();
    let (bundle, trust, expected) = subject(&world);
    let refused = |what: &str, changed: AnswerBundle, reasons: &[Reason]| {
        // What is changed has an encoding of its own: only its meaning is wrong.
        let bytes = changed.to_bytes().unwrap();
        assert_eq!(AnswerBundle::from_bytes(&bytes).unwrap(), changed, "{what}");
        let refused = check(&changed, &trust, &expected).err();
        let refused = refused.unwrap_or_else(|| panic!("{what} was accepted"));
        assert!(reasons.contains(&refused.reason()), "{what}: {}: {refused}", refused.reason());
    };
    let one = |reason: Reason| [reason];
    use Reason::{Foreign, Incomplete, Replayed, Tampered, Unowned};

    for at in 0..4 {
        let without = changed(&bundle, |b| {
            with_metric(b, 0, |m| with(&mut m.chunks, |chunks| drop(chunks.remove(at))));
        });
        refused("a chunk left out", without, &one(Incomplete));
        let without = changed(&bundle, |b| {
            with_metric(b, 0, |m| with(&mut m.chunks, |chunks| drop(chunks.remove(at))));
            b.batches = List::default();
            with(&mut b.proof.bundle.facts, |facts| facts.truncate(2));
        });
        refused("a chunk left out, and its batch", without, &one(Incomplete));
        let body = changed(&bundle, |b| {
            with_chunk(b, at, |chunk| {
                let mut body = chunk.body.clone().unwrap().to_vec();
                *body.last_mut().unwrap() ^= 1;
                chunk.body = Some(Bytes::new(body).unwrap());
            });
        });
        refused("a body changed", body, &one(Tampered));
        let body = changed(&bundle, |b| with_chunk(b, at, |chunk| chunk.body = None));
        refused("a body left out", body, &one(Tampered));
    }
    let swapped = changed(&bundle, |b| {
        with_metric(b, 0, |m| with(&mut m.chunks, |chunks| chunks.swap(0, 1)));
    });
    refused("chunks swapped", swapped, &[Foreign, Incomplete]);
    let bodies = changed(&bundle, |b| {
        with_metric(b, 0, |m| {
            with(&mut m.chunks, |chunks| {
                let first = chunks[0].body.clone();
                chunks[0].body = chunks[1].body.clone();
                chunks[1].body = first;
            });
        });
    });
    refused("bodies swapped", bodies, &one(Tampered));
    let twice = changed(&bundle, |b| {
        with_metric(b, 0, |m| with(&mut m.chunks, |chunks| chunks.push(chunks[3].clone())));
    });
    refused("a chunk twice", twice, &one(Foreign));
    let other = changed(&bundle, |b| {
        let chunks = b.metrics[1].chunks.clone();
        with_metric(b, 0, |m| m.chunks = chunks);
    });
    refused("another metric's chunks", other, &one(Foreign));
    let narrower = changed(&bundle, |b| {
        with_metric(b, 0, |m| {
            m.from_ns += 3_600_000_000_000;
            with(&mut m.chunks, |chunks| drop(chunks.remove(0)));
        });
    });
    refused("a shorter range", narrower, &[Incomplete, Tampered]);
    let without = changed(&bundle, |b| with(&mut b.metrics, |metrics| drop(metrics.remove(1))));
    refused("a metric left out", without, &[Incomplete, Tampered]);
    let others = changed(&bundle, |b| with_device(b, |d| d.others = Some(List::default())));
    refused("the other metrics left out", others, &one(Incomplete));
    let others = changed(&bundle, |b| {
        with_device(b, |d| {
            let name = |text: &str| Name::new(text.as_bytes()).unwrap();
            let tags = List::default();
            let other = Identity { device: name("car-1"), name: name("oil"), tags };
            d.others = Some(List::new(vec![OtherMetric::Named(other)]).unwrap());
        });
    });
    refused("another metric of another name", others, &one(Tampered));
    // Who proves less is told to: the same nodes may be those of these metrics alone.
    let unproved = changed(&bundle, |b| with_device(b, |d| d.others = None));
    match check(&unproved, &trust, &expected) {
        Ok(verified) => assert_eq!(verified.devices[0].other_metrics, None),
        Err(refused) => assert_eq!(refused.reason(), Tampered, "{refused}"),
    }
    let rows = changed(&bundle, |b| with(&mut b.rows.rows, |rows| drop(rows.pop())));
    refused("a row left out", rows, &one(Tampered));
    let rows = changed(&bundle, |b| with(&mut b.rows.rows, |rows| rows.swap(0, 1)));
    refused("rows in another order", rows, &one(Tampered));
    let batches = changed(&bundle, |b| {
        with_batch(b, |batch| with(&mut batch.path, |path| path[0] = Hash([1; 32])));
    });
    refused("another way to the batch", batches, &one(Tampered));
    let batches = changed(&bundle, |b| with_batch(b, |batch| batch.root = Hash([1; 32])));
    refused("another batch", batches, &one(Tampered));
    let batches = changed(&bundle, |b| {
        with_batch(b, |batch| with(&mut batch.chunks, |chunks| chunks.truncate(7)));
    });
    refused("a chunk in no batch", batches, &one(Tampered));
    let facts = changed(&bundle, |b| with(&mut b.proof.bundle.facts, |facts| drop(facts.pop())));
    refused("a fact left out", facts, &one(Tampered));
    let facts = changed(&bundle, |b| {
        with(&mut b.proof.bundle.facts, |facts| {
            let last = facts[0].clone();
            facts.push(last);
        });
    });
    refused("a fact too many", facts, &one(Tampered));
    let question = changed(&bundle, |b| {
        let sql = String::from_utf8(b.question.sql.to_vec()).unwrap().replace("max", "min");
        b.question.sql = Bytes::new(sql.into_bytes()).unwrap();
    });
    refused("another question", question, &one(Replayed));
    let nonce = changed(&bundle, |b| b.question.nonce = Some(Bytes::new([4; 8]).unwrap()));
    refused("another nonce", nonce, &one(Replayed));
    let mut word = bundle.clone();
    word.word.as_mut().unwrap().account = bundle.devices[0].device;
    refused("another's word", word, &one(Tampered));
    let device = changed(&bundle, |b| {
        with_device(b, |d| d.device = chronolith_chain::address::Address([9; 32]));
    });
    refused("an unknown device", device, &[Tampered, Unowned]);
}

/// What was made for one question, device or time does not serve another.
#[test]
fn parts_of_other_answers_are_refused_with_their_reason() {
    // The catalogue of the other car is of one node, so that a walk for any question goes through it: in
    // a larger one, nodes of the wrong walk may be met before chunks of the wrong car.
    let world = World::with([
        ("speed,device=car-1,axle=front", 0, 30),
        ("speed,device=car-1,axle=rear", 0, 30),
        ("rpm,device=car-1", 0, 30),
        ("speed,device=car-2,axle=front", 2, 1),
    ]);
    let (bundle, trust, expected) = subject(&world);
    let of_other_car = question().replace("car-1", "car-2");
    let settings = MakeSettings { nonce: Some(vec![3; 8]), ..MakeSettings::default() };
    let other = world.try_make(&of_other_car, &settings).unwrap().bundle;
    let reason = |bundle: &AnswerBundle| {
        let refused = check(bundle, &trust, &expected).err().unwrap();
        (refused.reason(), refused.to_string())
    };
    // Another car's answer, as it is and under this question.
    assert_eq!(reason(&other).0, Reason::Replayed);
    let renamed = changed(&other, |b| b.question = bundle.question.clone());
    let (found, text) = reason(&renamed);
    assert!([Reason::Incomplete, Reason::Tampered].contains(&found), "{text}");
    // Its device, and its device with its facts.
    let device = changed(&bundle, |b| b.devices = other.devices.clone());
    assert_ne!(check(&device, &trust, &expected).err().map(|r| r.reason()), None);
    let device = changed(&bundle, |b| {
        b.devices = other.devices.clone();
        b.proof = other.proof.clone();
    });
    assert_eq!(reason(&device).0, Reason::Foreign, "{}", reason(&device).1);
    let device = changed(&bundle, |b| {
        let device = other.devices[0].device;
        with_device(b, |d| d.device = device);
        b.batches = List::default();
        b.proof = other.proof.clone();
        with(&mut b.proof.bundle.facts, |facts| facts.truncate(2));
    });
    assert_eq!(reason(&device).0, Reason::Foreign, "{}", reason(&device).1);
    let metric = changed(&bundle, |b| {
        let chunks = other.metrics[0].chunks.clone();
        with_metric(b, 0, |metric| metric.chunks = chunks);
    });
    assert_eq!(reason(&metric).0, Reason::Foreign);
    // An older state of the ledger, whole, and in parts.
    world.write(&lines("speed,device=car-1,axle=front", 2, 1).replace("speed=", "speed=9"));
    world.seal();
    world.anchor();
    let newer = world.try_make(&question(), &settings).unwrap().bundle;
    let height = check(&newer, &trust, &expected).unwrap().proved.header.height;
    let at_least = Expected { at_least: Some(height), ..expected.clone() };
    let stale = check(&bundle, &trust, &at_least).err().unwrap();
    assert_eq!(stale.reason(), Reason::Stale, "{stale}");
    let older = changed(&newer, |b| b.devices = bundle.devices.clone());
    assert_eq!(reason(&older).0, Reason::Foreign, "{}", reason(&older).1);
    let older = changed(&newer, |b| b.metrics = bundle.metrics.clone());
    assert_eq!(reason(&older).0, Reason::Incomplete, "{}", reason(&older).1);
    let older = changed(&newer, |b| b.rows = bundle.rows.clone());
    assert_eq!(reason(&older).0, Reason::Tampered, "{}", reason(&older).1);
    let older = changed(&newer, |b| b.proof = bundle.proof.clone());
    assert_ne!(check(&older, &trust, &expected).err().map(|r| r.reason()), None);
    // Another anchor: that of the newer batch for the older one.
    let anchor = changed(&newer, |b| {
        with(&mut b.batches, |batches| {
            let root = batches[1].root;
            batches[0].root = root;
        });
    });
    assert_eq!(reason(&anchor).0, Reason::Tampered);
}
