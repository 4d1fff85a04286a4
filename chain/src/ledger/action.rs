//! All actions, by group.

use borsh::{BorshDeserialize, BorshSerialize};

use super::call::{Call, Halt, Ledger};

/// The newest version of the protocol that this program knows: new chains begin with it.
pub const PROTOCOL: u16 = 2;

/// What an action does. The rules themselves are the documentation of each action's type.
pub(crate) trait Rules {
    /// Does it, or says why not; what it did before it was refused is taken back.
    fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt>;

    /// How much work it is, in units of a transfer.
    fn weight(&self) -> u64 {
        1
    }
}

/// An action's place in the table of actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActionKind {
    /// The first byte of its encoding.
    pub tag: u8,
    /// Its name.
    pub name: &'static str,
    /// The group it belongs to.
    pub group: &'static str,
    /// The file with its rules, below `src/ledger/`.
    pub file: &'static str,
    /// The protocol version that it exists since.
    pub since: u16,
}

macro_rules! actions {
    ($($group:ident { $($tag:literal $file:ident $name:ident since $since:literal,)* })*) => {
        /// What a transaction does. The numbers are for ever; a new action takes a new one.
        #[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
        #[derive(serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        #[borsh(use_discriminant = true)]
        #[repr(u8)]
        pub enum Action {
            $($(
                #[doc = concat!("See [`", stringify!($name), "`](super::", stringify!($name), ").")]
                $name(super::$name) = $tag,
            )*)*
        }

        impl Action {
            /// All kinds of actions, by their numbers.
            pub const KINDS: &'static [ActionKind] = &[$($(ActionKind {
                tag: $tag,
                name: stringify!($name),
                group: stringify!($group),
                file: concat!(stringify!($group), "/", stringify!($file), ".rs"),
                since: $since,
            },)*)*];

            /// Which kind it is.
            #[must_use]
            pub fn kind(&self) -> &'static ActionKind {
                let tag: u8 = match self { $($(Self::$name(_) => $tag,)*)* };
                let found = Self::KINDS.iter().find(|kind| kind.tag == tag);
                found.unwrap_or(&Self::KINDS[0])
            }

            fn rules(&self) -> &dyn Rules {
                match self { $($(Self::$name(action) => action,)*)* }
            }
        }

        $($(
            impl From<super::$name> for Action {
                fn from(action: super::$name) -> Self {
                    Self::$name(action)
                }
            }
        )*)*
    };
}

actions! {
    coin {
        0x00 transfer Transfer since 1,
        0x01 issue_coin IssueCoin since 1,
        0x02 mint_coin MintCoin since 1,
        0x03 burn_coin BurnCoin since 1,
        0x04 lock_coin LockCoin since 1,
    }
    validators {
        0x10 bond Bond since 1,
        0x11 ready Ready since 1,
        0x12 unbond Unbond since 1,
        0x13 delegate Delegate since 1,
        0x14 retract Retract since 1,
        0x15 evidence Evidence since 1,
    }
    governance {
        0x20 propose Propose since 1,
        0x21 vote Vote since 1,
    }
    devices {
        0x30 register_device RegisterDevice since 1,
        0x31 transfer_device TransferDevice since 1,
        0x32 retire_device RetireDevice since 1,
    }
    anchors {
        0x40 anchor Anchor since 1,
        0x41 place_pack PlacePack since 1,
        0x42 discard Discard since 1,
    }
    rights {
        0x50 offer Offer since 1,
        0x51 close_offer CloseOffer since 1,
        0x52 request Request since 1,
        0x53 grant Grant since 1,
        0x54 decline Decline since 1,
        0x55 cancel Cancel since 1,
        0x56 revoke Revoke since 1,
        0x57 dispute Dispute since 1,
        0x58 offer_extended OfferExtended since 2,
        0x59 answer AnswerRequest since 2,
        0x5A dispute_answer DisputeAnswer since 2,
    }
    storage {
        0x60 open_storage OpenStorage since 1,
        0x61 assign_batch AssignBatch since 1,
        0x62 attest_audits AttestAudits since 1,
        0x63 report_wrong_encoding ReportWrongEncoding since 1,
        0x64 repair Repair since 1,
        0x65 reassign Reassign since 1,
        0x66 renew Renew since 1,
        0x67 close_storage CloseStorage since 1,
        0x68 report_wrong_answer ReportWrongAnswer since 1,
    }
    deals {
        0x70 post_bounty PostBounty since 2,
        0x71 submit_to_bounty SubmitToBounty since 2,
        0x72 award_bounty AwardBounty since 2,
        0x73 open_deal OpenDeal since 2,
        0x74 join_deal JoinDeal since 2,
        0x75 advance Advance since 2,
        0x76 arbitrate Arbitrate since 2,
        0x77 subscribe Subscribe since 2,
        0x78 top_up_subscription TopUpSubscription since 2,
        0x79 draw_subscription DrawSubscription since 2,
        0x7A dispute_period DisputePeriod since 2,
        0x7B end_subscription EndSubscription since 2,
    }
    directory {
        0x80 register_service RegisterService since 1,
        0x81 update_service UpdateService since 1,
        0x82 certify Certify since 1,
        0x83 revoke_certificate RevokeCertificate since 1,
    }
}

impl Action {
    /// How much work it is, in units of a transfer.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.rules().weight()
    }

    pub(super) fn apply(&self, ledger: &mut Ledger<'_>, call: &Call) -> Result<(), Halt> {
        self.rules().apply(ledger, call)
    }
}
