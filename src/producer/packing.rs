//! Gathering sealed chunks into packs: those that are cut and kept alike into the same.

use std::collections::{BTreeMap, BTreeSet};

use chronolith_chain::content::ContentId;
use chronolith_engine::chunk::ChunkKey;
use chronolith_engine::{ChunkBlocks, Db, SegmentInfo};
use chronolith_fragment::MaskSecret;
use chronolith_net::pack::{Item, Pack, PackBody, Packer};

use super::placements::{Keeping, PlacementError};
use super::{Packed, Producer, ProducerError};
use crate::packs::{store_pack, store_regions};
use crate::wallet::random;

/// Chunks that are cut and kept alike, and are not in a pack yet.
#[derive(Default)]
struct Group {
    packer: Packer,
    waiting: usize,
}

impl Producer {
    /// Packs the sealed chunks that are in no pack. Those that cannot be kept as a contract says wait and hold
    /// up no others.
    pub(super) fn pack_sealed(
        &mut self,
        db: &Db,
        all: bool,
        packed: &mut Packed,
    ) -> Result<(), ProducerError> {
        let new = self.unpacked(db, packed);
        let mut groups = BTreeMap::<Keeping, Group>::new();
        for (key, cid, keeping) in new {
            let Some(ChunkBlocks { header, body }) = db.chunk_blocks(key)? else { continue };
            let item = Item::chunk(cid, header, body)?;
            if let Err(source) = item.ensure_cut(keeping.cut) {
                packed.waiting += 1;
                packed.refused.get_or_insert(PlacementError::Large { chunk: cid, source });
                continue;
            }
            let group = groups.entry(keeping.clone()).or_default();
            let full = group.packer.add(item);
            group.waiting += 1;
            if let Some(body) = full {
                // The chunk that found no room begins the next pack.
                group.waiting = 1;
                self.make(body, &keeping, packed)?;
            }
        }
        let waiting: usize = groups.values().map(|group| group.waiting).sum();
        if waiting == 0 {
            self.waiting.end()?;
        } else if all || self.waiting.passed()? >= self.settings.patience {
            for (keeping, mut group) in groups {
                if let Some(body) = group.packer.finish() {
                    self.make(body, &keeping, packed)?;
                }
            }
            self.waiting.end()?;
        } else {
            packed.waiting += waiting;
        }
        Ok(())
    }

    /// The sealed chunks that are in no pack, and how each is kept. Those that cannot be kept so are counted.
    fn unpacked(&mut self, db: &Db, packed: &mut Packed) -> Vec<(ChunkKey, ContentId, Keeping)> {
        let (mut new, mut open) = (Vec::new(), BTreeSet::new());
        let wanted = |segment: &SegmentInfo| !self.finished.contains(&segment.file);
        let looked = db.for_each_sealed(&wanted, &mut |chunk| {
            if let Ok(cid) = ContentId::try_from(&chunk.cid)
                && chunk.body.is_some()
                && !self.packed.contains(&cid)
            {
                match self.placements.of(&chunk.definition.metric) {
                    Ok(keeping) => new.push((chunk.key, cid, keeping)),
                    Err(refused) => {
                        packed.waiting += 1;
                        packed.refused.get_or_insert(refused);
                    }
                }
                open.insert(chunk.segment.file.clone());
            }
        });
        // Damaged ones are looked at again, as they may be repaired.
        open.extend(looked.damaged.into_iter().map(|(file, _)| file));
        let files = looked.all.into_iter().map(|segment| segment.file);
        self.finished = files.filter(|file| !open.contains(file)).collect();
        new
    }

    fn make(
        &mut self,
        body: PackBody,
        keeping: &Keeping,
        packed: &mut Packed,
    ) -> Result<(), ProducerError> {
        let secret = MaskSecret::new(random()?);
        let (pack, _) = Pack::make(body, keeping.cut, &secret)?;
        if !keeping.regions.is_empty() {
            store_regions(&self.settings.packs, pack.content_id(), &keeping.regions)?;
        }
        store_pack(&self.settings.packs, &pack, &secret)?;
        self.packed.extend(pack.body().entries().iter().map(|entry| entry.cid));
        packed.made.push(pack.content_id());
        Ok(())
    }
}
