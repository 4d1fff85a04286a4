//! Parquet files, whose directory is at their end.

use std::fs::File;
use std::io::{Read, Seek};
use std::sync::Arc;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;

use super::{Damage, guarded, take};
use crate::ingest::intake::Intake;
use crate::ingest::{IngestError, RecordSink};

/// The first bytes of a file, and its last.
const MAGIC: [u8; 4] = *b"PAR1";
/// So many cells are decoded at a time.
const BATCH_CELLS: usize = 1 << 20;
/// So many rows at a time at most.
const BATCH_ROWS: usize = 8_192;

/// Whether a file is Parquet by its first bytes. It stands at its beginning afterwards. Of a pipe nothing is read,
/// since nothing can be put back.
pub(in crate::ingest) fn is_parquet(file: &mut File) -> bool {
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return false;
    }
    let mut magic = [0; 4];
    let is_parquet = file.read_exact(&mut magic).is_ok() && magic == MAGIC;
    file.rewind().is_ok() && is_parquet
}

fn damage(error: ParquetError) -> Damage {
    error.to_string()
}

/// Reads a whole file.
pub(in crate::ingest) fn run<S: RecordSink + ?Sized>(
    file: File,
    intake: &mut Intake<'_, S>,
    progress: &mut dyn FnMut(u64),
) -> Result<(), IngestError> {
    let bytes = file.metadata().map_or(0, |metadata| metadata.len());
    let failed = |problem: Damage| IngestError::batches(intake.name, 0, problem);
    let open = || {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(damage)?;
        let columns = builder.parquet_schema().num_columns().max(1);
        let rows = builder.metadata().file_metadata().num_rows();
        let schema = Arc::clone(builder.schema());
        let batch_rows = (BATCH_CELLS / columns).clamp(1, BATCH_ROWS);
        Ok((builder.with_batch_size(batch_rows).build().map_err(damage)?, schema, rows))
    };
    let (mut reader, schema, rows) = guarded(open).map_err(failed)?;
    let mut read = 0_u64;
    let next = || {
        let batch = reader.next().transpose().map_err(|error| error.to_string())?;
        read += batch.as_ref().map_or(0, |batch| batch.num_rows() as u64);
        let share = read as f64 / u64::try_from(rows).unwrap_or(0).max(1) as f64;
        progress((bytes as f64 * share.min(1.0)) as u64);
        Ok(batch)
    };
    take(&schema, next, intake)
}
