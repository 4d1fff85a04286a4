//! Where the fragments of a pack go: drawn from what the ledger says, so that anybody can draw again.
//!
//! Rendezvous hashing (Thaler, Ravishankar: *Using name-based mappings to increase hit rates*, IEEE/ACM
//! Transactions on Networking 6(1), 1998): every peer gets a rank by hashing, and the best ranks
//! win. A peer with more tickets hashes more often and counts its best, so that its chance grows with
//! its tickets, in integers. The seed holds a beacon that comes after the pack is committed to, so that
//! an owner cannot choose his peers by trying packs.
//!
//! No peer gets two fragments of a pack. Peers of one network or one region share fewer fragments than
//! would be missed, as long as there are others.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use chronolith_chain::address::Address;
use chronolith_chain::coin::Amount;
use chronolith_chain::content::ContentId;
use chronolith_chain::hash::{ChainId, Domain, Hash};
use chronolith_chain::ledger::{Pack, ParameterName, Parameters, Peer};

/// What decides about one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The peer.
    pub peer: Address,
    /// How many bytes it has room for.
    pub free_bytes: u64,
    /// What it asks for a GiB and an epoch, in motes.
    pub price_per_gib: Amount,
    /// How often it is drawn for: 1 to 15.
    pub tickets: u8,
    /// The network it is reached in, as far as its address says.
    pub network: String,
    /// Where it says it is.
    pub region: String,
}

/// What is to be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The seed of the draw.
    pub seed: Hash,
    /// How many fragments.
    pub fragments: usize,
    /// How many of them may be missing: peers of one network or region keep no more.
    pub spare: usize,
    /// The bytes of a fragment.
    pub fragment_bytes: u64,
    /// What is paid for a fragment and an epoch, in motes.
    pub price: Amount,
    /// Who must keep none: the owner, and the repairers, who know the masks.
    pub excluded: Vec<Address>,
    /// Where its peers may say they are; empty for anywhere. The ledger does not have it: who draws again
    /// knows it from the contract that names the regions.
    pub regions: Vec<String>,
}

/// Fewer peers than fragments take part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found} peers{} have room at this price where {needed} are needed; offer more, or fewer fragments",
    inside(regions)
)]
pub struct NotEnough {
    /// How many are needed.
    pub needed: usize,
    /// How many there are.
    pub found: usize,
    /// Where they may be; empty for anywhere.
    pub regions: Vec<String>,
}

/// Where peers may be, as the end of a phrase.
fn inside(regions: &[String]) -> String {
    match regions {
        [] => String::new(),
        [one] => format!(" of the region {one}"),
        more => format!(" of the regions {}", more.join(", ")),
    }
}

impl Candidate {
    /// A peer as the ledger has it; none where it takes nothing any more, or not with the bond that is
    /// left to it.
    #[must_use]
    pub fn of(address: Address, peer: &Peer, parameters: &Parameters) -> Option<Self> {
        let least = parameters.get(ParameterName::StorageBond);
        if peer.closing_since.is_some() || peer.is_losing || peer.bond.0 < least {
            return None;
        }
        let audits = peer.audits_passed.saturating_add(peer.audits_missed);
        // One ticket for being there, up to ten for audits, of which eight count as missed, and up to
        // four for room.
        let passed = u128::from(peer.audits_passed) * 11;
        let score = (passed / (u128::from(audits) + 8)) as u8;
        let free_bytes = peer.capacity_bytes.saturating_sub(peer.leased_bytes);
        let room = (u128::from(free_bytes) * 4 / u128::from(peer.capacity_bytes.max(1))) as u8;
        Some(Self {
            peer: address,
            free_bytes,
            price_per_gib: peer.price_per_gib,
            tickets: 1 + score.min(10) + room.min(4),
            network: network(&peer.address),
            region: peer.region.to_string(),
        })
    }

    /// Whether it takes a fragment of a request.
    fn takes(&self, request: &Request) -> bool {
        let asked = self.price_per_gib.share(request.fragment_bytes.into(), 1 << 30);
        let is_inside = request.regions.is_empty() || request.regions.contains(&self.region);
        is_inside
            && self.free_bytes >= request.fragment_bytes
            && asked.is_ok_and(|asked| asked <= request.price)
            && !request.excluded.contains(&self.peer)
    }

    /// Its rank in a draw: the best of its tickets.
    fn rank(&self, seed: &Hash) -> Hash {
        let ticket = |number: u8| Domain::Placement.hash_of(&(seed, self.peer, number));
        (0..self.tickets.max(1)).map(ticket).max().unwrap_or_default()
    }
}

impl Request {
    /// The request of a pack as the ledger has it, by the beacon at the end of the epoch in which it
    /// was placed ([`BeaconKey`](chronolith_chain::ledger::BeaconKey) of `placed_epoch`): of peers anywhere.
    #[must_use]
    pub fn of(chain: ChainId, id: ContentId, pack: &Pack, beacon: Hash) -> Self {
        let repairers = pack.repairers.iter().map(|repairer| repairer.0);
        Self {
            seed: Domain::Placement.hash_of(&(chain, id, pack.owner, beacon)),
            fragments: pack.fragments.into(),
            spare: pack.fragments.saturating_sub(pack.needed).into(),
            fragment_bytes: u64::from(pack.blocks) * chronolith_chain::ledger::BLOCK_BYTES,
            price: pack.price,
            excluded: repairers.chain([pack.owner]).collect(),
            regions: Vec::new(),
        }
    }
}

/// The network of a multiaddress: /24 of IPv4, /48 of IPv6; of anything else its first two parts. That
/// of a peer behind a relay is the relay's: where a relay is gone, so are all that are reached by it.
fn network(address: &str) -> String {
    let mut parts = address.split('/').skip(1);
    let (protocol, host) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    match protocol {
        "ip4" => host.parse::<Ipv4Addr>().ok().map(|address| {
            let [a, b, c, _] = address.octets();
            format!("ip4/{a}.{b}.{c}")
        }),
        "ip6" => host.parse::<Ipv6Addr>().ok().map(|address| {
            let [a, b, c, ..] = address.segments();
            format!("ip6/{a:x}:{b:x}:{c:x}")
        }),
        _ => None,
    }
    .unwrap_or_else(|| format!("{protocol}/{host}"))
}

/// Draws a peer for each fragment, in the order of their indices. The same candidates in any order give
/// the same peers.
///
/// # Errors
/// [`NotEnough`] where fewer peers than fragments take part.
pub fn place(candidates: &[Candidate], request: &Request) -> Result<Vec<Address>, NotEnough> {
    let mut ranked: Vec<(Hash, &Candidate)> = candidates
        .iter()
        .filter(|candidate| candidate.takes(request))
        .map(|candidate| (candidate.rank(&request.seed), candidate))
        .collect();
    ranked.sort_by_key(|(rank, candidate)| std::cmp::Reverse((*rank, candidate.peer)));
    ranked.dedup_by_key(|(_, candidate)| candidate.peer);
    let needed = request.fragments;
    if ranked.len() < needed {
        let (found, regions) = (ranked.len(), request.regions.clone());
        return Err(NotEnough { needed, found, regions });
    }
    // Where there are not enough networks and regions, more is taken of each, one by one.
    let mut most = request.spare.max(1);
    loop {
        let chosen = within(&ranked, needed, most);
        if chosen.len() == needed || most >= needed {
            return Ok(chosen);
        }
        most += 1;
    }
}

/// The best ranks with at most so many of one network and of one region.
fn within(ranked: &[(Hash, &Candidate)], needed: usize, most: usize) -> Vec<Address> {
    let (mut networks, mut regions) = (BTreeMap::new(), BTreeMap::new());
    let mut chosen = Vec::with_capacity(needed);
    for (_, candidate) in ranked {
        if chosen.len() == needed {
            break;
        }
        let of_network: &mut usize = networks.entry(&candidate.network).or_default();
        let of_region: &mut usize = regions.entry(&candidate.region).or_default();
        if *of_network < most && *of_region < most {
            (*of_network, *of_region) = (*of_network + 1, *of_region + 1);
            chosen.push(candidate.peer);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::network;

    #[test]
    fn networks_are_told_by_addresses() {
        for (address, expected) in [
            ("/ip4/192.0.2.7/tcp/4001/p2p/12D3Koo", "ip4/192.0.2"),
            ("/ip4/192.0.2.200/udp/1/quic-v1", "ip4/192.0.2"),
            ("/ip4/192.0.2.7/tcp/4001/p2p/12D3Koo/p2p-circuit/p2p/12D3Kxx", "ip4/192.0.2"),
            ("/ip6/2001:db8:1:2::3/tcp/4001", "ip6/2001:db8:1"),
            ("/dns/example.org/tcp/4001", "dns/example.org"),
            ("/ip4/not-an-address", "ip4/not-an-address"),
            ("nonsense", "/"),
        ] {
            assert_eq!(network(address), expected);
        }
    }
}
