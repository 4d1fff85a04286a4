//! Commands that were called wrongly: exit code 2, as clap's own.

use std::time::Duration;

use chronolith_engine::Every;

use crate::ingest::{ArgsError, IngestError};

/// An argument that cannot be used; the message says what would be right.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// Whether an error is the caller's.
pub(super) fn is_usage(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<Usage>()
            || cause.is::<ArgsError>()
            || matches!(cause.downcast_ref(), Some(IngestError::Option { .. }))
    })
}

/// Reads how long something may take.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match text.parse::<Every>() {
        Ok(Every::Nanoseconds(length)) => Ok(Duration::from_nanos(length.unsigned_abs())),
        _ => Err("write a time like 500ms, 30s or 5m".to_owned()),
    }
}
