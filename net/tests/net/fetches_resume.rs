//! What arrived is kept, and not fetched again.

use std::collections::BTreeSet;
use std::sync::Arc;

use chronolith_chain::simulate::Random;
use chronolith_disk::{Disk, RealDisk};
use chronolith_fragment::Profile;
use chronolith_net::fetch::{
    FetchEvent, FragmentFolder, PackFetch, fetch_pack, fragment_name, header_name,
};
use chronolith_net::join::Collector;
use chronolith_net::pack::PackHeader;
use tokio::sync::oneshot;

use crate::fetch_keepers::{Deed, World, given, patient};
use crate::fixture::{make, small_body};
use crate::peers::wait;

#[test]
fn a_fetch_that_is_cancelled_goes_on_where_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::create(directory.path()).unwrap());
    let folder = Some(FragmentFolder::new(disk));
    let mut random = Random::new(1);
    let body = small_body(&mut random, 9, 3_000);
    let made = Arc::new(make(&mut random, body, Profile::Lab));
    // Two fragments arrive, and the others do not until the gate is open.
    let world = World::of(&made, |index| match index {
        0 | 2 => Deed::Honest,
        _ => Deed::Waits,
    });
    let network = world.seeker.network.handle();
    let wish = PackFetch { folder: folder.clone(), ..world.fetch(patient()) };
    let (cancel, cancelled) = oneshot::channel();
    let (mut cancel, mut arrived) = (Some(cancel), BTreeSet::new());
    let fetch = fetch_pack(&network, wish.clone(), |event| {
        if let FetchEvent::Arrived { fragment, .. } = event {
            arrived.insert(fragment);
        }
        if let Some(cancel) = cancel.take_if(|_| arrived.len() == 2) {
            cancel.send(()).unwrap();
        }
    });
    wait(async {
        tokio::select! {
            _ = fetch => panic!("it ended with two of four fragments"),
            done = cancelled => done.unwrap(),
        }
    });
    assert_eq!(arrived, BTreeSet::from([0, 2]));
    world.gate.open();
    let mut events = Vec::new();
    let fetched = wait(fetch_pack(&network, wish.clone(), |event| events.push(event))).unwrap();
    assert_eq!(fetched.report.resumed, [0, 2]);
    let joined = fetched.collector.join(|index| Some(made.secret.key(index))).unwrap();
    assert!(joined == made.pack);
    for number in [0, 2] {
        let asked = world.keepers[number].1.asked.lock().unwrap().clone();
        assert_eq!(asked, [number as u8], "a fragment that arrived is fetched again");
    }
    // With all that is needed in the folder, nobody is asked.
    let before = world.bytes();
    let alone = PackFetch { sources: Vec::new(), ..wish };
    let fetched = wait(fetch_pack(&network, alone, |_| {})).unwrap();
    assert_eq!((fetched.report.resumed.len(), world.bytes()), (4, before));
}

#[test]
fn files_that_do_not_hold_are_fetched_again_and_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::create(directory.path()).unwrap());
    let folder = Some(FragmentFolder::new(Arc::clone(&disk)));
    let mut random = Random::new(2);
    let body = small_body(&mut random, 9, 3_000);
    let made = Arc::new(make(&mut random, body, Profile::Lab));
    let id = made.pack.content_id();
    let write =
        |name: &str, bytes: &[u8]| std::fs::write(directory.path().join(name), bytes).unwrap();
    let mut spoilt = made.sent[1].clone();
    *spoilt.last_mut().unwrap() ^= 1;
    write(&header_name(&id), b"no header");
    write(&fragment_name(&id, 0), &made.sent[0]);
    write(&fragment_name(&id, 1), &spoilt);
    write(&fragment_name(&id, 2), &made.sent[3]);
    write(&fragment_name(&id, 3), &made.sent[3][..9]);
    let world = World::of(&made, |_| Deed::Honest);
    let network = world.seeker.network.handle();
    let wish = PackFetch { folder, ..world.fetch(given()) };
    let fetched = wait(fetch_pack(&network, wish, |_| {})).unwrap();
    assert_eq!(fetched.report.resumed, [0]);
    // What lies there now is what `pack join` takes.
    let read = |name: &str| std::fs::read(directory.path().join(name)).unwrap();
    let header = PackHeader::from_bytes(&read(&header_name(&id))).unwrap();
    assert_eq!(header.content_id(), id);
    let mut collector = Collector::new(header);
    for fragment in fetched.collector.fragments() {
        assert!(collector.offer((), &read(&fragment_name(&id, fragment.index))));
    }
    assert!(collector.join(|index| Some(made.secret.key(index))).unwrap() == made.pack);
}
