//! Budgets: how much noisy answers about one scope may tell, over all who ask.

use crate::encoding::EncodingProblem;

const VERSION: u8 = 1;
/// The length of a budget's encoding: bytes.
pub const BUDGET_BYTES: usize = 17;

/// What may be told of a scope by noisy answers, as ε in millionths: the sum over all answers and all who
/// get them (sequential composition: Dwork and Roth, "The Algorithmic Foundations of Differential
/// Privacy", 2014, theorem 3.14).
///
/// It is to be durable before the answer goes out; a budget that forgets what was spent bounds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    limit_micro: u64,
    spent_micro: u64,
}

/// Why a budget does not allow an answer, or is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BudgetError {
    /// Too little is left.
    #[error(
        "the answer costs {asked_micro} millionths of ε, and {left_micro} are left: ask for less, \
         or for more noise"
    )]
    Exhausted {
        /// What it costs: millionths of ε.
        asked_micro: u64,
        /// What is left: millionths of ε.
        left_micro: u64,
    },
    /// Bytes are not the encoding of a budget.
    #[error("not a budget, at byte {offset}: {problem}")]
    Malformed {
        /// Where.
        offset: usize,
        /// What is wrong there.
        problem: EncodingProblem,
    },
}

impl Budget {
    /// A budget of which nothing is spent: millionths of ε.
    #[must_use]
    pub const fn new(limit_micro: u64) -> Self {
        Self { limit_micro, spent_micro: 0 }
    }

    /// The same with a limit that is not above another one; what is spent stays spent.
    #[must_use]
    pub const fn within(self, limit_micro: u64) -> Self {
        let limit_micro =
            if limit_micro < self.limit_micro { limit_micro } else { self.limit_micro };
        // What was spent beyond the new limit leaves nothing.
        let spent_micro =
            if self.spent_micro > limit_micro { limit_micro } else { self.spent_micro };
        Self { limit_micro, spent_micro }
    }

    /// What is left: millionths of ε.
    #[must_use]
    pub const fn left_micro(&self) -> u64 {
        self.limit_micro.saturating_sub(self.spent_micro)
    }

    /// What is spent: millionths of ε.
    #[must_use]
    pub const fn spent_micro(&self) -> u64 {
        self.spent_micro
    }

    /// Spends what an answer costs ([`Scale::epsilon_micro`](super::Scale::epsilon_micro)).
    ///
    /// # Errors
    /// [`BudgetError::Exhausted`] where too little is left; then nothing is spent.
    pub const fn spend(&mut self, asked_micro: u64) -> Result<(), BudgetError> {
        let left_micro = self.left_micro();
        if asked_micro > left_micro {
            return Err(BudgetError::Exhausted { asked_micro, left_micro });
        }
        // At most the limit.
        self.spent_micro += asked_micro;
        Ok(())
    }

    /// `version u8 · limit u64 · spent u64`, little-endian.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; BUDGET_BYTES] {
        let mut bytes = [VERSION; BUDGET_BYTES];
        let numbers = [self.limit_micro, self.spent_micro].into_iter().flat_map(u64::to_le_bytes);
        bytes.iter_mut().skip(1).zip(numbers).for_each(|(byte, from)| *byte = from);
        bytes
    }

    /// Reads what [`Budget::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`BudgetError::Malformed`] for anything else.
    pub fn from_bytes(bytes: &[u8; BUDGET_BYTES]) -> Result<Self, BudgetError> {
        let mut reader = crate::encoding::Reader::new(bytes);
        let malformed = |(offset, problem)| BudgetError::Malformed { offset, problem };
        let [found] = *reader.take().map_err(malformed)?;
        if found != VERSION {
            let (found, known) = (found.into(), VERSION.into());
            return Err(malformed((0, EncodingProblem::Version { found, known })));
        }
        let limit_micro = u64::from_le_bytes(*reader.take().map_err(malformed)?);
        let spent_micro = u64::from_le_bytes(*reader.take().map_err(malformed)?);
        if spent_micro > limit_micro {
            return Err(malformed((9, EncodingProblem::Range)));
        }
        Ok(Self { limit_micro, spent_micro })
    }
}
