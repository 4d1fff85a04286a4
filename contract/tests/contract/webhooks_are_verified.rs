//! Messages from outside are taken when they are signed, near in time, and new; each once.

use chronolith_contract::webhook::{
    Headers, ID_BYTES_MAX, Receiver, Secret, TOLERANCE_S, WebhookError,
};
use proptest::prelude::*;

const NOW: u64 = 1_614_265_330;
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn secret() -> Secret {
    Secret::parse(SECRET).unwrap()
}

fn receiver() -> Receiver {
    Receiver::new(vec![secret()], 100)
}

/// Takes a message that is signed for a second.
fn take(receiver: &mut Receiver, id: &str, at: u64, now: u64) -> Result<(), WebhookError> {
    let (timestamp, signature) = (at.to_string(), secret().sign(id, at, b"{}"));
    let headers = Headers { id, timestamp: &timestamp, signature: &signature };
    receiver.take(headers, b"{}", now)
}

#[test]
fn the_example_of_the_standard_is_taken_once() {
    let headers = Headers {
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp: "1614265330",
        signature: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    };
    let body = br#"{"test": 2432232314}"#;
    let mut receiver = receiver();
    assert_eq!(receiver.take(headers, body, NOW + 17), Ok(()));
    assert_eq!(receiver.take(headers, body, NOW + 18), Err(WebhookError::Again));
    assert_eq!(WebhookError::Again.status(), 200);
    let several = Headers {
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        signature: "v1a,AAAA v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ..headers
    };
    assert_eq!(Receiver::new(vec![secret()], 1).take(several, body, NOW), Ok(()));
    // While a secret is changed, there are two.
    let other = Secret::from_bytes(&[7; 32]).unwrap();
    assert_eq!(Receiver::new(vec![other.clone(), secret()], 1).take(headers, body, NOW), Ok(()));
    let wrong = Receiver::new(vec![other], 1).take(headers, body, NOW);
    assert_eq!(wrong, Err(WebhookError::Signature));
}

#[test]
fn messages_of_another_time_are_refused() {
    let mut receiver = receiver();
    assert_eq!(take(&mut receiver, "a", NOW - TOLERANCE_S, NOW), Ok(()));
    assert_eq!(take(&mut receiver, "b", NOW + TOLERANCE_S, NOW), Ok(()));
    for at in [NOW - TOLERANCE_S - 1, NOW + TOLERANCE_S + 1, 0, u64::MAX] {
        assert_eq!(take(&mut receiver, "c", at, NOW), Err(WebhookError::Time { at, now: NOW }));
    }
}

#[test]
fn headers_that_are_none_are_refused() {
    let mut receiver = receiver();
    let long = "x".repeat(ID_BYTES_MAX + 1);
    for id in ["", "a.b", long.as_str()] {
        assert_eq!(take(&mut receiver, id, NOW, NOW), Err(WebhookError::Header("webhook-id")));
    }
    for timestamp in
        ["", "-1", "+1614265330", "1614265330.0", " 1614265330", "99999999999999999999999"]
    {
        let headers = Headers { id: "a", timestamp, signature: "v1," };
        assert_eq!(
            receiver.take(headers, b"", NOW),
            Err(WebhookError::Header("webhook-timestamp"))
        );
    }
    for signature in ["", "v1", "v1,", "v2,AAAA", "v1,not base64", "v1,AAAA"] {
        let headers = Headers { id: "a", timestamp: "1614265330", signature };
        assert_eq!(receiver.take(headers, b"", NOW), Err(WebhookError::Signature));
    }
    assert_eq!(receiver.remembered(), 0);
}

#[test]
fn memory_is_bounded_and_nothing_near_is_forgotten() {
    let mut receiver = Receiver::new(vec![secret()], 3);
    for id in ["a", "b", "c"] {
        assert_eq!(take(&mut receiver, id, NOW, NOW), Ok(()));
    }
    // A flood does not make room for a replay.
    assert_eq!(take(&mut receiver, "d", NOW, NOW), Err(WebhookError::Full));
    assert_eq!(take(&mut receiver, "a", NOW, NOW), Err(WebhookError::Again));
    let later = NOW + 2 * TOLERANCE_S + 1;
    assert_eq!(take(&mut receiver, "d", later, later), Ok(()));
    assert_eq!(receiver.remembered(), 1);
}

#[test]
fn secrets_are_not_shown() {
    assert_eq!(format!("{:?}", receiver()).matches("Secret(..)").count(), 1);
    assert_eq!(secret().reveal().as_str(), SECRET);
    for wrong in ["", "whsec_", "whsec_AAAA", "whsec_not base64!"] {
        assert!(Secret::parse(wrong).is_err(), "{wrong}");
    }
}

proptest! {
    /// Whatever arrives in whatever order: no id is taken twice while its message could be replayed.
    #[test]
    fn nothing_is_taken_twice(
        messages in prop::collection::vec((0..12_u8, 0..900_u64, 0..200_u64, 0..900_u64), 0..120),
        ids_max in 1..20_usize,
    ) {
        let mut receiver = Receiver::new(vec![secret()], ids_max);
        let (mut now, mut taken) = (NOW, Vec::new());
        for (id, at, wait, back) in messages {
            // Now and then somebody sets the clock back.
            now = if back > 800 { now - back } else { now + wait };
            let (id, at) = (id.to_string(), now + at - 450);
            if take(&mut receiver, &id, at, now).is_ok() {
                prop_assert!(!taken.contains(&(id.clone(), at)), "replayed");
                taken.push((id, at));
            }
            prop_assert!(receiver.remembered() <= ids_max);
        }
    }

    #[test]
    fn every_change_of_a_message_is_refused(byte: prop::sample::Index, bit in 0..8_u8, part in 0..3_u8) {
        let body = br#"{"height": 100}"#;
        let signature = secret().sign("msg_1", NOW, body);
        let mut parts = ["msg_1".as_bytes().to_vec(), NOW.to_string().into_bytes(), body.to_vec()];
        let changed = &mut parts[usize::from(part)];
        let at = byte.index(changed.len());
        changed[at] ^= 1 << bit;
        let (Ok(id), Ok(timestamp)) = (std::str::from_utf8(&parts[0]), std::str::from_utf8(&parts[1])) else {
            return Ok(());
        };
        let headers = Headers { id, timestamp, signature: &signature };
        prop_assert!(receiver().take(headers, &parts[2], NOW).is_err());
    }
}
