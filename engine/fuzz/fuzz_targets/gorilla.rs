#![no_main]
//! Streams of open chunks: `count u16 · stream`.

use chronolith_engine::chunk::codec::gorilla::{Gorilla, decode};
use chronolith_engine_fuzz::{counted, promised, within};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((count, stream)) = counted(data) else { return };
    let (mut times, mut bits) = (Vec::new(), Vec::new());
    let bound = promised(stream.len(), count);
    if within(bound, || decode(stream, count, &mut times, &mut bits)).is_err() {
        return;
    }
    assert_eq!((times.len(), bits.len()), (count, count));
    let mut gorilla = Gorilla::new();
    times.iter().zip(&bits).for_each(|(time, bits)| gorilla.push(*time, *bits));
    let mut stream = Vec::new();
    gorilla.copy_stream(&mut stream);
    let mut again = (Vec::new(), Vec::new());
    decode(&stream, count, &mut again.0, &mut again.1).expect("an own stream decodes");
    assert_eq!(again, (times.clone(), bits.clone()));
    let mut open = (Vec::new(), Vec::new());
    gorilla.decode_into(&mut open.0, &mut open.1);
    assert_eq!(open, (times, bits));
});
