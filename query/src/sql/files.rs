//! Answers as files: Parquet and Arrow IPC.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use arrow::ipc::writer::StreamWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::answer::Answer;
use super::error::QueryError;

/// So many rows are compressed together: a reader needs memory for one such group.
const ROW_GROUP_ROWS: usize = 128 * 1024;

fn output(error: impl std::fmt::Display) -> QueryError {
    QueryError::Output(error.to_string())
}

impl Answer {
    /// Writes all rows as a Parquet file; how many there were.
    pub fn write_parquet(self, out: impl Write + Send) -> Result<u64, QueryError> {
        let schema = portable_schema(&self.schema());
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .build();
        let writer = ArrowWriter::try_new(out, Arc::clone(&schema), Some(properties));
        let mut writer = writer.map_err(output)?;
        let mut rows = 0;
        for batch in self {
            let batch = portable(&schema, &batch?)?;
            rows += batch.num_rows() as u64;
            writer.write(&batch).map_err(output)?;
        }
        writer.close().map_err(output)?;
        Ok(rows)
    }

    /// Writes all rows as a stream of Arrow IPC; how many there were.
    pub fn write_arrow(self, out: impl Write) -> Result<u64, QueryError> {
        let schema = portable_schema(&self.schema());
        let mut writer = StreamWriter::try_new_buffered(out, &schema).map_err(output)?;
        let mut rows = 0;
        for batch in self {
            let batch = portable(&schema, &batch?)?;
            rows += batch.num_rows() as u64;
            writer.write(&batch).map_err(output)?;
        }
        writer.finish().map_err(output)?;
        Ok(rows)
    }
}

/// The same columns in types that every reader knows: views of texts are young.
fn portable_schema(schema: &Schema) -> SchemaRef {
    let field = |field: &FieldRef| -> FieldRef {
        let data_type = match field.data_type() {
            DataType::Utf8View => DataType::Utf8,
            DataType::BinaryView => DataType::Binary,
            other => other.clone(),
        };
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

fn portable(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch, QueryError> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| cast(column, field.data_type()).map_err(output));
    let columns = columns.collect::<Result<Vec<ArrayRef>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).map_err(output)
}
