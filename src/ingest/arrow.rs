//! Parquet files and Arrow IPC (files and streams), batch by batch.
//!
//! What says the roles of columns is what says them in CSV: names, `--time`, `--device-column`,
//! `--tag-column`, `--metric-column`. Kinds come from the types of the columns ([`cells`]), times from
//! columns of timestamps in any unit and zone ([`time`]); a null is an empty cell, and a rejection
//! names the row and the number of the column. What `chronolith export --format parquet` wrote comes
//! back as it was ([`roles`]).
//!
//! A batch is held at a time: of Parquet so many rows as make about a million cells, of Arrow IPC what
//! the writer made one batch of, which the format does not let be read in parts.

mod cells;
mod ipc;
mod parquet;
mod roles;
mod rows;
#[cfg(test)]
mod tests;
mod time;

use std::panic::{AssertUnwindSafe, catch_unwind};

use chronolith_query::arrow::array::{ArrayRef, AsArray, RecordBatch};
use chronolith_query::arrow::datatypes::{DataType, Field, FieldRef, Schema};

use super::intake::Intake;
use super::{DeviceSource, IngestError, RecordSink};
pub(super) use ipc::run as run_ipc;
pub(super) use parquet::{is_parquet, run as run_parquet};
use rows::Rows;

/// Why a file cannot be read on.
type Damage = String;

/// What a decoder of foreign bytes gives. They are not free of panics, none of which may end the
/// process: it is an error like others.
fn guarded<T>(decode: impl FnOnce() -> Result<T, Damage>) -> Result<T, Damage> {
    let decoded = catch_unwind(AssertUnwindSafe(decode));
    decoded.unwrap_or_else(|_| Err("its data is damaged".to_owned()))
}

/// Takes the rows of batches, which share a schema.
fn take<S: RecordSink + ?Sized>(
    schema: &Schema,
    mut next: impl FnMut() -> Result<Option<RecordBatch>, Damage>,
    intake: &mut Intake<'_, S>,
) -> Result<(), IngestError> {
    if matches!(intake.options.device, DeviceSource::Tag(_)) {
        let problem = "--device-tag is for line protocol; columns take --device-column COLUMN";
        return Err(intake.option_error(problem));
    }
    let mut flat: Vec<FieldRef> = Vec::new();
    schema.fields().iter().for_each(|field| flat_fields(field, field.name(), &mut flat));
    let mut rows = Rows::new(&flat, intake)?;
    loop {
        match guarded(&mut next) {
            Ok(Some(batch)) => {
                check_cells(batch.num_rows(), flat.len(), intake)
                    .map_err(|damage| IngestError::batches(intake.name, rows.number(), damage))?;
                let mut columns = Vec::with_capacity(flat.len());
                batch.columns().iter().for_each(|column| flat_columns(column, &mut columns));
                rows.batch(&columns, batch.num_rows(), intake)?;
            }
            Ok(None) => break,
            Err(damage) => {
                return Err(IngestError::batches(intake.name, rows.number(), damage));
            }
        }
    }
    rows.notes().into_iter().for_each(|note| intake.note(note));
    Ok(())
}

/// Refuses a batch with more cells than its bytes could hold: columns of nulls and of runs have any number
/// of rows in none, and are taken apart cell by cell.
fn check_cells<S: RecordSink + ?Sized>(
    rows: usize,
    columns: usize,
    intake: &Intake<'_, S>,
) -> Result<(), Damage> {
    let most = intake.options.max_batch_bytes / 4;
    if rows.saturating_mul(columns.max(1)) <= most {
        return Ok(());
    }
    Err(format!("a batch has {rows} rows of {columns} columns, more than {most} cells"))
}

/// The fields of a schema; those of a struct get its name and a dot before their own.
fn flat_fields(field: &FieldRef, name: &str, flat: &mut Vec<FieldRef>) {
    match field.data_type() {
        DataType::Struct(children) => {
            for child in children {
                flat_fields(child, &format!("{name}.{}", child.name()), flat);
            }
        }
        data_type => {
            let own = Field::new(name, data_type.clone(), true);
            flat.push(std::sync::Arc::new(own.with_metadata(field.metadata().clone())));
        }
    }
}

/// The columns of a batch in the order of [`flat_fields`]; where a struct is null, its fields are.
fn flat_columns(column: &ArrayRef, flat: &mut Vec<ArrayRef>) {
    match column.as_struct_opt() {
        Some(parent) => {
            let (_, children) = parent.clone().flatten();
            children.iter().for_each(|child| flat_columns(child, flat));
        }
        None => flat.push(column.clone()),
    }
}
