//! Deals: bounties, deals of several steps, and subscriptions. What is set aside for any of them comes out
//! again by itself, whoever is away.

mod advance;
mod arbitrate;
mod award_bounty;
mod bounty;
mod course;
mod deal;
mod dispute_period;
mod draw_subscription;
mod end_subscription;
mod join_deal;
mod open_deal;
mod post_bounty;
mod submit_to_bounty;
mod subscribe;
mod subscription;
mod top_up_subscription;

pub use advance::Advance;
pub use arbitrate::Arbitrate;
pub use award_bounty::{Award, AwardBounty};
pub(super) use bounty::end_bounty;
pub use bounty::{
    Bounty, BountyKey, Leftover, Ownership, SUBMISSIONS_MOST, Submission, SubmissionKey,
    SubmittedRight, SubmitterKey,
};
pub(super) use course::{end_arbitration, end_joining, end_step};
pub use deal::Outcome as DealOutcome;
pub use deal::{
    Advanced, Deal, DealKey, DealStatus, DealStepKey, DealVerdictKey, Decided, Next, OUTCOMES_MOST,
    PARTIES_MOST, Parties, Party, Plan, SHARES_MOST, STEPS_MOST, Share, Step, Verdict,
};
pub use dispute_period::DisputePeriod;
pub use draw_subscription::DrawSubscription;
pub use end_subscription::EndSubscription;
pub use join_deal::JoinDeal;
pub use open_deal::OpenDeal;
pub use post_bounty::PostBounty;
pub use submit_to_bounty::SubmitToBounty;
pub use subscribe::Subscribe;
pub use subscription::{
    Period, PeriodKey, PeriodStatus, Subscription, SubscriptionKey, SubscriptionStatus,
};
pub(super) use subscription::{end_subscription, settle_period};
pub use top_up_subscription::TopUpSubscription;
