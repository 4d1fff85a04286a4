//! A certificate holds when more than two thirds signed exactly this, and for nothing else.

use chronolith_chain::certificate::{Certificate, CertificateError, Share};
use chronolith_chain::encoding::{DecodeReason, encode};
use chronolith_chain::hash::{BlockId, ChainId};
use chronolith_chain::keys::SecretKey;
use chronolith_chain::ledger::Seat;
use chronolith_chain::validator_set::{
    MAX_TOTAL_POWER, MAX_VALIDATORS, ValidatorSet, ValidatorSetError,
};
use chronolith_chain::vote::{Message as _, Step, Vote};

use crate::blocks_follow_each_other::golden;
use crate::world::{account, consensus_key};

const CHAIN: ChainId = ChainId([1; 32]);
const BLOCK: BlockId = BlockId([2; 32]);

fn seat(person: u8, power: u64) -> Seat {
    Seat { validator: account(person), consensus_key: consensus_key(person).public(), power }
}

fn set(powers: &[u64]) -> ValidatorSet {
    let seats = (0..).zip(powers).map(|(person, power)| seat(person, *power));
    ValidatorSet::new(seats.collect::<Vec<_>>()).unwrap()
}

fn vote() -> Vote {
    Vote { chain: CHAIN, height: 9, round: 3, step: Step::Precommit, block: Some(BLOCK) }
}

fn by(set: &ValidatorSet, people: &[u8], vote: Vote) -> Certificate {
    let sign = |key: SecretKey| (key.public(), key.sign(&vote.signing_hash()));
    let votes = people.iter().map(|person| sign(consensus_key(*person)));
    Certificate::new(9, 3, BLOCK, set, votes).unwrap()
}

#[test]
fn two_thirds_are_not_enough_and_more_are() {
    for (powers, people, holds) in [
        (&[1, 1, 1, 1][..], &[0, 1, 2][..], true),
        (&[1, 1, 1, 1], &[0, 1], false),
        (&[1, 1, 1], &[0, 1], false),
        (&[1], &[0], true),
        (&[67, 33], &[0], true),
        (&[66, 33, 1], &[0], false),
        (&[MAX_TOTAL_POWER / 3 * 2, MAX_TOTAL_POWER / 3], &[0], false),
        (&[MAX_TOTAL_POWER / 3 * 2 + 1, MAX_TOTAL_POWER / 3], &[0], true),
    ] {
        let set = set(powers);
        let certificate = by(&set, people, vote());
        let verdict = certificate.verify(&set, CHAIN);
        assert_eq!(verdict.is_ok(), holds, "{people:?} of {powers:?}: {verdict:?}");
        let mut voters: Vec<_> = people.iter().map(|person| account(*person)).collect();
        voters.sort_unstable();
        assert_eq!(certificate.voters(&set), voters);
    }
}

#[test]
fn what_was_signed_of_another_thing_is_refused() {
    let set = set(&[1; 7]);
    let all = [0, 1, 2, 3, 4, 5, 6];
    assert_eq!(by(&set, &all, vote()).verify(&set, CHAIN), Ok(()));
    for other in [
        Vote { chain: ChainId([9; 32]), ..vote() },
        Vote { height: 8, ..vote() },
        Vote { round: 2, ..vote() },
        Vote { step: Step::Prevote, ..vote() },
        Vote { block: None, ..vote() },
        Vote { block: Some(BlockId([9; 32])), ..vote() },
    ] {
        let verdict = by(&set, &all, other).verify(&set, CHAIN);
        let first = CertificateError::Signature { validator: set.members()[0].validator };
        assert_eq!(verdict, Err(first), "{other:?}");
    }
    let elsewhere = by(&set, &all, vote()).verify(&set, ChainId([9; 32]));
    assert!(matches!(elsewhere, Err(CertificateError::Signature { .. })));
}

#[test]
fn one_false_signature_among_enough_good_ones_is_refused_and_named() {
    let set = set(&[1; 4]);
    let mut votes: Vec<_> = (0..4_u8)
        .map(consensus_key)
        .map(|key| (key.public(), key.sign(&vote().signing_hash())))
        .collect();
    votes[2].1 = votes[1].1;
    let certificate = Certificate::new(9, 3, BLOCK, &set, votes).unwrap();
    let named = CertificateError::Signature { validator: account(2) };
    assert_eq!(certificate.verify(&set, CHAIN), Err(named));
}

#[test]
fn strangers_and_double_votes_make_no_certificate() {
    let set = set(&[1; 4]);
    let sign = |person| {
        let key = consensus_key(person);
        (key.public(), key.sign(&vote().signing_hash()))
    };
    let stranger = Certificate::new(9, 3, BLOCK, &set, [sign(0), sign(7)]);
    assert_eq!(stranger, Err(CertificateError::Unknown { key: sign(7).0 }));
    let twice = Certificate::new(9, 3, BLOCK, &set, [sign(0), sign(1), sign(0)]);
    assert_eq!(twice, Err(CertificateError::Duplicate { validator: account(0) }));
    let other = self::set(&[1; 5]);
    let of_five = by(&other, &[0, 1, 2, 3, 4], vote());
    let members = CertificateError::Members { expected: 4, found: 5 };
    assert_eq!(of_five.verify(&set, CHAIN), Err(members));
    assert!(of_five.voters(&set).is_empty());
}

#[test]
fn a_third_of_those_who_are_trusted_must_be_among_the_voters() {
    let trusted = set(&[1, 1, 1]);
    let later = ValidatorSet::new([seat(0, 1), seat(1, 1), seat(7, 1), seat(8, 1)]).unwrap();
    let verdict =
        |people: &[u8]| by(&later, people, vote()).verify_trusting(&later, &trusted, CHAIN);
    assert_eq!(verdict(&[0, 1, 7]), Ok(()));
    let few = CertificateError::Power { found: 1, total: 3, needed: Share::Third };
    assert_eq!(verdict(&[0, 7, 8]), Err(few));
    // The account is the same, the key is not: that is not whom the verifier trusts.
    let rekeyed = Seat { consensus_key: consensus_key(9).public(), ..seat(1, 1) };
    let later = ValidatorSet::new([seat(0, 1), rekeyed, seat(7, 1)]).unwrap();
    let sign = |person| {
        let key = consensus_key(person);
        (key.public(), key.sign(&vote().signing_hash()))
    };
    let certificate = Certificate::new(9, 3, BLOCK, &later, [sign(0), sign(9), sign(7)]).unwrap();
    assert_eq!(certificate.verify(&later, CHAIN), Ok(()));
    assert_eq!(certificate.verify_trusting(&later, &trusted, CHAIN), Err(few));
}

#[test]
fn sets_that_could_not_work_are_refused() {
    let new = |seats: Vec<Seat>| ValidatorSet::new(seats).map(drop);
    assert_eq!(new(Vec::new()), Err(ValidatorSetError::Empty));
    let found = MAX_VALIDATORS + 1;
    assert_eq!(new(vec![seat(1, 1); found]), Err(ValidatorSetError::TooMany { found }));
    assert_eq!(new(vec![seat(1, 1), seat(1, 2)]), Err(ValidatorSetError::Account));
    let powerless = ValidatorSetError::Powerless { validator: account(2) };
    assert_eq!(new(vec![seat(1, 1), seat(2, 0)]), Err(powerless));
    for powers in [[MAX_TOTAL_POWER, 1], [u64::MAX, u64::MAX]] {
        let seats = vec![seat(1, powers[0]), seat(2, powers[1])];
        assert_eq!(new(seats), Err(ValidatorSetError::TotalPower));
    }
    let shared = Seat { consensus_key: consensus_key(1).public(), ..seat(2, 1) };
    assert!(matches!(new(vec![seat(1, 1), shared]), Err(ValidatorSetError::Key { .. })));
    // Of bytes, too.
    let good = set(&[1, 2, 3]);
    assert_eq!(ValidatorSet::decode(&encode(&good)).unwrap(), good);
    let mut bytes = encode(&good);
    let power = bytes.len() - 8;
    bytes[power] = 0;
    assert_eq!(ValidatorSet::decode(&bytes).unwrap_err().reason, DecodeReason::Invalid);
}

#[test]
fn certificates_have_one_encoding() {
    let (_, _, certificate) = golden();
    let bytes = encode(&certificate);
    assert_eq!(Certificate::decode(&bytes).unwrap(), certificate);
    for end in 0..bytes.len() {
        assert!(Certificate::decode(&bytes[..end]).is_err());
    }
    let members = 8 + 4 + 32;
    let with = |at: usize, byte: u8| {
        let mut changed = bytes.clone();
        changed[at] = byte;
        Certificate::decode(&changed).unwrap_err().reason
    };
    // A bit behind the last of eleven members; more members than there can be; a bit too few.
    let behind = bytes[members + 3] | 0x08;
    assert_eq!(with(members + 3, behind), DecodeReason::Invalid);
    let long = DecodeReason::TooLong { limit: MAX_VALIDATORS, found: 255 };
    assert_eq!(with(members, 255), long);
    let fewer = bytes[members + 2] & (bytes[members + 2] - 1);
    assert_eq!(with(members + 2, fewer), DecodeReason::Trailing { count: 64 });
}
