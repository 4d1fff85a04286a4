//! A pack whose owner encoded it wrongly is seen, and shown in a form that the ledger judges.

use chronolith_chain::address::Address;
use chronolith_chain::ledger::ReportWrongEncoding;
use chronolith_chain::simulate::Random;
use chronolith_fragment::{
    Encoded, Encoder, Fragment, MaskSecret, Profile, RowVerdict, ShownRow, judge_row,
};
use chronolith_net::join::{Collector, JoinError};
use chronolith_net::pack::PackHeader;
use chronolith_net::stored::StoredFragment;

use crate::fixture::{make, small_body};

/// A header and fragments that are wrong in some bytes, but hold under the header's root.
fn wrong(profile: Profile, damage: &[(usize, usize)]) -> (PackHeader, MaskSecret, Vec<Fragment>) {
    let mut random = Random::new(1);
    let body = small_body(&mut random, 4, 3_000);
    let made = make(&mut random, body, profile);
    let header = made.pack.header().clone();
    let encoder = Encoder::new(header.shape).unwrap();
    let mut pieces = encoder.pieces(made.pack.body().bytes(), &made.secret).unwrap();
    for (fragment, byte) in damage {
        pieces[*fragment][*byte] ^= 0x20;
    }
    let encoded = Encoded::of_pieces(header.shape, pieces).unwrap();
    let header = PackHeader { fragments_root: encoded.root(), ..header };
    (header, made.secret, encoded.into_fragments())
}

fn collect(header: &PackHeader, fragments: &[Fragment], of: &[usize]) -> Collector<usize> {
    let mut collector = Collector::new(header.clone());
    let (pack, shape) = (header.content_id(), header.shape);
    for index in of {
        let fragment = fragments[*index].clone();
        let sent = StoredFragment { pack, shape, fragment }.to_bytes();
        assert!(collector.offer(*index, &sent), "nobody lies but the owner");
    }
    collector
}

fn verdict(header: &PackHeader, report: &ReportWrongEncoding) -> RowVerdict {
    assert_eq!(report.pack, header.content_id());
    let paths: Vec<Vec<[u8; 32]>> =
        report.shown.iter().map(|shown| shown.path.iter().map(|hash| hash.0).collect()).collect();
    let rows: Vec<ShownRow<'_>> = report
        .shown
        .iter()
        .zip(&paths)
        .map(|(shown, path)| ShownRow { fragment: shown.fragment, block: &shown.block, path })
        .collect();
    let secret = MaskSecret::new(report.secret.0);
    judge_row(header.committed(), &secret, report.block, &rows).unwrap()
}

#[test]
fn a_wrong_fragment_is_shown_by_any_one_fragment_more_than_are_needed() {
    for damage in [[(0, 5)], [(3, 700)], [(5, 0)]] {
        let (header, secret, fragments) = wrong(Profile::Lab, &damage);
        let broken = damage[0].0;
        for left_out in (0..6).filter(|index| *index != broken) {
            let of: Vec<usize> = (0..6).filter(|index| *index != left_out).collect();
            let collector = collect(&header, &fragments, &of);
            let Err(JoinError::WrongEncoding(row)) = collector.rebuild(&secret) else {
                panic!("not seen without {left_out}")
            };
            assert_eq!(row.row, damage[0].1 as u32 / 256);
            assert_eq!(verdict(&header, &row.report(Address::default())), RowVerdict::Wrong);
        }
    }
}

#[test]
fn wide_packs_are_judged_within_a_transaction() {
    let (header, secret, fragments) = wrong(Profile::Wide, &[(95, 200)]);
    let of: Vec<usize> = (60..96).collect();
    let Err(JoinError::WrongEncoding(row)) = collect(&header, &fragments, &of).rebuild(&secret)
    else {
        panic!("not seen")
    };
    let report = row.report(Address::default());
    assert_eq!(verdict(&header, &report), RowVerdict::Wrong);
    let bytes = chronolith_chain::encoding::encode(&report).len();
    assert!(bytes < 32 << 10, "{bytes}");
}

#[test]
fn as_many_fragments_as_are_needed_show_nothing_but_that_the_body_is_another() {
    let (header, secret, fragments) = wrong(Profile::Lab, &[(1, 300)]);
    let refused = collect(&header, &fragments, &[0, 1, 2, 3]).rebuild(&secret);
    assert!(matches!(refused, Err(JoinError::OtherBody(_))), "{refused:?}");
    // Without the wrong one everything joins; encoding again shows that the root is another.
    let collector = collect(&header, &fragments, &[0, 2, 3, 4]);
    assert!(collector.join(|index| Some(secret.key(index))).is_ok());
    assert!(matches!(collector.rebuild(&secret), Err(JoinError::OtherBody(_))));
}
