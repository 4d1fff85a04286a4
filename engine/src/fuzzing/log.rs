//! Frames of the log and what they hold.

use chronolith_merkle::{HashFunction, RAW, content_id};

use crate::batch::{Batch, StateChange, put_value};
use crate::model::{BlobRef, Kind, ValueRef};
use crate::protect::{Clear, Protect, Protection, Purpose};
use crate::wal;
use crate::wal::frame::{Frame, FrameView, Salt, file_header};
use crate::wal::payload::{decode, encode};
use crate::wal::recovery::{LogEnd, LogStart, replay};

use super::definitions::assert_same_definitions;
use super::{a_deletion, block_of, disk_with, split, two_definitions};

/// Whole frames of the log, damaged ones, and the reading of a file of them:
/// `operation u8 · length u16 · payload` each.
pub fn wal_frame(data: &[u8]) {
    let salt = Salt::new(b"fuzz", 1);
    if let Some(frame) = FrameView::parse(data, salt) {
        assert_eq!(&data[frame.len() - frame.payload.len()..frame.len()], frame.payload);
    }
    let mut from = 0;
    while let Some((at, frame)) = FrameView::search(data, from, salt) {
        from = at + frame.len();
    }
    let mut file = file_header(salt, 1, 0).to_vec();
    let mut sequence = 0_u64;
    let mut rest = data;
    while let Some((operation, after)) = rest.split_first() {
        let (payload, after) = split(after);
        rest = after;
        let mut bytes = Frame::room(payload.len());
        bytes.extend_from_slice(payload);
        let mut frame = Frame::new(bytes, |payload| Clear.protect(Purpose::Wal, payload));
        let word = payload.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
        sequence = sequence.wrapping_add(1);
        let whole = match operation % 5 {
            0 => frame.finish(salt, sequence, sequence.saturating_sub(1)),
            1 => frame.finish(salt, word, sequence),
            2 => frame.finish(salt, sequence, word),
            3 => payload,
            _ => {
                let whole = frame.finish(salt, sequence, 0);
                &whole[..whole.len() / 2]
            }
        };
        if matches!(operation % 5, 0..3) {
            let view = FrameView::parse(whole, salt).expect("an own frame parses");
            assert_eq!(view.payload, payload);
            assert_eq!(view.protection, Protection::CLEAR);
        }
        file.extend_from_slice(whole);
    }
    let disk = disk_with(wal::DIR, &wal::file_name(1), &file);
    for confirmed in [None, Some(LogEnd { file: 1, offset: file.len() as u64 / 2 })] {
        for after in [0, 1] {
            let take = &mut |_, _| Ok(());
            let log = LogStart {
                database: b"fuzz",
                first_file: 1,
                last_file: 1,
                after,
                named: after,
                confirmed,
                is_shared: false,
            };
            if let Ok(recovered) = replay(&disk, &Clear, log, take) {
                assert!(recovered.end.offset <= file.len() as u64);
                assert!(recovered.confirmed <= recovered.end || recovered.torn.is_some());
            }
        }
    }
}

/// The content of a frame.
pub fn wal_payload(data: &[u8]) {
    let Ok(payload) = decode(data) else { return };
    let batch = &payload.batch;
    assert_eq!([batch.kinds.len(), batch.times.len(), batch.bits.len()], [batch.metrics.len(); 3]);
    let _ = batch.blobs();
    let mut bytes = Vec::new();
    encode(&payload.definitions, &payload.deletions, batch, &mut bytes);
    let again = decode(&bytes).expect("an own payload decodes");
    let columns = |batch: &Batch| {
        let Batch { metrics, kinds, times, bits, data, state, .. } = batch.clone();
        (metrics, kinds, times, bits, data, state)
    };
    assert_eq!(columns(&again.batch), columns(batch));
    assert_eq!(again.deletions, payload.deletions);
    assert_same_definitions(&again.definitions, &payload.definitions);
}

pub(super) fn seeds(seeds: &mut Vec<(&'static str, Vec<u8>)>) {
    let (definitions, deletions) = (two_definitions(), [a_deletion()]);
    let body = content_id(RAW, HashFunction::Sha256, b"body");
    let mut payloads = Vec::new();
    for kind in Kind::ALL {
        let mut batch = Batch::default();
        for (time, value) in block_of(kind, 5).iter() {
            batch.metrics.push(time as u32 % 3);
            batch.kinds.push(kind);
            batch.times.push(time);
            match crate::batch::value_bits(value) {
                Some(bits) => batch.bits.push(bits),
                None => {
                    batch.bits.push(batch.data.len() as u64);
                    put_value(&mut batch.data, value);
                }
            }
        }
        if kind == Kind::Bytes {
            batch.bits[0] = batch.data.len() as u64;
            put_value(&mut batch.data, ValueRef::Blob(BlobRef { cid: body, len_bytes: 9 }));
        }
        let value = (kind != Kind::F64).then(|| b"value".to_vec());
        let (namespace, key) = ("namespace".to_owned(), b"key".to_vec());
        batch.state.push(StateChange { namespace, key, value });
        let mut payload = Vec::new();
        encode(&definitions, &deletions, &batch, &mut payload);
        payloads.push(payload);
    }
    let mut frames = Vec::new();
    for (at, payload) in payloads.iter().enumerate() {
        frames.push(if at == 4 { 2 } else { 0 });
        frames.extend_from_slice(&(payload.len() as u16).to_le_bytes());
        frames.extend_from_slice(payload);
    }
    seeds.push(("wal_frame", frames));
    seeds.push(("wal_frame", vec![0, 0, 0, 2, 8, 0, 255, 255, 255, 255, 255, 255, 255, 255]));
    seeds.extend(payloads.into_iter().map(|payload| ("wal_payload", payload)));
}
