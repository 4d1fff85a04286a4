#![no_main]
//! What the ledger reads of a header, beside what the engine reads.

use chronolith_engine::chunk::ChunkHeader;
use chronolith_engine_fuzz::{in_proportion, within};
use chronolith_keys::{HEADER_BYTES_MAX, HeaderProblem, HeaderView};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if data.len() > HEADER_BYTES_MAX {
        return;
    }
    let found = within(in_proportion(data.len()), || HeaderView::from_bytes(data));
    let Ok(header) = ChunkHeader::from_bytes(data) else { return };
    let Some(encryption) = header.encryption else {
        assert_eq!(found.map_err(|error| error.problem), Err(HeaderProblem::Clear));
        return;
    };
    let view = found.expect("what the engine reads the ledger reads");
    assert_eq!((view.window_ns, view.encryption), (header.window_ns, encryption));
    let slot = (header.window, header.generation, header.part);
    assert_eq!((view.slot.window, view.slot.generation, view.slot.part), slot);
    let names = view.metric.map(|metric| (metric.device.to_owned(), metric.name.to_owned()));
    assert_eq!(names, header.shown.map(|shown| (shown.device, shown.name)));
});
