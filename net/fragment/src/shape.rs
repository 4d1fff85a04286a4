//! How a body is cut: how many fragments, how many of them restore it, how long they are.

use std::fmt;
use std::str::FromStr;

/// The bytes of a block: the leaf of a fragment's tree, and what an audit asks for.
pub const BLOCK_BYTES: usize = 256;
/// The most fragments that a body is cut into: the ledger keeps a bit for each in 128.
pub const FRAGMENTS_MAX: u8 = 128;
/// The longest body that is coded: bytes. Packs are about half of it; more would fall out of the
/// processor's cache while it is coded.
pub const BODY_BYTES_MAX: usize = 2 << 20;

/// The named ways to cut a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Profile {
    /// Any 4 of 6: for a few peers.
    Lab,
    /// Any 10 of 30.
    Standard,
    /// Any 32 of 96.
    Wide,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Lab, Self::Standard, Self::Wide];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lab => "lab",
            Self::Standard => "standard",
            Self::Wide => "wide",
        }
    }

    /// How many fragments restore a body.
    #[must_use]
    pub const fn needed(self) -> u8 {
        match self {
            Self::Lab => 4,
            Self::Standard => 10,
            Self::Wide => 32,
        }
    }

    /// How many fragments there are.
    #[must_use]
    pub const fn fragments(self) -> u8 {
        match self {
            Self::Lab => 6,
            Self::Standard => 30,
            Self::Wide => 96,
        }
    }

    /// How many live fragments are so few that the missing ones are rebuilt: of `lab` the first
    /// loss, of the others half.
    #[must_use]
    pub const fn repair_at(self) -> u8 {
        match self {
            Self::Lab => 5,
            Self::Standard => 15,
            Self::Wide => 48,
        }
    }

    /// The profile that cuts like this, if one does.
    #[must_use]
    pub fn of(shape: &Shape) -> Option<Self> {
        let same = |profile: &Self| {
            (profile.needed(), profile.fragments()) == (shape.needed(), shape.fragments())
        };
        Self::ALL.into_iter().find(same)
    }
}

/// A way to cut a body: any so many of so many fragments restore it. A profile is one with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cut {
    needed: u8,
    fragments: u8,
}

impl Cut {
    /// Any `needed` of `fragments` restore a body.
    ///
    /// # Errors
    /// [`ShapeError::Counts`] where they are not 1 ≤ needed < fragments ≤ 128.
    pub const fn new(needed: u8, fragments: u8) -> Result<Self, ShapeError> {
        if needed == 0 || needed >= fragments || fragments > FRAGMENTS_MAX {
            return Err(ShapeError::Counts { needed, fragments });
        }
        Ok(Self { needed, fragments })
    }

    /// How many fragments restore a body.
    #[must_use]
    pub const fn needed(self) -> u8 {
        self.needed
    }

    /// How many fragments there are.
    #[must_use]
    pub const fn fragments(self) -> u8 {
        self.fragments
    }
}

impl From<Profile> for Cut {
    fn from(profile: Profile) -> Self {
        Self { needed: profile.needed(), fragments: profile.fragments() }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Profile {
    type Err = ShapeError;

    fn from_str(text: &str) -> Result<Self, ShapeError> {
        let known = Self::ALL.into_iter().find(|profile| profile.name() == text);
        known.ok_or_else(|| ShapeError::Profile { name: text.chars().take(40).collect() })
    }
}

/// Numbers that no body can be cut by.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// There is no such profile.
    #[error("there is no profile {name:?}; there are lab, standard and wide")]
    Profile {
        /// The name that was asked for.
        name: String,
    },
    /// Not 1 ≤ needed < fragments ≤ 128.
    #[error(
        "{needed} of {fragments} fragments: at least 1 is needed, and fewer than all of at most 128"
    )]
    Counts {
        /// How many would be needed.
        needed: u8,
        /// How many there would be.
        fragments: u8,
    },
    /// The body is empty, or too long.
    #[error("{bytes} bytes where 1 to {BODY_BYTES_MAX} can be coded")]
    Body {
        /// How long it is, or would be.
        bytes: u64,
    },
}

/// How a body is cut. Every value is sound: 1 ≤ needed < fragments ≤ 128, 1 ≤ blocks, and at most
/// [`BODY_BYTES_MAX`] bytes of data, rounded up to whole blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shape {
    needed: u8,
    fragments: u8,
    blocks: u32,
}

impl Shape {
    /// Any `needed` of `fragments` restore a body; each fragment has `blocks` blocks of 256 bytes.
    ///
    /// # Errors
    /// Numbers outside the bounds above.
    pub fn new(needed: u8, fragments: u8, blocks: u32) -> Result<Self, ShapeError> {
        Cut::new(needed, fragments)?;
        let row = u64::from(needed) * BLOCK_BYTES as u64;
        let bytes = row * u64::from(blocks);
        // The last row may be filled up.
        if blocks == 0 || bytes >= BODY_BYTES_MAX as u64 + row {
            return Err(ShapeError::Body { bytes });
        }
        Ok(Self { needed, fragments, blocks })
    }

    /// The shape of a body of this many bytes in a profile, or cut otherwise.
    ///
    /// # Errors
    /// An empty body, or one above [`BODY_BYTES_MAX`].
    pub fn of(cut: impl Into<Cut>, body_bytes: usize) -> Result<Self, ShapeError> {
        let cut = cut.into();
        let row = usize::from(cut.needed()) * BLOCK_BYTES;
        let bytes = body_bytes as u64;
        if body_bytes == 0 || body_bytes > BODY_BYTES_MAX {
            return Err(ShapeError::Body { bytes });
        }
        let blocks = u32::try_from(body_bytes.div_ceil(row));
        let blocks = blocks.map_err(|_| ShapeError::Body { bytes })?;
        Self::new(cut.needed(), cut.fragments(), blocks)
    }

    /// How many fragments restore the body: the first so many, which hold its bytes in order.
    #[must_use]
    pub const fn needed(&self) -> u8 {
        self.needed
    }

    /// How many fragments there are.
    #[must_use]
    pub const fn fragments(&self) -> u8 {
        self.fragments
    }

    /// How many blocks of 256 bytes each fragment has.
    #[must_use]
    pub const fn blocks(&self) -> u32 {
        self.blocks
    }

    /// The bytes of one fragment.
    #[must_use]
    pub const fn fragment_bytes(&self) -> usize {
        self.blocks as usize * BLOCK_BYTES
    }

    /// The bytes of all data fragments: the body, and what fills it up.
    #[must_use]
    pub const fn data_bytes(&self) -> usize {
        self.fragment_bytes() * self.needed as usize
    }

    /// Where a byte of the body lies: the data fragment and the block in it. The byte must be below
    /// [`Shape::data_bytes`].
    #[must_use]
    pub const fn place(&self, byte: usize) -> (u8, u32) {
        let fragment = byte / self.fragment_bytes();
        ((fragment % 256) as u8, (byte % self.fragment_bytes() / BLOCK_BYTES) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_sound_at_every_length_of_bodies() {
        for profile in Profile::ALL {
            for bytes in [1, 255, 256, 257, 8_191, 1 << 20, BODY_BYTES_MAX] {
                let shape = Shape::of(profile, bytes).ok();
                let (data, row) = shape.map_or((0, 0), |shape| {
                    (shape.data_bytes(), usize::from(shape.needed()) * BLOCK_BYTES)
                });
                assert!(data >= bytes && data - bytes < row, "{profile} {bytes}");
                assert_eq!(shape.as_ref().and_then(Profile::of), Some(profile));
                assert_eq!(profile.name().parse(), Ok(profile));
            }
            for bytes in [0, BODY_BYTES_MAX + 1, usize::MAX] {
                assert!(matches!(Shape::of(profile, bytes), Err(ShapeError::Body { .. })));
            }
        }
    }

    #[test]
    fn counts_outside_the_bounds_are_refused() {
        for (needed, fragments) in [(0, 6), (6, 6), (7, 6), (1, 129), (255, 0)] {
            assert_eq!(
                Shape::new(needed, fragments, 1),
                Err(ShapeError::Counts { needed, fragments })
            );
        }
        for blocks in [0, u32::MAX, 2_049] {
            assert!(matches!(Shape::new(4, 6, blocks), Err(ShapeError::Body { .. })));
        }
        assert!(Shape::new(4, 6, 2_048).is_ok() && Shape::new(127, 128, 1).is_ok());
    }
}
