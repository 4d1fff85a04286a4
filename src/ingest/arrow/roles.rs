//! Roles: what each column of a file is, by options, by names, or since we wrote it ourselves.

use chronolith_query::TAG_METADATA;
use chronolith_query::arrow::datatypes::{DataType, FieldRef};

use super::time::TimeColumn;
use crate::ingest::csv::header::Header;
use crate::ingest::{DeviceSource, IngestOptions};

/// The columns that `chronolith export --format parquet` writes before the tags.
const EXPORT: [&str; 3] = ["time", "device", "name"];

/// What each column is.
pub(super) struct Roles {
    pub(super) time: TimeColumn,
    /// The device of all rows, where no column names it.
    pub(super) device_name: String,
    pub(super) device: Option<usize>,
    /// Tags: the column and the key.
    pub(super) tags: Vec<(usize, String)>,
    /// Names the metric of the row, where each row is one record.
    pub(super) name: Option<usize>,
    /// The unit of the row's metric.
    pub(super) unit: Option<usize>,
    /// The content ids of values that the file does not hold.
    pub(super) blob: Option<usize>,
    /// All other columns: values.
    pub(super) values: Vec<usize>,
}

impl Roles {
    /// Finds the roles; an error says which option is missing or wrong.
    pub(super) fn new(
        header: &Header,
        fields: &[FieldRef],
        options: &IngestOptions,
    ) -> Result<Self, String> {
        let time = TimeColumn::new(header, fields, options)?;
        let (device_name, device) = match &options.device {
            DeviceSource::Named(name) => (name.clone(), None),
            DeviceSource::Column(name) => {
                (String::new(), Some(header.require("--device-column", name)?))
            }
            _ => (String::new(), header.find("device")),
        };
        for (name, _) in options.types.iter().filter(|_| options.metric_column.is_none()) {
            if !is_export(fields) {
                header.require("--type", name)?;
            }
        }
        let mut roles = Self {
            time,
            device_name,
            device,
            tags: Vec::new(),
            name: None,
            unit: None,
            blob: None,
            values: Vec::new(),
        };
        if is_export(fields) && options.metric_column.is_none() {
            roles.set_export(fields);
        } else {
            roles.set_given(header, options, fields.len())?;
        }
        Ok(roles)
    }

    fn set_given(
        &mut self,
        header: &Header,
        options: &IngestOptions,
        columns: usize,
    ) -> Result<(), String> {
        let others: Vec<usize> = (0..columns)
            .filter(|column| *column != self.time.column && self.device != Some(*column))
            .collect();
        let tag = |column: usize| (column, header.columns[column].name.clone());
        if let (Some(name), Some(value)) = (&options.metric_column, &options.value_column) {
            let name = header.require("--metric-column", name)?;
            let value = header.require("--value-column", value)?;
            (self.name, self.values) = (Some(name), vec![value]);
            let is_tag = |column: &usize| *column != name && *column != value;
            self.tags = others.into_iter().filter(is_tag).map(tag).collect();
            return Ok(());
        }
        for name in &options.tag_columns {
            self.tags.push(tag(header.require("--tag-column", name)?));
        }
        let is_tag = |column: usize| self.tags.iter().any(|(tag, _)| *tag == column);
        self.values = others.into_iter().filter(|column| !is_tag(*column)).collect();
        Ok(())
    }

    fn set_export(&mut self, fields: &[FieldRef]) {
        let unit = fields.iter().position(|field| field.name() == "unit").unwrap_or(fields.len());
        (self.name, self.unit) = (Some(2), Some(unit));
        self.tags = (3..unit)
            .map(|column| {
                let field = &fields[column];
                let key = field.metadata().get(TAG_METADATA).unwrap_or_else(|| field.name());
                (column, key.clone())
            })
            .collect();
        for (column, field) in fields.iter().enumerate().skip(unit + 1) {
            match field.name() == "blob" {
                true => self.blob = Some(column),
                false => self.values.push(column),
            }
        }
    }
}

/// Whether the columns are those of the table `records`: each row is one record.
fn is_export(fields: &[FieldRef]) -> bool {
    let starts = fields.len() > EXPORT.len()
        && EXPORT.iter().zip(fields).all(|(own, field)| own == field.name());
    let mut behind = fields.iter().skip_while(|field| field.name() != "unit").skip(1).peekable();
    let is_time = matches!(fields.first().map(|f| f.data_type()), Some(DataType::Timestamp(..)));
    starts
        && is_time
        && behind.peek().is_some()
        && behind.all(|field| field.name().starts_with("value") || field.name() == "blob")
}
