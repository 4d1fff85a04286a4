//! Finding the one byte of a record that is damaged, from its checksum.
//!
//! A CRC is linear: what a changed byte does to it depends on the change and on how many bytes
//! follow alone. Undoing the bytes one by one, the difference of the checksums becomes that of a
//! single byte where, and only where, that byte may be the damaged one. Of n places one fits by
//! accident with a probability of n / 2^24, so that what is mended has to be looked at once more.

/// The polynomial of CRC-32 (IEEE 802.3), bits reversed.
const POLYNOMIAL: u32 = 0xEDB8_8320;

/// What each value of a byte does to the checksum.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 0 { crc >> 1 } else { (crc >> 1) ^ POLYNOMIAL };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// The byte whose entry of [`TABLE`] has this highest byte; there is one for each.
const BY_HIGHEST: [u8; 256] = {
    let mut bytes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        bytes[(TABLE[byte] >> 24) as usize] = byte as u8;
        byte += 1;
    }
    bytes
};

/// Mends a record in which one byte at most is damaged; whether its checksum holds then. Where
/// several bytes could be the one, none is changed.
pub(crate) fn mend(record: &mut [u8]) -> bool {
    let Some((content, stored)) = record.split_last_chunk::<4>() else { return false };
    let (computed, stored) = (crc32fast::hash(content), u32::from_le_bytes(*stored));
    let mut difference = computed ^ stored;
    if difference == 0 {
        return true;
    }
    let len = content.len();
    let mut found: Option<(usize, u8)> = None;
    // The checksum itself: one of its bytes differs.
    let is_checksum = difference.to_le_bytes().iter().filter(|byte| **byte != 0).count() == 1;
    for place in (0..len).rev() {
        let byte = BY_HIGHEST[(difference >> 24) as usize];
        if TABLE[byte as usize] == difference {
            if found.is_some() {
                return false;
            }
            found = Some((place, byte));
        }
        // As it was before a byte of no difference.
        difference = ((difference ^ TABLE[byte as usize]) << 8) | u32::from(byte);
    }
    match (found, is_checksum) {
        (None, true) => record[len..].copy_from_slice(&computed.to_le_bytes()),
        (Some((place, byte)), false) => record[place] ^= byte,
        _ => return false,
    }
    super::checksum_holds(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_one_damaged_byte_is_found_and_more_are_not_invented() {
        let content: Vec<u8> = (0..3000_u32).map(|number| ((number * 7919) >> 3) as u8).collect();
        let mut record = content;
        record.extend_from_slice(&crc32fast::hash(&record).to_le_bytes());
        let whole = record.clone();
        for place in 0..record.len() {
            for mask in [1, 0x80, 0xFF] {
                record[place] ^= mask;
                assert!(mend(&mut record) && record == whole, "byte {place}, mask {mask}");
            }
        }
        let mut mended = 0;
        for place in 0..2000 {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x55;
            damaged[place + 500] ^= 0x11;
            mended += usize::from(mend(&mut damaged));
        }
        assert!(mended < 5, "{mended} of 2,000 with two damaged bytes");
        assert!(!mend(&mut [1, 2, 3]));
    }
}
