//! Copies held by others: the peers of Chronolith and what they keep.
//!
//! What peers keep is decided without I/O, clocks or randomness: bytes come in, and what is to be sent,
//! asked or told comes out. [`pack`] gathers chunks, [`stored`] is a fragment as it is kept, [`join`] puts
//! fragments together and names liars, [`partial`] reads one chunk, [`placement`] and [`audit`] follow
//! from the ledger. [`store`] keeps fragments on a peer's disk.
//!
//! [`network`] connects nodes over libp2p: gossip of the chain, requests with deadlines and caps,
//! lookups in a distributed hash table. [`validator`] lets a validator speak through it, [`exchange`]
//! is what nodes ask each other, and [`snapshot`] how one joins without executing every block. Nothing that arrives is trusted: a peer is who its key says, and whatever it sends is bounded before it
//! is read and checked by hash or signature before it is used.
//!
//! ```
//! use chronolith_chain::content::ContentId;
//! use chronolith_fragment::{MaskSecret, Profile};
//! use chronolith_net::join::Collector;
//! use chronolith_net::pack::{Item, Pack, Packer};
//! use chronolith_net::stored::StoredFragment;
//!
//! let block = b"what a car did today".to_vec();
//! let mut packer = Packer::default();
//! packer.add(Item::block(ContentId::of_raw(&block), block.clone())?);
//! let body = packer.finish().expect("there is an item");
//! let secret = MaskSecret::new([1; 32]);
//! let (pack, encoded) = Pack::make(body, Profile::Lab, &secret)?;
//! let (id, shape) = (pack.content_id(), pack.header().shape);
//!
//! // Two of six peers are gone.
//! let mut collector = Collector::new(pack.header().clone());
//! for fragment in encoded.into_fragments().into_iter().skip(2) {
//!     let peer = format!("peer {}", fragment.index);
//!     assert!(collector.offer(peer, &StoredFragment { pack: id, shape, fragment }.to_bytes()));
//! }
//! assert_eq!(collector.join(|index| Some(secret.key(index)))?, pack);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

pub mod audit;
pub mod car;
pub mod dispersal;
pub mod evidence;
pub mod exchange;
pub mod fetch;
pub mod join;
pub mod network;
pub mod pack;
pub mod partial;
pub mod placement;
pub mod simulate;
pub mod snapshot;
pub mod store;
pub mod stored;
pub mod validator;
