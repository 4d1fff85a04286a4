//! Doors to the private decoders for the fuzz targets in `engine/fuzz`; compiled only by them.
//!
//! Each function takes bytes from outside, hands them to one decoder, and checks what decodes:
//! it must encode again, and that encoding must decode to the same. A broken promise panics.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use chronolith_disk::{Disk, SimDisk};
use chronolith_merkle::{DAG_CBOR, HashFunction, RAW, content_id};

use crate::batch::{Batch, StateChange, put_value, read_value};
use crate::blob::{self, BlobReader, BlockList};
use crate::block::Block;
use crate::chunk::body::{BodyError, BodyView, assemble, encode_columns};
use crate::chunk::codec::Policy;
use crate::chunk::{ChunkHeader, ChunkKey, Shown, Statistics};
use crate::db;
use crate::encoding::{Malformed, Reader, put_bytes, put_varint};
use crate::keys::{self, ProducerKey};
use crate::manifest::{
    self, Manifest, RetentionRule, RunRecord, SegmentRecord, Tombstone,
};
use crate::model::{BlobRef, Column, Definition, Kind, Level, Limits, Metric, Place, ValueRef};
use crate::protect::{Clear, Purpose};
use crate::record;
use crate::registry::codec::{put_defined, read_defined};
use crate::registry::{self, Defined, Registry};
use crate::run::Run;
use crate::segment::fuzzed::{Before, Index, Page};
use crate::segment::{Body, ChunkEntry, SealRecord};
use crate::wal::frame::{Frame, FrameView, file_header};
use crate::wal::payload::{Deletion, Payload, decode, encode};
use crate::wal::recovery::{LogEnd, replay};
use crate::wal::{self};
