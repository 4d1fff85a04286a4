//! De-identification: what is done to records as they are written, so that what a policy hides is nowhere.
//!
//! It is done before the log, not when a window is sealed: the log, runs, followers and continuous queries
//! would have the records as they came, and a window that is sealed once more, for what came late or was
//! deleted, would have to know which of its records were changed already.

use std::borrow::Cow;

use chronolith_keys::Secret;
use chronolith_keys::policy::{Policies, Policy};

use crate::batch::{Batch, bits_value, put_value, read_value, value_bits};
use crate::db::Inner;
use crate::db::write::check_kinds;
use crate::encoding::Reader;
use crate::error::WriteError;
use crate::key_trees::KeyRandom;
use crate::model::ValueRef;
use crate::registry::Registry;

impl Inner {
    /// A batch as it is written: the same where no metric of it has policies.
    pub(super) fn deidentified<'a>(&self, batch: &'a Batch) -> Result<Cow<'a, Batch>, WriteError> {
        let registry = self.registry.read();
        if registry.with_policies().is_empty()
            || !batch.metrics.iter().any(|metric| registry.with_policies().contains(*metric))
        {
            return Ok(Cow::Borrowed(batch));
        }
        // Before positions change.
        check_kinds(&registry, batch)?;
        let mut changing = Changing {
            registry: &registry,
            pseudonyms: self.key.as_ref().map(|key| Secret::new(key.value_key())),
            random: KeyRandom::new().map_err(|error| WriteError::Refused(error.to_string()))?,
            out: batch.without_records(),
        };
        for position in 0..batch.len() {
            changing.put(batch, position)?;
        }
        Ok(Cow::Owned(changing.out))
    }
}

/// A batch that is being changed.
struct Changing<'a> {
    registry: &'a Registry,
    /// None where the database has no key, and is only read.
    pseudonyms: Option<Secret>,
    random: KeyRandom,
    out: Batch,
}

impl Changing<'_> {
    /// Takes over a record, changed by the policies of its metric.
    fn put(&mut self, batch: &Batch, position: usize) -> Result<(), WriteError> {
        let (metric, kind) = (batch.metrics[position], batch.kinds[position]);
        let (time_ns, bits) = (batch.times[position], batch.bits[position]);
        let none = Policies::default();
        let definition = self.registry.get(metric);
        let policies = definition.map_or(&none, |definition| &definition.policies);
        if policies.is_dropped() {
            return Ok(());
        }
        let bits = match bits_value(kind, bits) {
            Some(value) => self.number(policies, value, bits),
            None => {
                let data = usize::try_from(bits).ok().and_then(|from| batch.data.get(from..));
                let value = data.map(|data| read_value(&mut Reader::new(data), kind));
                let Some(Ok(value)) = value else {
                    return Err(WriteError::Refused("a value of the batch is damaged".to_owned()));
                };
                self.text(policies, value, position)?
            }
        };
        self.out.metrics.push(metric);
        self.out.kinds.push(kind);
        self.out.times.push(policies.time(time_ns));
        self.out.bits.push(bits);
        Ok(())
    }

    /// The bits of what a value of fixed size becomes.
    fn number(&mut self, policies: &Policies, value: ValueRef<'_>, bits: u64) -> u64 {
        let random = &mut self.random;
        let changed = match value {
            ValueRef::F64(value) => ValueRef::F64(policies.f64(value, random)),
            ValueRef::I64(value) => ValueRef::I64(policies.i64(value, random)),
            ValueRef::U64(value) => ValueRef::U64(policies.u64(value, random)),
            other => other,
        };
        value_bits(changed).unwrap_or(bits)
    }

    /// Where what a value of varying size becomes stands in the batch.
    fn text(
        &mut self,
        policies: &Policies,
        value: ValueRef<'_>,
        position: usize,
    ) -> Result<u64, WriteError> {
        let bits = self.out.data.len() as u64;
        let refuse = |what: &str| Err(WriteError::Refused(format!("record {position}: {what}")));
        if !policies.as_slice().contains(&Policy::Pseudonym) {
            put_value(&mut self.out.data, value);
            return Ok(bits);
        }
        let Some(key) = &self.pseudonyms else {
            return refuse("there is no key to make pseudonyms with");
        };
        match value {
            ValueRef::Text(text) => {
                put_value(&mut self.out.data, ValueRef::Text(&policies.text(text, key)));
            }
            ValueRef::Bytes(bytes) => {
                put_value(&mut self.out.data, ValueRef::Bytes(&policies.bytes(bytes, key)));
            }
            _ => {
                return refuse("a blob has no pseudonym: write it to a metric without that policy");
            }
        }
        Ok(bits)
    }
}
