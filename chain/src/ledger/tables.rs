//! How tables of the state are declared.

/// Defines key types of the state, each with the number of its kind and its type of value.
macro_rules! tables {
    ($($(#[$doc:meta])* $kind:literal $name:ident { $($part:ident: $type:ty),* } => $value:ty;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name {
            $(#[expect(missing_docs, reason = "a part of a key is what it is called")] pub $part: $type,)*
        }

        impl crate::state::Key for $name {
            type Value = $value;
            const KIND: u8 = $kind;
            const NAME: &'static str = stringify!($name);

            fn write_parts(&self, bytes: &mut Vec<u8>) {
                $(crate::state::KeyPart::write(&self.$part, bytes);)*
                let _ = bytes;
            }

            fn read_parts(bytes: &mut &[u8]) -> Option<Self> {
                let _ = &bytes;
                Some(Self { $($part: crate::state::KeyPart::read(bytes)?,)* })
            }
        }
    )*};
}

pub(crate) use tables;

#[cfg(test)]
mod tests {
    use crate::ledger::*;
    use crate::state::Key;

    #[test]
    fn every_table_has_a_number_of_its_own() {
        let mut kinds = vec![
            AccountKey::KIND,
            HoldingKey::KIND,
            IssuedCoinKey::KIND,
            SupplyKey::KIND,
            ParametersKey::KIND,
            ProtocolKey::KIND,
            ScheduleKey::KIND,
            AgendaKey::KIND,
            CountersKey::KIND,
            ValidatorKey::KIND,
            ConsensusKeyKey::KIND,
            DelegationKey::KIND,
            UnbondingKey::KIND,
            SeatsKey::KIND,
            PastSeatsKey::KIND,
            SlashKey::KIND,
            CandidateKey::KIND,
            DrawKey::KIND,
            AbsenceKey::KIND,
            BondedKey::KIND,
            MisdeedKey::KIND,
            ProposalKey::KIND,
            BallotKey::KIND,
            DeviceKey::KIND,
            EraKey::KIND,
            AnchorKey::KIND,
            PackKey::KIND,
            OfferKey::KIND,
            RequestKey::KIND,
            SellerKey::KIND,
            ExtensionKey::KIND,
            AnswerKey::KIND,
            BountyKey::KIND,
            SubmissionKey::KIND,
            SubmitterKey::KIND,
            DealKey::KIND,
            DealStepKey::KIND,
            DealVerdictKey::KIND,
            SubscriptionKey::KIND,
            PeriodKey::KIND,
            PeerKey::KIND,
            PeerIndexKey::KIND,
            LeaseKey::KIND,
            UsedConsentKey::KIND,
            AttestationKey::KIND,
            SettlementKey::KIND,
            BeaconKey::KIND,
            SlotNodeKey::KIND,
            ServiceKey::KIND,
            CertificateKey::KIND,
            CertifiedKey::KIND,
        ];
        let count = kinds.len();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), count);
    }
}
