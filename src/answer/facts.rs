//! What the ledger must say for an answer to hold: who anchored what, and whose the devices were.

use chronolith_chain::address::Address;
use chronolith_chain::ledger::{AnchorKey, Anchored, Device, DeviceKey, Era, EraKey};
use chronolith_chain::light::{Fact, FactError};
use chronolith_chain::state::Key as _;

/// The most owners of a device whose answers are proved.
const ERAS_MOST: u32 = 64;

/// What the ledger says of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceFacts {
    /// The device.
    pub device: Address,
    /// What it is now.
    pub now: Device,
    /// Whose it was, from the first owner to the present one.
    pub eras: Vec<Era>,
}

/// Why facts are not those that an answer needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FactsError {
    /// A fact is of something else.
    #[error("the facts of the ledger are not those that the answer needs: {0}")]
    Other(#[from] FactError),
    /// There are more facts or fewer.
    #[error("the proof has {found} facts of the ledger where the answer needs {needed}")]
    Count {
        /// How many it needs.
        needed: usize,
        /// How many there are.
        found: usize,
    },
    /// The device is not registered.
    #[error("the ledger has no device {device}")]
    NoDevice {
        /// The device.
        device: Address,
    },
    /// The device had too many owners.
    #[error(
        "the device {device} had more than {ERAS_MOST} owners, which no proof of an answer holds"
    )]
    Eras {
        /// The device.
        device: Address,
    },
    /// A batch is not anchored by who is named.
    #[error("the seal batch {root} was not anchored by {producer}")]
    NoAnchor {
        /// Who is named.
        producer: Address,
        /// The root of the batch.
        root: String,
    },
}

/// The keys of what the ledger says of a device that had so many owners before.
pub(super) fn device_keys(device: Address, tree: u32) -> impl Iterator<Item = Vec<u8>> {
    let eras = (0..=tree.min(ERAS_MOST)).map(move |tree| EraKey { device, tree }.to_bytes());
    std::iter::once(DeviceKey { device }.to_bytes()).chain(eras)
}

/// Reads facts in the order that answers have them in: each device with its eras, then the batches.
///
/// # Errors
/// What is missing or something else.
pub(super) fn read(
    facts: &[Fact],
    devices: &[Address],
    batches: &[AnchorKey],
) -> Result<(Vec<DeviceFacts>, Vec<Anchored>), FactsError> {
    let mut rest = facts.iter();
    let mut needed = 0;
    let mut next = || {
        needed += 1;
        rest.next().ok_or(FactsError::Count { needed, found: facts.len() })
    };
    let mut found = Vec::new();
    for device in devices {
        let device = *device;
        let now = next()?.value(&DeviceKey { device })?.ok_or(FactsError::NoDevice { device })?;
        if now.tree > ERAS_MOST {
            return Err(FactsError::Eras { device });
        }
        let mut eras = Vec::new();
        for tree in 0..=now.tree {
            let era = next()?.value(&EraKey { device, tree })?;
            eras.push(era.ok_or(FactsError::NoDevice { device })?);
        }
        found.push(DeviceFacts { device, now, eras });
    }
    let mut anchored = Vec::new();
    for key in batches {
        let (producer, root) = (key.producer, chronolith_chain::hash::Hash(key.root).to_string());
        let anchor = next()?.value(key)?;
        anchored.push(anchor.ok_or(FactsError::NoAnchor { producer, root })?);
    }
    if facts.len() != needed {
        return Err(FactsError::Count { needed, found: facts.len() });
    }
    Ok((found, anchored))
}

impl DeviceFacts {
    /// Whether an account could anchor for the device at a time, in milliseconds since the epoch.
    #[must_use]
    pub fn could_anchor(&self, account: Address, time_ms: u64) -> bool {
        self.eras.iter().any(|era| era.could_anchor(self.device, account, time_ms))
    }

    /// The eras that share some time with a range, both ends in nanoseconds since the epoch.
    pub fn eras_of(&self, from_ns: i64, to_ns: i64) -> impl Iterator<Item = &Era> {
        let ms = |time_ns: i64| u64::try_from(time_ns.div_euclid(1_000_000)).unwrap_or(0);
        let (from_ms, to_ms) = (ms(from_ns), ms(to_ns));
        self.eras.iter().filter(move |era| {
            from_ns <= to_ns && era.from_ms <= to_ms && era.until_ms.is_none_or(|end| end > from_ms)
        })
    }
}
