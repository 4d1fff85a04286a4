//! `chronolith pack`: packs of sealed chunks, and the fragments that peers keep of them.

mod place;

pub(super) use place::TermsArgs;

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use chronolith_chain::address::Address;
use chronolith_chain::content::ContentId;
use chronolith_engine::ChunkBlocks;
use chronolith_fragment::{Fragment, MaskSecret, Profile};
use chronolith_net::car;
use chronolith_net::join::{Collector, JoinError};
use chronolith_net::pack::{Item, Pack, PackBody, PackHeader, Packer};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Outcome;
use super::chain::print_fields;
use super::database::{RangeArgs, SelectorArgs};
use super::output::{hex, print_json, say};
use super::usage::Usage;
use super::whole;
use crate::market::book;
use crate::packs::{
    collect, load_header, load_pack, load_secret, secret_beside, store_fragment, store_header,
    store_pack, store_regions,
};
use crate::producer::placements::{Keeping, keeping};
use crate::wallet::random;

/// The largest CAR file whose blocks are taken in: bytes. They are held in memory.
const CAR_BYTES_MOST: u64 = 1 << 30;
/// The blocks that files are kept in: bytes.
const BLOCK_BYTES: u64 = 1 << 20;

/// Packs of sealed chunks, and the fragments that peers keep of them.
#[derive(Debug, Subcommand)]
pub(super) enum PackCommand {
    /// Gather sealed chunks, files or the blocks of a CAR file into packs
    Make(MakeCommand),
    /// Show what is in a pack
    Inspect(InspectCommand),
    /// Cut a pack into masked fragments, as peers keep them
    Fragments(FragmentsCommand),
    /// Join fragments to the pack, name those that do not hold, and rebuild what is missing
    Join(JoinCommand),
    /// Have packs kept by storage peers: place them on the ledger, and lease their fragments
    Place(place::PlaceCommand),
    /// Write the items of a pack as a CAR file of their blocks, for IPLD tools
    Car(CarCommand),
}

impl PackCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        match self {
            Self::Make(command) => command.run(),
            Self::Inspect(command) => command.run(),
            Self::Fragments(command) => command.run(),
            Self::Join(command) => command.run(),
            Self::Place(command) => command.run(),
            Self::Car(command) => command.run(),
        }
    }
}

/// Gather sealed chunks, files or the blocks of a CAR file into packs of about a megabyte.
///
/// Each pack is written as CID.car, a CAR file of its header and its body, and beside it CID.mask, the
/// secret that its fragments are masked by. Who has a secret can regenerate fragments: keep it.
#[derive(Debug, Args)]
pub(super) struct MakeCommand {
    /// The directory of a database, all or some of whose sealed chunks are packed
    #[arg(long, value_name = "DIR")]
    db: Option<PathBuf>,
    #[command(flatten)]
    selector: SelectorArgs,
    #[command(flatten)]
    range: RangeArgs,

    /// A CAR file whose blocks are packed: DAG-CBOR with what it links as `body`, and others each by
    /// itself
    #[arg(long, value_name = "FILE", conflicts_with = "db")]
    car: Option<PathBuf>,

    /// Files that are packed as blobs: raw blocks of a megabyte
    #[arg(value_name = "FILE", conflicts_with_all = ["db", "car"])]
    files: Vec<PathBuf>,

    /// How packs are cut: lab (any 4 of 6), standard (any 10 of 30) or wide (any 32 of 96)
    #[arg(long, value_name = "PROFILE", default_value = "standard")]
    profile: Profile,

    /// A data contract: packs are cut as its placement says, and `pack place` has them kept by peers of
    /// its regions alone
    #[arg(long, value_name = "FILE", conflicts_with = "profile")]
    contract: Option<PathBuf>,

    /// Where the packs are written
    #[arg(long, value_name = "DIR")]
    into: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Makes packs as their bodies are full.
struct Maker<'a> {
    command: &'a MakeCommand,
    keeping: Keeping,
    packer: Packer,
    packs: Vec<Value>,
    items: usize,
    bytes: usize,
}

impl Maker<'_> {
    fn add(&mut self, item: Item) -> Result<()> {
        match self.packer.add(item) {
            Some(body) => self.make(body),
            None => Ok(()),
        }
    }

    fn make(&mut self, body: PackBody) -> Result<()> {
        let secret = MaskSecret::new(random()?);
        let (pack, _) = Pack::make(body, self.keeping.cut, &secret)?;
        if !self.keeping.regions.is_empty() {
            store_regions(&self.command.into, pack.content_id(), &self.keeping.regions)?;
        }
        let file = store_pack(&self.command.into, &pack, &secret)?;
        self.items += pack.body().entries().len();
        self.bytes += pack.body().bytes().len();
        if !self.command.json {
            let (items, bytes) = (pack.header().items, pack.header().body_bytes);
            say!("{}: {items} items, {bytes} bytes", file.display());
        }
        self.packs.push(json!(pack.content_id().to_string()));
        Ok(())
    }
}

impl MakeCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let (packer, keeping) = (Packer::default(), self.keeping()?);
        let mut maker =
            Maker { command: self, keeping, packer, packs: Vec::new(), items: 0, bytes: 0 };
        match (&self.db, &self.car) {
            (Some(db), _) => self.add_chunks(db, &mut maker)?,
            (None, Some(car)) => {
                let file = File::open(car);
                let file = file.with_context(|| format!("cannot open {}", car.display()))?;
                let items = car::read_items(BufReader::new(file), CAR_BYTES_MOST);
                for item in items.with_context(|| car.display().to_string())? {
                    maker.add(item)?;
                }
            }
            (None, None) if self.files.is_empty() => {
                let what = "name what is packed: --db DIR, --car FILE or files";
                return Err(Usage(what.to_owned()).into());
            }
            (None, None) => self.files.iter().try_for_each(|file| add_file(file, &mut maker))?,
        }
        if let Some(body) = maker.packer.finish() {
            maker.make(body)?;
        }
        if self.json {
            let Maker { packs, items, bytes, .. } = maker;
            print_json(&json!({"packs": packs, "items": items, "bytes": bytes}))?;
        } else if maker.packs.is_empty() {
            say!("there is nothing to pack");
        } else {
            say!("{} packs; the .mask files are secrets", maker.packs.len());
        }
        Ok(Outcome::Done)
    }

    /// How packs are cut and kept: by the contract, where there is one.
    fn keeping(&self) -> Result<Keeping> {
        let Some(file) = &self.contract else {
            return Ok(Keeping { cut: self.profile.into(), regions: Vec::new() });
        };
        let compiled = book::read(file)?;
        let contract = compiled.contract();
        let placement = contract.placement.as_ref().ok_or_else(|| {
            Usage(format!("{}: it says no placement; leave out --contract", file.display()))
        })?;
        Ok(keeping("what is packed", &contract.name, placement)?)
    }

    fn add_chunks(&self, directory: &Path, maker: &mut Maker<'_>) -> Result<()> {
        use chronolith_engine::{Db, Options};

        let options = crate::database::with_files(directory, Options::read_only())?;
        let db = Db::open(directory, options)?;
        let Some((from_ns, to_ns)) = self.range.first_and_last()? else { return Ok(()) };
        for id in self.selector.metrics(&db)? {
            for chunk in db.chunks(id, from_ns..=to_ns)? {
                let Some(ChunkBlocks { header, body }) = db.chunk_blocks(chunk.key)? else {
                    continue;
                };
                let cid = ContentId::try_from(&chunk.cid)?;
                maker.add(Item::chunk(cid, header, body)?)?;
            }
        }
        Ok(())
    }
}

/// Packs a file as raw blocks.
fn add_file(path: &Path, maker: &mut Maker<'_>) -> Result<()> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut file = BufReader::new(file);
    loop {
        let mut block = Vec::new();
        let read = (&mut file).take(BLOCK_BYTES).read_to_end(&mut block);
        if read.with_context(|| format!("cannot read {}", path.display()))? == 0 {
            return Ok(());
        }
        maker.add(Item::block(ContentId::of_raw(&block), block)?)?;
    }
}

/// Show what is in a pack. Every byte of it is checked.
#[derive(Debug, Args)]
pub(super) struct InspectCommand {
    /// The pack: a .car file that `pack make` or `pack join` wrote
    #[arg(value_name = "PACK")]
    pack: PathBuf,

    /// List the items
    #[arg(long)]
    items: bool,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl InspectCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let pack = load_pack(&self.pack)?;
        let mut shown = shown(pack.header());
        if self.items {
            let item = |item: &Item| {
                json!({
                    "cid": item.cid().to_string(),
                    "bytes": item.lead().len(),
                    "body_bytes": item.body().len(),
                })
            };
            shown["list"] = pack.body().items().iter().map(item).collect();
        }
        print_fields(self.json, &shown)?;
        Ok(Outcome::Done)
    }
}

fn shown(header: &PackHeader) -> Value {
    let shape = header.shape;
    let profile = Profile::of(&shape).map_or("other", Profile::name);
    json!({
        "pack": header.content_id().to_string(),
        "body": header.body.to_string(),
        "body_bytes": header.body_bytes,
        "items": header.items,
        "profile": profile,
        "needed": shape.needed(),
        "fragments": shape.fragments(),
        "fragment_bytes": shape.fragment_bytes(),
        "fragments_root": hex(&header.fragments_root),
        "mask": hex(&header.mask),
    })
}

/// Cut a pack into masked fragments, as peers keep them, with the header that checks them.
#[derive(Debug, Args)]
pub(super) struct FragmentsCommand {
    /// The pack
    #[arg(value_name = "PACK")]
    pack: PathBuf,

    /// The secret of its mask [default: the .mask file beside it]
    #[arg(long, value_name = "FILE")]
    mask: Option<PathBuf>,

    /// Where the fragments are written
    #[arg(long, value_name = "DIR")]
    into: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl FragmentsCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let pack = load_pack(&self.pack)?;
        let beside = || secret_beside(&self.pack, pack.content_id());
        let secret = load_secret(&self.mask.clone().unwrap_or_else(beside))?;
        let encoded = pack.fragments(&secret)?;
        store_header(&self.into, pack.header())?;
        let mut files = Vec::new();
        for fragment in encoded.into_fragments() {
            let file = store_fragment(&self.into, pack.header(), fragment)?;
            files.push(file.display().to_string());
        }
        if self.json {
            print_json(&json!({"pack": pack.content_id().to_string(), "files": files}))?;
        } else {
            let (count, needed) = (files.len(), pack.header().shape.needed());
            say!("{count} fragments in {}; any {needed} restore the pack", self.into.display());
        }
        Ok(Outcome::Done)
    }
}

/// Join fragments to the pack. Each is checked against the pack's header before; those that do not hold
/// are named, and the exit code is then 3.
#[derive(Debug, Args)]
pub(super) struct JoinCommand {
    /// The folder of the fragments and the pack's header
    #[arg(value_name = "DIR")]
    fragments: PathBuf,

    /// The pack's header, where the folder has several
    #[arg(long, value_name = "FILE")]
    header: Option<PathBuf>,

    /// The secret of its mask
    #[arg(long, value_name = "FILE")]
    mask: PathBuf,

    /// Where the pack is written
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,

    /// Write the fragments anew that are missing or do not hold, bit for bit as they were
    #[arg(long)]
    rebuild: bool,

    /// Who placed the pack: where it was encoded wrongly, the action that reports it is printed
    #[arg(long, value_name = "ADDRESS")]
    owner: Option<Address>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl JoinCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let header = load_header(self.header.as_ref().unwrap_or(&self.fragments))?;
        let secret = load_secret(&self.mask)?;
        if secret.commitment() != header.mask {
            let (mask, pack) = (self.mask.display(), header.content_id());
            return Err(Usage(format!("{mask} is not the secret of the pack {pack}")).into());
        }
        let collector = collect(&self.fragments, header.clone())?;
        for liar in collector.liars() {
            eprintln!("chronolith: {}: {}", liar.peer.display(), liar.lie);
        }
        let Some((pack, fragments)) = rebuild(&collector, &secret, self.owner)? else {
            return Ok(Outcome::Faults);
        };
        let missing: Vec<u8> = collector.missing().collect();
        if self.rebuild {
            for fragment in fragments.into_iter().filter(|one| missing.contains(&one.index)) {
                store_fragment(&self.fragments, &header, fragment)?;
            }
        }
        let file = match &self.into {
            Some(folder) => Some(store_pack(folder, &pack, &secret)?.display().to_string()),
            None => None,
        };
        let liars: Vec<String> =
            collector.liars().iter().map(|liar| liar.peer.display().to_string()).collect();
        let has_liars = !liars.is_empty();
        let shown = json!({
            "pack": pack.content_id().to_string(),
            "body": pack.header().body.to_string(),
            "items": pack.header().items,
            "joined": collector.fragments().count(),
            "refused": liars,
            "missing": missing,
            "rebuilt": if self.rebuild { missing.len() } else { 0 },
            "file": file,
        });
        print_fields(self.json, &shown)?;
        Ok(if has_liars { Outcome::Rejected } else { Outcome::Done })
    }
}

/// Joins fragments and makes all of them anew; nothing where the owner encoded wrongly, which is told.
pub(super) fn rebuild<P>(
    collector: &Collector<P>,
    secret: &MaskSecret,
    owner: Option<Address>,
) -> Result<Option<(Pack, Vec<Fragment>)>> {
    match collector.rebuild(secret) {
        Ok(joined) => Ok(Some(joined)),
        Err(JoinError::WrongEncoding(row)) => {
            let report = owner.map(|owner| serde_json::to_string(&row.report(owner)));
            let error = JoinError::WrongEncoding(row);
            match report.transpose()? {
                Some(report) => {
                    eprintln!("chronolith: {error}; the action that reports it: {report}");
                }
                None => eprintln!(
                    "chronolith: {error}; give --owner ACCOUNT, who placed it, for the action that \
                     reports it"
                ),
            }
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Write the items of a pack as a CAR file of their blocks, for IPLD tools. The roots are the items: the
/// headers of chunks, which link their bodies. `pack make --car` takes such a file in again.
#[derive(Debug, Args)]
pub(super) struct CarCommand {
    /// The pack
    #[arg(value_name = "PACK")]
    pack: PathBuf,

    /// The file
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl CarCommand {
    pub(super) fn run(&self) -> Result<Outcome> {
        let pack = load_pack(&self.pack)?;
        let bytes =
            whole::create(
                &self.output,
                |out| Ok(car::write_items(out, &pack)?.stream_position()?),
            )?;
        if self.json {
            print_json(&json!({"items": pack.header().items, "bytes": bytes}))?;
        } else {
            say!("{} items, {bytes} bytes in {}", pack.header().items, self.output.display());
        }
        Ok(Outcome::Done)
    }
}
