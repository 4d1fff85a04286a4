//! The loop of the formats whose rows are lines.

use super::input::{Line, Source};
use super::intake::Intake;
use super::{At, IngestError, Reason, RecordSink};

/// Why a line is rejected, and the byte of it where.
pub(super) type LineError = (usize, Reason);

/// Hands over each line behind those to skip, with its number; what is too long or not UTF-8 is
/// rejected.
pub(super) fn each_line<'a, S: RecordSink + ?Sized>(
    source: &mut Source<'_>,
    intake: &mut Intake<'a, S>,
    mut take: impl FnMut(&str, u64, &mut Intake<'a, S>) -> Result<(), IngestError>,
) -> Result<(), IngestError> {
    for _ in 0..intake.options.skip_lines {
        source.next_line()?;
    }
    let limit_bytes = source.limit();
    while let Some(Line { number, bytes, too_long }) = source.next_line()? {
        if too_long {
            intake.reject_row(At::new(number, 0), 1, Reason::TooLong { limit_bytes });
            continue;
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => take(text, number, intake)?,
            Err(error) => {
                let at = error.valid_up_to();
                intake.reject_row(At::new(number, at), 1, Reason::NotUtf8(bytes[at]));
            }
        }
    }
    Ok(())
}
