//! Headers in a file, for others to import.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use chronolith_query::search::remote::car;
use cid::Cid;

use super::lines::header_line;

/// A file of headers that is being written.
pub(in crate::cli) struct HeaderFile {
    path: PathBuf,
    out: BufWriter<File>,
    has_lines: bool,
}

impl HeaderFile {
    /// Begins a file: JSON lines where its name ends so, else CAR.
    pub(in crate::cli) fn create(path: &Path) -> Result<Self> {
        let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
        let has_lines = ["ndjson", "jsonl"].contains(&end.to_ascii_lowercase().as_str());
        let made = File::create(path).map(BufWriter::new).and_then(|mut out| {
            if !has_lines {
                car::begin(&mut out)?;
            }
            Ok(out)
        });
        let out = made.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path: path.to_owned(), out, has_lines })
    }

    pub(in crate::cli) fn put(&mut self, cid: &Cid, header: &[u8]) -> Result<()> {
        let put = match self.has_lines {
            true => writeln!(self.out, "{}", header_line(cid, header)),
            false => car::put(&mut self.out, cid, header),
        };
        put.with_context(|| format!("cannot write {}", self.path.display()))
    }

    pub(in crate::cli) fn finish(mut self) -> Result<()> {
        let synced = self.out.flush().and_then(|()| self.out.get_ref().sync_all());
        synced.with_context(|| format!("cannot write {}", self.path.display()))
    }
}
