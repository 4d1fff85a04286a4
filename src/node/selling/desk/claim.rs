//! What is being done at present, and to what: nobody does the same meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;

use chronolith_chain::hash::RequestId;
use parking_lot::Mutex;

use crate::market::MarketError;
use crate::market::bought::Bought;

/// What one thing is done to.
pub(super) struct Claims {
    /// What is done, as in "is being answered".
    doing: &'static str,
    all: Mutex<BTreeSet<RequestId>>,
}

/// One of those who do it, as long as it lives.
#[must_use]
pub(super) struct Claim {
    of: Arc<Claims>,
    request: RequestId,
}

impl Claims {
    pub(super) fn new(doing: &'static str) -> Arc<Self> {
        Arc::new(Self { doing, all: Mutex::default() })
    }

    /// Begins to do it, if nobody else does.
    pub(super) fn claim(self: &Arc<Self>, bought: Bought) -> Result<Claim, MarketError> {
        let request = bought.request();
        match self.all.lock().insert(request) {
            true => Ok(Claim { of: Arc::clone(self), request }),
            false => {
                let (what, id) = bought.name();
                Err(MarketError::UnderWay { what, id, doing: self.doing })
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.of.all.lock().remove(&self.request);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_does_the_same() {
        let claims = Claims::new("disputed");
        let claim = |byte| claims.claim(Bought::Request(RequestId([byte; 32])));
        let first = claim(1);
        assert!(first.is_ok());
        let told = claim(1).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(told.contains("is being disputed already"), "{told}");
        assert!(claim(2).is_ok(), "others are not held up");
        drop(first);
        assert!(claim(1).is_ok(), "who failed has let go of it");
    }
}
