//! Bytes in: decompression, byte-order marks, and lines in one bounded buffer.
//!
//! Invariants: `start <= end <= buffer.len()`; `buffer[start..end]` is what was read and not yet
//! consumed; `lines` is the number of lines before `start`. Lines end in `\n`: where a file has only
//! `\r`, as old Macs wrote them, these become `\n` as they are read.

mod gzip;

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use memchr::memchr;

use super::IngestError;

/// How much is read at a time.
const BLOCK_BYTES: usize = 1 << 20;

/// An input, decompressed, in a buffer.
pub(super) struct Source<'a> {
    reader: Box<dyn Read + 'a>,
    stored_bytes: Rc<Cell<u64>>,
    progress: &'a mut dyn FnMut(u64),
    stop: Option<&'a AtomicBool>,
    name: &'a str,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    eof: bool,
    lines: u64,
    limit: usize,
    /// Whether `\r` ends lines.
    returns_end_lines: bool,
}

/// One line without its line end.
pub(super) struct Line<'a> {
    /// Its number in the file, from 1.
    pub(super) number: u64,
    /// Its bytes; empty where it is too long.
    pub(super) bytes: &'a [u8],
    /// Whether it was passed over because it is longer than the bound.
    pub(super) too_long: bool,
}

/// Counts the bytes that are consumed as they are stored.
struct Counted<R> {
    reader: R,
    bytes: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(into)?;
        self.bytes.set(self.bytes.get() + read as u64);
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.reader.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.reader.consume(amount);
        self.bytes.set(self.bytes.get() + amount as u64);
    }
}

impl<'a> Source<'a> {
    /// Opens an input: gzip is known by its first bytes, a UTF-8 byte-order mark is dropped.
    /// Reading ends with an error once `stop` is set.
    pub(super) fn open(
        mut input: impl Read + 'a,
        name: &'a str,
        limit: usize,
        stop: Option<&'a AtomicBool>,
        progress: &'a mut dyn FnMut(u64),
    ) -> Result<Self, IngestError> {
        let failed = |source| IngestError::read(name, 0, 0, source);
        let mut magic = Vec::with_capacity(2);
        input.by_ref().take(2).read_to_end(&mut magic).map_err(failed)?;
        let zipped = magic == [0x1f, 0x8b];
        let stored_bytes = Rc::new(Cell::new(0));
        let (whole, bytes) = (Cursor::new(magic).chain(input), Rc::clone(&stored_bytes));
        let reader: Box<dyn Read + 'a> = if zipped {
            Box::new(gzip::Members::new(Counted { reader: BufReader::new(whole), bytes }))
        } else {
            Box::new(Counted { reader: whole, bytes })
        };
        let mut source = Self {
            reader,
            stored_bytes,
            progress,
            stop,
            name,
            buffer: vec![0; BLOCK_BYTES],
            start: 0,
            end: 0,
            eof: false,
            lines: 0,
            limit,
            returns_end_lines: false,
        };
        while source.window().len() < 4 && source.fill()? {}
        if source.window().starts_with(&[0xef, 0xbb, 0xbf]) {
            source.start += 3;
        }
        match source.window() {
            // With a byte-order mark, or two characters of ASCII without one.
            [0xff, 0xfe, ..]
            | [0xfe, 0xff, ..]
            | [1..=127, 0, 1..=127, 0, ..]
            | [0, 1..=127, 0, 1..=127, ..] => Err(IngestError::Utf16 { file: name.to_owned() }),
            _ => Ok(source),
        }
    }

    /// Takes `\r` for the end of lines where the window, the beginning of the input, has no other;
    /// whether it is so.
    pub(super) fn settle_line_ends(&mut self) -> bool {
        let window = self.window();
        if memchr(b'\n', window).is_none()
            && let Some(at) = memchr(b'\r', window)
            && (at + 1 < window.len() || self.eof)
        {
            self.returns_end_lines = true;
            end_lines(&mut self.buffer[self.start..self.end]);
        }
        self.returns_end_lines
    }

    /// What is read and not consumed.
    pub(super) fn window(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Whether there is nothing to read beyond the window.
    pub(super) const fn at_end(&self) -> bool {
        self.eof
    }

    /// The number of the line at the start of the window, from 1.
    pub(super) const fn line_number(&self) -> u64 {
        self.lines + 1
    }

    /// Bytes read so far, as stored.
    pub(super) fn stored_bytes(&self) -> u64 {
        self.stored_bytes.get()
    }

    /// The longest row in bytes.
    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    /// Consumes so many bytes of the window, which held so many line ends.
    pub(super) fn consume(&mut self, bytes: usize, lines: u64) {
        self.start = (self.start + bytes).min(self.end);
        self.lines += lines;
    }

    /// Reads more behind the window; false at the end of the input.
    pub(super) fn fill(&mut self) -> Result<bool, IngestError> {
        if self.eof {
            return Ok(false);
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.buffer.len() - self.end < BLOCK_BYTES / 4 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if self.buffer.len() - self.end < BLOCK_BYTES / 2 {
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
        }
        let read = loop {
            if self.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                return Err(IngestError::Stopped { file: self.name.to_owned(), line: self.lines });
            }
            match self.reader.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    let byte = self.stored_bytes.get();
                    return Err(IngestError::read(self.name, self.lines, byte, source));
                }
                Ok(read) => break read,
            }
        };
        if self.returns_end_lines {
            end_lines(&mut self.buffer[self.end..self.end + read]);
        }
        self.end += read;
        self.eof = read == 0;
        (self.progress)(self.stored_bytes.get());
        Ok(!self.eof)
    }

    /// Reads until the window has more lines, or at least so many bytes, or the input ends. Does
    /// not wait for more than a line that is there.
    pub(super) fn fill_lines(&mut self, bytes: usize) -> Result<(), IngestError> {
        while self.window().len() < bytes {
            let before = self.window().len();
            if !self.fill()? || memchr(b'\n', &self.window()[before..]).is_some() {
                break;
            }
        }
        Ok(())
    }

    /// At the end of the input, closes the last line where its line end is missing.
    pub(super) fn close_last_line(&mut self) {
        if self.eof && self.start < self.end && self.buffer[self.end - 1] != b'\n' {
            if self.end == self.buffer.len() {
                self.buffer.push(b'\n');
            } else {
                self.buffer[self.end] = b'\n';
            }
            self.end += 1;
        }
    }

    /// The next line; a `\r` before the line end is dropped.
    pub(super) fn next_line(&mut self) -> Result<Option<Line<'_>>, IngestError> {
        let mut searched = 0;
        loop {
            if let Some(at) = memchr(b'\n', &self.window()[searched..]) {
                let length = searched + at;
                return Ok(Some(self.take_line(length, length + 1)));
            }
            searched = self.window().len();
            if searched > self.limit {
                self.skip_line()?;
                return Ok(Some(Line { number: self.lines, bytes: &[], too_long: true }));
            }
            if !self.fill()? {
                let rest = self.window().len();
                return Ok((rest > 0).then(|| self.take_line(rest, rest)));
            }
        }
    }

    /// Consumes through the next line end, without keeping what it passes over.
    pub(super) fn skip_line(&mut self) -> Result<(), IngestError> {
        loop {
            if let Some(at) = memchr(b'\n', self.window()) {
                self.consume(at + 1, 1);
                return Ok(());
            }
            self.start = self.end;
            if !self.fill()? {
                self.lines += 1;
                return Ok(());
            }
        }
    }

    fn take_line(&mut self, length: usize, consumed: usize) -> Line<'_> {
        let from = self.start;
        self.consume(consumed, 1);
        let bytes = &self.buffer[from..from + length];
        let too_long = length > self.limit;
        let bytes = if too_long { &[] } else { bytes.strip_suffix(b"\r").unwrap_or(bytes) };
        Line { number: self.lines, bytes, too_long }
    }
}

/// Makes line ends of the `\r` of old Macs.
fn end_lines(bytes: &mut [u8]) {
    bytes.iter_mut().filter(|byte| **byte == b'\r').for_each(|byte| *byte = b'\n');
}
