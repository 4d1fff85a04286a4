//! What has to come of a sale: the rules once more, in a page.

/// What is paid, and what revoking costs on top: 5 % of it.
pub(super) const PRICE: u128 = 1_010;
const FEE: u128 = 50;
/// The end of what is sold, in milliseconds since the epoch; it begins at 0.
pub(super) const UNTIL_MS: u64 = 14_000;
/// How many blocks a grant may take, a cancellation waits, and a buyer has to check.
pub(super) const DEADLINE: u64 = 4;
pub(super) const CANCEL: u64 = 2;
pub(super) const CHECK: u64 = 2;

/// A step; each takes one block. Numbers are those of sales.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Move {
    /// Nothing happens.
    Wait,
    Buy,
    CloseOffer,
    GrantRight(usize),
    GrantWrong(usize),
    /// The buyer opens the grant and tries the key on the window.
    Fetch(usize),
    Decline(usize),
    Cancel(usize),
    Revoke(usize),
    Dispute(usize),
}

impl Move {
    /// All that can be tried with so many sales.
    pub(super) fn all(sales: usize) -> Vec<Self> {
        let mut all = vec![Self::Wait, Self::Buy, Self::CloseOffer];
        for sale in 0..sales {
            all.extend([
                Self::GrantRight(sale),
                Self::GrantWrong(sale),
                Self::Fetch(sale),
                Self::Decline(sale),
                Self::Cancel(sale),
                Self::Revoke(sale),
                Self::Dispute(sale),
            ]);
        }
        all
    }

    /// Whether the owner makes it; the others are the buyer's.
    pub(super) const fn is_owners(self) -> bool {
        matches!(
            self,
            Self::CloseOffer
                | Self::GrantRight(_)
                | Self::GrantWrong(_)
                | Self::Decline(_)
                | Self::Revoke(_)
        )
    }
}

/// What became of a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Phase {
    Open,
    Cancelling { from: u64 },
    Granted { is_right: bool, settles: u64 },
    Settled { is_right: bool },
    Declined,
    Refunded,
    Revoked { refund: u128, was_paid: bool },
    Faulty,
}

/// A sale: its phase, and what the buyer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Sale {
    pub(super) deadline: u64,
    pub(super) phase: Phase,
    /// Whether keys were given, and whether they are right.
    pub(super) given: Option<bool>,
    /// Whether the buyer has opened the window.
    pub(super) has_opened: bool,
}

impl Sale {
    pub(super) const fn new(height: u64) -> Self {
        let deadline = height + DEADLINE;
        Self { deadline, phase: Phase::Open, given: None, has_opened: false }
    }

    /// What is set aside for it.
    pub(super) const fn escrow(&self) -> u128 {
        match self.phase {
            Phase::Open | Phase::Cancelling { .. } | Phase::Granted { .. } => PRICE,
            _ => 0,
        }
    }

    /// What the owner has of it.
    pub(super) const fn earned(&self) -> u128 {
        match self.phase {
            Phase::Settled { .. } => PRICE,
            Phase::Revoked { refund, was_paid: true } => PRICE - refund,
            _ => 0,
        }
    }

    /// Makes a move in the block of a height and a time; whether it must be allowed.
    pub(super) fn step(&mut self, next: Move, height: u64, time_ms: u64) -> bool {
        let is_asked = matches!(self.phase, Phase::Open | Phase::Cancelling { .. });
        let grant = |is_right| Phase::Granted { is_right, settles: height + CHECK };
        let after = match (next, self.phase) {
            (Move::GrantRight(_), _) if is_asked && height <= self.deadline => grant(true),
            (Move::GrantWrong(_), _) if is_asked && height <= self.deadline => grant(false),
            (Move::Decline(_), _) if is_asked => Phase::Declined,
            (Move::Cancel(_), Phase::Open) => {
                Phase::Cancelling { from: (height + CANCEL).min(self.deadline + 1) }
            }
            (Move::Revoke(_), Phase::Granted { .. }) => {
                Phase::Revoked { refund: PRICE, was_paid: false }
            }
            (Move::Revoke(_), Phase::Settled { .. }) => {
                let left = UNTIL_MS.saturating_sub(time_ms);
                let unused = PRICE * u128::from(left) / u128::from(UNTIL_MS);
                Phase::Revoked { refund: (unused + FEE).min(PRICE), was_paid: true }
            }
            (Move::Dispute(_), Phase::Granted { is_right: false, settles })
                if height <= settles =>
            {
                Phase::Faulty
            }
            _ => return false,
        };
        if let Phase::Granted { is_right, .. } = after {
            self.given = Some(is_right);
        }
        self.phase = after;
        true
    }

    /// What happens at the end of a block without anybody asking.
    pub(super) fn end_block(&mut self, height: u64) {
        self.phase = match self.phase {
            Phase::Open if height > self.deadline => Phase::Refunded,
            Phase::Cancelling { from } if height >= from => Phase::Refunded,
            Phase::Granted { is_right, settles } if height >= settles => {
                Phase::Settled { is_right }
            }
            other => other,
        };
    }
}
