//! How state that is kept is written: fixed-width little-endian numbers, and bytes behind their length
//! as `u32`.

pub(crate) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a length and that many bytes. Nothing that is kept is longer than a batch may be.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u32(out, u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    out.extend_from_slice(bytes);
}

/// Appends a count and that many texts.
pub(crate) fn put_texts(out: &mut Vec<u8>, texts: &[String]) {
    put_u32(out, texts.len() as u32);
    texts.iter().for_each(|text| put_bytes(out, text.as_bytes()));
}

/// Reads from the front of some bytes; no length is believed that they do not have.
pub(crate) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// How many bytes are left.
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, size: usize) -> Result<&'a [u8], String> {
        let (taken, rest) =
            self.0.split_at_checked(size).ok_or_else(|| "it ends too early".to_owned())?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        self.take(N)?.try_into().map_err(|_| "it ends too early".to_owned())
    }

    pub(crate) fn u8(&mut self) -> Result<u8, String> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, String> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    pub(crate) fn sized(&mut self) -> Result<&'a [u8], String> {
        let size = self.u32()?;
        self.take(size as usize)
    }

    pub(crate) fn text(&mut self) -> Result<String, String> {
        let bytes = self.sized()?.to_vec();
        String::from_utf8(bytes).map_err(|_| "text that is not UTF-8".to_owned())
    }

    pub(crate) fn texts(&mut self) -> Result<Vec<String>, String> {
        let count = self.u32()?;
        (0..count).map(|_| self.text()).collect()
    }
}
