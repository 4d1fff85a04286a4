//! Finding what shows that an owner encoded a pack wrongly, for the ledger to judge.

use std::collections::BTreeMap;

use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_chain::encoding::{Bytes, List, Rising};
use chronolith_chain::hash::Hash;
use chronolith_chain::ledger::{ReportWrongEncoding, ShownBlock};
use chronolith_fragment::{BLOCK_BYTES, Fragment, MaskSecret, Shape, Shown, fastest, restore_rows};

use crate::pack::PackHeader;

/// Blocks of one row that do not belong together: one more than the pack needs.
#[derive(Debug, Clone)]
pub struct WrongRow {
    /// Which block of the fragments.
    pub row: u32,
    /// The blocks with their ways, by fragment.
    pub shown: BTreeMap<u8, Shown>,
    pack: ContentId,
    secret: Hash,
    blocks: Rising<ShownBlock, 97>,
}

impl WrongRow {
    /// The action that reports it, of the pack as an owner placed it. It reveals the mask's secret.
    #[must_use]
    pub fn report(&self, owner: Address) -> ReportWrongEncoding {
        let (pack, secret, block, shown) = (self.pack, self.secret, self.row, self.blocks.clone());
        ReportWrongEncoding { pack, owner, secret, block, shown }
    }
}

/// Looks for a row that shows a wrong encoding, among fragments that were checked. None where there is
/// none, or where there are not more fragments than the pack needs.
#[must_use]
pub fn find_wrong_row(
    header: &PackHeader,
    secret: &MaskSecret,
    fragments: &[&Fragment],
) -> Option<WrongRow> {
    let shape = header.shape;
    let sound = fragments.iter().filter(|fragment| fragment.bytes.len() == shape.fragment_bytes());
    let mut by_index: BTreeMap<u8, &Fragment> =
        sound.map(|fragment| (fragment.index, *fragment)).collect();
    let unmask = |fragment: &Fragment| {
        let mut bytes = fragment.bytes.clone();
        secret.key(fragment.index).apply(0, &mut bytes);
        bytes
    };
    // The rest is compared with what the first `needed` determine; so the shown fragments rise.
    let first_of_rest = *by_index.keys().nth(shape.needed().into())?;
    let rest = by_index.split_off(&first_of_rest);
    let known: BTreeMap<u8, Vec<u8>> =
        by_index.iter().map(|(index, fragment)| (*index, unmask(fragment))).collect();
    let code = fastest(shape.needed(), shape.fragments()).ok()?;
    for (index, fragment) in rest {
        let determined = restore_rows(&*code, shape, &known, index).ok()?;
        let found = unmask(fragment);
        let mut rows = determined.chunks(BLOCK_BYTES).zip(found.chunks(BLOCK_BYTES));
        if let Some(row) = rows.position(|(determined, found)| determined != found) {
            by_index.insert(index, fragment);
            return show(header, shape, secret, row as u32, &by_index);
        }
    }
    None
}

fn show(
    header: &PackHeader,
    shape: Shape,
    secret: &MaskSecret,
    row: u32,
    fragments: &BTreeMap<u8, &Fragment>,
) -> Option<WrongRow> {
    let mut shown = BTreeMap::new();
    let mut blocks = Vec::with_capacity(fragments.len());
    for (index, fragment) in fragments {
        let found = Shown::of(shape, fragment, &fragment.tree(), row..row + 1).ok()?;
        let path: Vec<Hash> = found.hashes().map(|hash| Hash(*hash)).collect();
        blocks.push(ShownBlock {
            fragment: *index,
            block: Bytes::new(found.blocks()).ok()?,
            path: List::new(path).ok()?,
        });
        shown.insert(*index, found);
    }
    Some(WrongRow {
        row,
        shown,
        pack: header.content_id(),
        secret: Hash(*secret.as_bytes()),
        blocks: Rising::new(blocks).ok()?,
    })
}
