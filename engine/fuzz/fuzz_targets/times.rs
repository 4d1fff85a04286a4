#![no_main]
//! Times: `count u16 · encoding`.

use chronolith_engine::chunk::codec::{Policy, TimesView, decode_times, encode_times};
use chronolith_engine_fuzz::{counted, promised, within};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((count, bytes)) = counted(data) else { return };
    let bound = promised(bytes.len(), count);
    let mut times = Vec::new();
    let decoded = within(bound, || decode_times(bytes, count, &mut times));
    let view = TimesView::parse(bytes, count);
    if decoded.is_err() {
        assert!(times.is_empty(), "what was appended before an error stayed");
        // What is behind the head may be damaged: no panic, whatever the answer.
        if let Ok(view) = view {
            let _ = within(bound, || view.lower_bound(0));
        }
        return;
    }
    assert_eq!(times.len(), count);
    if !times.is_sorted_by(|a, b| a < b) {
        return;
    }
    let view = view.expect("what decodes parses");
    let probes = [times.first(), times.get(count / 2), times.last()].map(|time| time.copied());
    for probe in probes.into_iter().flatten().chain([i64::MIN, 0, i64::MAX]) {
        for probe in [probe.saturating_sub(1), probe, probe.saturating_add(1)] {
            let expected = times.partition_point(|time| *time < probe);
            assert_eq!(view.lower_bound(probe), Ok(expected));
        }
    }
    for policy in [Policy::Smallest, Policy::Fastest] {
        let mut encoded = Vec::new();
        encode_times(&times, policy, &mut encoded);
        let mut again = Vec::new();
        within(promised(encoded.len(), count), || decode_times(&encoded, count, &mut again))
            .expect("an own encoding decodes");
        assert_eq!(again, times);
    }
});
