//! Commands that were called wrongly: exit code 2, as clap's own.

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
