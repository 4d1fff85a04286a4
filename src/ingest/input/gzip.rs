//! Gzip: members one behind the other, the zeros that tar and tapes pad with, and damage that
//! costs no more than what lies behind it.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// How much is unpacked at a time. A damaged stream loses what the decoder had unpacked of the
/// piece that the damage is in, so pieces are small.
const PIECE_BYTES: usize = 16 << 10;

/// The content of all members of a gzip file.
pub(super) struct Members<R> {
    state: State<R>,
}

enum State<R> {
    Inside(GzDecoder<R>),
    Between(R),
    End,
}

impl<R: BufRead> Members<R> {
    pub(super) fn new(packed: R) -> Self {
        Self { state: State::Between(packed) }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = into.len().min(PIECE_BYTES);
        loop {
            match std::mem::replace(&mut self.state, State::End) {
                State::Inside(mut member) => {
                    let read = member.read(&mut into[..length]);
                    // A pipe may be asked again after an interruption; damage is the end.
                    let interrupted =
                        matches!(&read, Err(error) if error.kind() == io::ErrorKind::Interrupted);
                    match read {
                        Ok(0) if length > 0 => self.state = State::Between(member.into_inner()),
                        Err(error) if !interrupted => return Err(error),
                        read => {
                            self.state = State::Inside(member);
                            return read;
                        }
                    }
                }
                State::Between(mut packed) => match next_member(&mut packed) {
                    Ok(false) => return Ok(0),
                    Ok(true) => self.state = State::Inside(GzDecoder::new(packed)),
                    Err(error) => {
                        if error.kind() == io::ErrorKind::Interrupted {
                            self.state = State::Between(packed);
                        }
                        return Err(error);
                    }
                },
                State::End => return Ok(0),
            }
        }
    }
}

/// Passes over zeros; whether a member follows and not the end.
fn next_member(packed: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let bytes = packed.fill_buf()?;
        let Some(first) = bytes.first() else { return Ok(false) };
        match *first {
            0 => {
                let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
                packed.consume(zeros);
            }
            0x1f => return Ok(true),
            other => {
                let problem =
                    format!("what follows the compressed data is not gzip (byte 0x{other:02x})");
                return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
            }
        }
    }
}
