//! The rules of services and certificates.

use chronolith_chain::encoding::Text;
use chronolith_chain::hash::{CertificateId, Hash, ServiceId};
use chronolith_chain::ledger::{
    CertificateKey, CertifiedKey, Certify, Refusal, RegisterService, RevokeCertificate,
    ServiceInfo, ServiceKey, Thing, UpdateService,
};

use crate::world::{World, account};

pub(crate) fn info(name: &str) -> ServiceInfo {
    ServiceInfo {
        name: Text::new(name).unwrap(),
        kind: Text::new("sql").unwrap(),
        endpoint: Text::new("https://example.org").unwrap(),
        description: None,
    }
}

#[test]
fn services_are_their_owners() {
    let mut world = World::new();
    assert_eq!(world.refused(1, RegisterService { info: info("") }), Refusal::Zero);
    let service = ServiceId::made_by(world.done(1, RegisterService { info: info("fleet") }));
    let update = |info| UpdateService { service, info };
    assert_eq!(world.refused(2, update(None)), Refusal::NotAllowed(Thing::Service));
    assert_eq!(world.refused(1, update(Some(info("fleet")))), Refusal::NoChange);
    assert_eq!(world.refused(1, update(Some(info("")))), Refusal::Zero);
    world.done(1, update(Some(info("fleets"))));
    assert_eq!(world.get(&ServiceKey { service }).unwrap().info, Some(info("fleets")));
    world.done(1, update(None));
    assert_eq!(world.refused(1, update(Some(info("again")))), Refusal::Status(Thing::Service));
}

#[test]
fn certificates_are_revoked_by_either_side_once() {
    let mut world = World::new();
    let certify = |valid_until_ms| Certify {
        subject: account(2),
        purpose: Text::new("tls").unwrap(),
        certificate: Hash([1; 32]),
        valid_until_ms,
    };
    assert_eq!(world.refused(1, certify(0)), Refusal::Range);
    let nothing = Certify { purpose: Text::default(), ..certify(u64::MAX) };
    assert_eq!(world.refused(1, nothing), Refusal::Zero);
    for revoker in [1, 2] {
        let certificate = CertificateId::made_by(world.done(1, certify(u64::MAX)));
        let revoke = RevokeCertificate { certificate };
        assert_eq!(world.refused(3, revoke.clone()), Refusal::NotAllowed(Thing::Certificate));
        world.done(revoker, revoke.clone());
        let found = world.get(&CertificateKey { certificate }).unwrap();
        assert_eq!(found.revoked, Some(world.next() - 1));
        assert_eq!(world.refused(1, revoke), Refusal::NoChange);
    }
    // It is found by who issued what, and the last one counts.
    let found = |world: &World, issuer| {
        world.get(&CertifiedKey { issuer: account(issuer), hash: Hash([1; 32]) })
    };
    let last = CertificateId::made_by(world.done(1, certify(u64::MAX)));
    assert_eq!((found(&world, 1), found(&world, 2)), (Some(last), None));
    let unknown = RevokeCertificate { certificate: CertificateId([1; 32]) };
    assert_eq!(world.refused(1, unknown), Refusal::Missing(Thing::Certificate));
}
