//! What buying costs beside fetching and decoding: a right to a thousand chunks is asked for, granted, received
//! from a file and attached, and the same chunks are read from the file and decoded, without a market.
//! Processor time of the buyer; the least of five rounds of each.

#![allow(clippy::unwrap_used, reason = "a bench that fails says where")]
#![allow(missing_docs, reason = "a program")]

use std::fs::File;
use std::io::BufWriter;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use chronolith::buyer::source::{CarFile, Source as _};
use chronolith::buyer::{Wish, keys, receive, request};
use chronolith::chain::anchor::anchor;
use chronolith::chain::{Beginning, Chain, Foundation};
use chronolith::database::with_files;
use chronolith::keys::KeysFile;
use chronolith::market::bought::Bought;
use chronolith::market::grant::{Stock, grant};
use chronolith::market::note::{self, Note};
use chronolith::market::purse::Purse;
use chronolith::market::{Venue, offer, queue};
use chronolith::wallet::{AccountKey, Wallet};
use chronolith_chain::coin::{Amount, BasisPoints, Coin};
use chronolith_chain::content::ContentId;
use chronolith_chain::genesis::GenesisAccount;
use chronolith_engine::chunk::ForeignChunk;
use chronolith_engine::{
    ChunkBlocks, Db, Definition, Durability, KeyRandom, Kind, Level, Metric, Options, SealScope,
};
use chronolith_net::car::CarWriter;
use chronolith_net::pack::linked_body;
use cpu_time::ProcessTime;

/// 2026-01-01T00:00:00Z.
const START_MS: u64 = 1_767_225_600_000;
const HOUR_MS: u64 = 3_600_000;
const CHUNKS: u64 = 1_000;
/// A record a second.
const RECORDS_PER_CHUNK: i64 = 3_600;
const ROUNDS: usize = 5;

fn filled(place: &Path, wallet: &Path) -> Db {
    Db::open(place, Options::default()).unwrap().close().unwrap();
    let file = KeysFile {
        keystore: place.with_extension("keys"),
        wallet: wallet.to_owned(),
        account: "owner".to_owned(),
        passphrase_file: None,
        devices: Default::default(),
    };
    chronolith::keys::create(place, &file, None).unwrap();
    let db = Db::open(place, with_files(place, Options::default()).unwrap()).unwrap();
    let speed = Definition::new(Metric::new("car", "speed"), Kind::F64).level(Level::Regular);
    let speed = db.define(speed).unwrap();
    for hour in 0..CHUNKS as i64 {
        let mut batch = db.batch();
        for second in 0..RECORDS_PER_CHUNK {
            let at_ns = (START_MS as i64 + hour * HOUR_MS as i64 + second * 1_000) * 1_000_000;
            let value = 50.0 + ((hour * 7 + second) * second % 977) as f64 / 10.0;
            batch.push(speed, at_ns, value).unwrap();
        }
        db.write(&batch, Durability::Buffered).unwrap();
    }
    db.seal(SealScope::All).unwrap();
    db
}

fn write_car(db: &Db, note: &Note, place: &Path) {
    let roots: Vec<ContentId> = note.chunks.iter().map(|one| one.path.chunk).collect();
    let mut car = CarWriter::new(BufWriter::new(File::create(place).unwrap()), &roots).unwrap();
    let metric = db.find_metric(&Metric::new("car", "speed")).unwrap();
    for chunk in db.chunks(metric, ..).unwrap() {
        let ChunkBlocks { header, body } = db.chunk_blocks(chunk.key).unwrap().unwrap();
        car.block(ContentId::try_from(&chunk.cid).unwrap(), &header).unwrap();
        car.block(linked_body(&header).unwrap(), &body).unwrap();
    }
    car.finish().unwrap();
}

struct World {
    venue: Venue,
    owner: AccountKey,
    buyer: AccountKey,
    purse: Purse,
    db: Db,
    place: PathBuf,
}

fn world(place: &Path) -> World {
    let wallet = Wallet::at(place.join("wallet"));
    let (owner, buyer) = (wallet.create("owner").unwrap(), wallet.create("buyer").unwrap());
    let rich = |one: &AccountKey| GenesisAccount {
        address: one.address,
        balance: Amount::coins(1_000_000),
    };
    let accounts = vec![rich(&owner), rich(&buyer)];
    let beginning =
        Beginning { name: "bench".to_owned(), validators: 1, accounts, parameters: Vec::new() };
    Foundation::new(&place.join("chain"), beginning).unwrap().create(|| Ok(())).unwrap();
    let db = filled(&place.join("db"), wallet.directory());
    let mut chain = Chain::open(&place.join("chain")).unwrap();
    anchor(&mut chain, &db, &owner).unwrap();
    drop(chain);
    let venue = Venue::open(&place.join("chain")).unwrap();
    let purse = Purse::of(&wallet);
    World { venue, owner, buyer, purse, db, place: place.to_owned() }
}

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let World { mut venue, owner, buyer, purse, db, place } = world(directory.path());
    let terms = offer::Wish {
        device: "car".to_owned(),
        metrics: vec!["speed".to_owned()],
        from_ms: None,
        until_ms: None,
        coin: Coin::Native,
        fixed: Amount::ZERO,
        per_hour: Amount(1_000),
        check_blocks: None,
        is_revocable: false,
        revocation_fee: BasisPoints(0),
        auto_grant: None,
        more: offer::More::default(),
    };
    let chunk_keys = db.keys().unwrap().clone();
    let stock = Stock { db: &db, keys: &chunk_keys };
    let offered = offer::offer(&mut venue, &db, &chunk_keys, &owner, &purse, terms).unwrap();
    let car = place.join("chunks.car");
    let (mut bought, mut decoded) = (f64::MAX, f64::MAX);
    for round in 0..ROUNDS {
        let wish = Wish {
            offer: offered.offer,
            from_ms: START_MS,
            until_ms: START_MS + CHUNKS * HOUR_MS,
            deadline_blocks: 100,
            scope: None,
        };
        let before = ProcessTime::now();
        let asked = request(&mut venue, &buyer, &purse, wish).unwrap();
        let asking = before.elapsed();
        // What follows is the owner's.
        let (right, open, _) = queue::right(&venue, asked.request).unwrap();
        grant(&mut venue, stock, &owner, asked.request, (&right, &open), None).unwrap();
        let wanted = note::sealed_chunks(stock, (&right, &open), None).unwrap();
        assert_eq!(wanted.len() as u64, CHUNKS);
        let told = note::write(&venue, &db, owner.address, None, asked.request, &wanted).unwrap();
        let chain = venue.id().unwrap();
        let sealed = told.seal(chain, &right.key, &mut KeyRandom::new().unwrap()).unwrap();
        write_car(&db, &told, &car);
        // The buyer's again.
        let into = Db::open(place.join(format!("bought-{round}")), Options::default()).unwrap();
        let before = ProcessTime::now();
        let requested = purse.request(asked.request).unwrap();
        let opened = keys(&venue, Bought::Request(asked.request), &requested).unwrap();
        let note = Note::open(&sealed, chain, asked.request, &requested.secret).unwrap();
        let received =
            receive(&venue, &purse, &requested, &opened, &note, &mut CarFile(&car), &into).unwrap();
        let receiving = before.elapsed();
        assert_eq!((received.chunks as u64, received.refused.len()), (CHUNKS, 0));
        into.close().unwrap();
        bought = bought.min((asking + receiving).as_secs_f64());
        // And without a market.
        let grant = opened.grant.unwrap();
        let mut records = 0;
        let before = ProcessTime::now();
        CarFile(&car)
            .blocks(&note, &mut |at, blocks| {
                let (header, body) = blocks.unwrap();
                let cid = note.chunks.get(at).unwrap().path.chunk;
                let chunk = ForeignChunk::new(cid.into(), &header, body).unwrap();
                let tree = chunk.header().encryption.unwrap().tree;
                let key = grant.body_key(&tree, chunk.slot()).unwrap();
                records += chunk.open(Some(&key)).unwrap().records().len();
                ControlFlow::Continue(())
            })
            .unwrap();
        decoded = decoded.min(before.elapsed().as_secs_f64());
        assert_eq!(records as u64, CHUNKS * RECORDS_PER_CHUNK as u64);
    }
    println!(
        "{CHUNKS} chunks of {RECORDS_PER_CHUNK} records: bought, fetched, verified and attached in {:.1} ms of \
         processor time; fetched and decoded in {:.1} ms; {:.2} times",
        bought * 1e3,
        decoded * 1e3,
        bought / decoded
    );
}
