//! What the store holds: metrics, their definitions, records and columns of records.

mod column;
mod kind;
mod limits;
mod metric;
mod value;
mod window;

pub use column::{Column, VarColumn};
pub use kind::Kind;
pub use limits::Limits;
pub(crate) use metric::Tags;
pub use metric::{Definition, DefinitionError, Level, Metric, MetricId, Place};
pub use value::{BlobRef, Value, ValueRef};
pub use window::{Window, floor_to_window, window_end, window_start};
