//! What the fuzz targets share: a bound on what a decoder allocates, and that nothing has two
//! encodings.

#[path = "../../../engine/fuzz/src/allocation.rs"]
mod allocation;
pub mod deals;
mod node;
mod seed;

pub use allocation::within;
pub use node::{height_log, own_files, peer, said, sign_guard};
pub use seed::{Seed, seed};

use borsh::BorshSerialize;
use chronolith_chain::certificate::Certificate;
use chronolith_chain::encoding::{DecodeError, encode};
use chronolith_chain::genesis::Genesis;
use chronolith_chain::light::{Bundle, Options, Trusted};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What decoders promise to allocate at most.
const fn promised(input: usize) -> usize {
    8 * input + (1 << 20)
}

/// Decodes within the promise; what decodes is exactly what it encodes to.
pub fn canonical<T: BorshSerialize>(
    data: &[u8],
    decode: impl FnOnce(&[u8]) -> Result<T, DecodeError>,
) -> Option<T> {
    match within(promised(data.len()), || decode(data)) {
        Ok(value) => {
            assert!(encode(&value) == data, "the value has another encoding");
            Some(value)
        }
        Err(error) => {
            assert!(error.offset <= data.len() && !error.to_string().is_empty());
            None
        }
    }
}

/// Values as JSON, read within the promise: what is read is written and read again as the same, and
/// is a value that the binary encoding has, too.
pub fn json<T: Serialize + DeserializeOwned + BorshSerialize>(
    data: &[u8],
    decode: impl FnOnce(&[u8]) -> Result<T, DecodeError>,
) {
    let Ok(value) = within(promised(data.len()), || serde_json::from_slice::<T>(data)) else {
        return;
    };
    let text = serde_json::to_vec(&value).expect("what was read can be written");
    let again: T = serde_json::from_slice(&text).expect("what was written can be read");
    let bytes = encode(&value);
    assert!(encode(&again) == bytes, "it was read as another value");
    assert!(encode(&decode(&bytes).expect("a value")) == bytes, "it is no value in binary");
}

/// Certificates, verified by the set of the seeds: only the seed itself holds.
pub fn certificate(data: &[u8]) {
    let Some(found) = canonical(data, Certificate::decode) else { return };
    let Seed { set, certificate, header, .. } = seed();
    if found.verify(set, header.chain).is_ok() {
        assert!(found == *certificate, "another certificate holds");
    }
}

/// Bundles, verified from the genesis of the seeds: what is proved is of the seeds' chain.
pub fn bundle(data: &[u8]) {
    let Some(found) = canonical(data, Bundle::decode) else { return };
    let Seed { genesis, header, .. } = seed();
    let Ok(trusted) = Trusted::genesis(genesis) else { return };
    let options = Options { trusting_period_ns: None, clock_drift_ns: 0 };
    if let Ok(proved) = found.verify(&trusted, header.time_ns, &options) {
        assert!(proved.header.height <= header.height, "a header from nowhere is believed");
    }
}

/// Genesis documents, and the values that they begin with.
pub fn genesis(data: &[u8]) {
    let Some(found) = canonical(data, Genesis::decode) else { return };
    let _ = (found.values(), Trusted::genesis(&found));
}
