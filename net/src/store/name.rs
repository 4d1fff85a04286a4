//! The names of files: what is kept, and for whom, is read off them.
//!
//! ```text
//! fragments/XX/PACK.INDEX.BYTES.fragment       a fragment whose file has so many bytes
//! fragments/XX/PACK.INDEX.HEIGHT.OWNER.owner   empty: it is kept for an owner since a height
//! fragments/XX/PACK.INDEX.new                  half-written
//! ```
//!
//! XX is the first byte of the pack's digest. A name is one of these only if it is exactly as it would
//! be written; anything else is somebody else's file.

use std::fmt;

use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_chain::ledger::Fragment;

use super::file::FILE_BYTES_MAX;

/// The folder of the folders.
pub(super) const FRAGMENTS: &str = "fragments";
/// The folder that damaged files are moved to.
pub(super) const DAMAGED: &str = "damaged";

/// A name in a folder of fragments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// A fragment's file, and how many bytes it has.
    Fragment(Fragment, u32),
    /// Whom a fragment is kept for, and since which height.
    Owner(Fragment, Address, u64),
    /// A fragment that is being written.
    New(Fragment),
}

impl Name {
    /// Reads a name.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (front, kind) = text.rsplit_once('.')?;
        let mut parts = front.split('.');
        let pack: ContentId = parts.next()?.parse().ok()?;
        let fragment = Fragment { pack, index: parts.next()?.parse().ok()? };
        let name = match kind {
            "fragment" => Self::Fragment(fragment, parts.next()?.parse().ok()?),
            "owner" => {
                let height = parts.next()?.parse().ok()?;
                Self::Owner(fragment, parts.next()?.parse().ok()?, height)
            }
            "new" => Self::New(fragment),
            _ => return None,
        };
        let is_sound = match name {
            Self::Fragment(_, bytes) => u64::from(bytes) <= FILE_BYTES_MAX,
            Self::Owner(..) | Self::New(_) => true,
        };
        (is_sound && name.to_string() == text).then_some(name)
    }

    /// Which fragment it is about.
    pub(super) const fn fragment(&self) -> Fragment {
        match self {
            Self::Fragment(fragment, _) | Self::Owner(fragment, ..) | Self::New(fragment) => {
                *fragment
            }
        }
    }

    /// The path of the file.
    pub(super) fn path(&self) -> String {
        format!("{}/{self}", folder(shard(&self.fragment().pack)))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fragment { pack, index } = self.fragment();
        match self {
            Self::Fragment(_, bytes) => write!(f, "{pack}.{index}.{bytes}.fragment"),
            Self::Owner(_, owner, height) => write!(f, "{pack}.{index}.{height}.{owner}.owner"),
            Self::New(_) => write!(f, "{pack}.{index}.new"),
        }
    }
}

/// The number of the folder that a pack's fragments are in.
pub(super) fn shard(pack: &ContentId) -> u8 {
    let [first, ..] = pack.digest();
    *first
}

/// The folder of a number.
pub(super) fn folder(shard: u8) -> String {
    format!("{FRAGMENTS}/{shard:02x}")
}

/// The number of a folder, by its name as it is listed.
pub(super) fn shard_of(listed: &str) -> Option<u8> {
    let name = listed.strip_suffix('/')?;
    let shard = u8::from_str_radix(name, 16).ok()?;
    (format!("{shard:02x}") == name).then_some(shard)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    #[test]
    fn names_come_back_and_others_are_nobodys() {
        let fragment = Fragment { pack: ContentId::of_raw(b"x"), index: 7 };
        let owner = Address([9; 32]);
        let names = [
            Name::Fragment(fragment, 262_000),
            Name::Owner(fragment, owner, u64::MAX),
            Name::New(fragment),
        ];
        for name in names {
            let text = name.to_string();
            assert_eq!(Name::parse(&text), Some(name));
            let number = format!(".0{}", name.fragment().index);
            let others = [
                text.to_uppercase(),
                text.replace(".7", &number),
                text.replace(".7", ".+7"),
                text.replace(".7", ".256"),
                format!("{text}.new"),
                format!("{text}/"),
                format!(" {text}"),
                text.replacen('b', "c", 1),
            ];
            for other in others {
                assert_eq!(Name::parse(&other), None, "{other}");
            }
            for cut in 0..text.len() {
                assert_eq!(Name::parse(text.get(..cut).unwrap()), None);
            }
        }
        let long = Name::Fragment(fragment, u32::MAX).to_string();
        assert_eq!(Name::parse(&long), None, "longer than any fragment's file");
        for other in ["", ".", "..", "lost+found/", "README", "a.7.new", "..fragment"] {
            assert_eq!(Name::parse(other), None);
        }
    }

    #[test]
    fn folders_are_two_lower_digits() {
        for shard in 0..=255 {
            let listed = format!("{}/", folder(shard).rsplit('/').next().unwrap());
            assert_eq!(shard_of(&listed), Some(shard));
        }
        for other in ["0/", "000/", "AB/", "+1/", "g0/", "ab", "/", ""] {
            assert_eq!(shard_of(other), None, "{other}");
        }
    }
}
