//! Whatever owner and subscriber do in whatever order: no period is paid without keys, no keys are given for what
//! was not set aside, and a subscriber who disputes wrong keys in time pays nothing for them.

use chronolith_chain::coin::Amount;
use chronolith_chain::ledger::{
    Action, EndSubscription, PeriodKey, PeriodStatus, SubscriptionStatus, TopUpSubscription,
};

use crate::random::Random;
use crate::rights_rules::{BUYER, HOUR, OWNER};
use crate::subscription_rules::{FIXED, Followed, PRICE};
use crate::world::key;

/// A subscription that is played, and what should have come of it.
struct Play {
    one: Followed,
    random: Random,
    /// Whether the subscriber disputes wrong keys at once.
    is_watchful: bool,
    /// What the subscriber has set aside so far.
    put_in: u128,
    /// Of each period that was drawn: its number, its price, and whether its keys are right.
    drawn: Vec<(u32, u128, bool)>,
}

impl Play {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let periods = 1 + random.below(4) as u32;
        let put_in = FIXED + PRICE * u128::from(periods);
        let is_watchful = random.below(2) == 0;
        Self { one: Followed::new(periods), random, is_watchful, put_in, drawn: Vec::new() }
    }

    /// Tries something; whether it was allowed.
    fn attempt(&mut self, person: u8, action: impl Into<Action>) -> bool {
        let world = &mut self.one.sale.world;
        let body = world.body(person, action.into());
        let receipt = world.block(vec![body.sign(&key(person))]).pop().unwrap();
        receipt.refusal.is_none()
    }

    fn step(&mut self) {
        let subscription = self.one.subscription;
        match self.random.below(10) {
            0..5 => self.draw(),
            5 => {
                let periods = 1 + self.random.below(3) as u32;
                let payment = PRICE * u128::from(periods);
                let more = TopUpSubscription { subscription, periods, payment: Amount(payment) };
                if self.attempt(BUYER, more) {
                    self.put_in += payment;
                }
            }
            6 if self.random.below(4) == 0 => {
                self.attempt(OWNER, EndSubscription { subscription });
            }
            7 if self.random.below(3) == 0 => {
                self.attempt(BUYER, EndSubscription { subscription });
            }
            8 => self.dispute(false),
            _ => {
                let height = self.one.sale.world.next() + self.random.below(8);
                self.one.sale.world.run_to(height);
            }
        }
    }

    /// The owner draws a period that is due, or one that is not, with right keys or wrong ones.
    fn draw(&mut self) {
        let before = self.one.found();
        let period = (before.next + self.random.below(2) as u32)
            .saturating_sub(self.random.below(4) as u32 / 3);
        let now = self.one.sale.world.time_ms;
        let is_right = self.random.below(3) > 0;
        let shown = self.one.sale.anchored_of(i64::from(period) * 2, &[]);
        let is_over = self.random.below(5) > 0;
        let end = u64::from(period + 1) * 2 * HOUR;
        self.one.sale.world.time_ms = if is_over { now.max(end) } else { now };
        let is_over = self.one.sale.world.time_ms + 1_000 >= end;
        let wrapped = self.one.seal(period, if is_right { 1 } else { 2 });
        let draw = self.one.draw(period, &wrapped, &shown);
        // The anchor took a block: the subscription may have ended in it.
        let before_draw = self.one.found();
        let is_done = self.attempt(OWNER, draw);
        let price = before_draw.next_price().unwrap().0;
        let may = before_draw.status != SubscriptionStatus::Ended
            && period >= before_draw.next
            && is_over
            && before_draw.escrow.0 >= price;
        assert_eq!(is_done, may, "a draw of period {period} of {before_draw:?}");
        if is_done {
            self.drawn.push((period, price, is_right));
            if self.is_watchful && !is_right {
                self.dispute(true);
            }
        }
    }

    /// The subscriber disputes what was drawn last.
    fn dispute(&mut self, is_in_time: bool) {
        let Some((period, _, is_right)) = self.drawn.last().copied() else { return };
        let status = self.one.period(period);
        let shown = self.one.sale.shown_before(i64::from(period) * 2);
        let wrapped = self.one.seal(period, if is_right { 1 } else { 2 });
        let dispute = self.one.dispute(period, &wrapped, &shown);
        let is_done = self.attempt(BUYER, dispute);
        assert_eq!(is_done, matches!(status, Some(PeriodStatus::Drawn { .. })));
        assert!(is_done || !is_in_time);
        if is_done {
            let expected = if is_right { PeriodStatus::Paid } else { PeriodStatus::Faulty };
            assert_eq!(self.one.period(period), Some(expected));
            assert_eq!(self.one.found().status, SubscriptionStatus::Ended);
        }
    }

    /// What each has, by what became of the periods.
    fn check(&self) {
        let (mut paid, mut kept) = (0, 0);
        for (period, price, is_right) in &self.drawn {
            let key = PeriodKey { subscription: self.one.subscription, period: *period };
            let found = self.one.sale.world.get(&key).unwrap();
            assert_eq!(found.price.0, *price);
            match found.status {
                PeriodStatus::Drawn { .. } => kept += price,
                PeriodStatus::Paid => {
                    assert!(*is_right || !self.is_watchful, "wrong keys were paid");
                    paid += price;
                }
                PeriodStatus::Faulty => assert!(!is_right),
            }
            let is_drawn = matches!(found.status, PeriodStatus::Drawn { .. });
            assert_eq!(found.escrow.0, if is_drawn { *price } else { 0 });
        }
        let found = self.one.found();
        assert_eq!(self.one.gained(OWNER), paid as i128);
        assert_eq!(self.one.gained(BUYER), -((paid + kept + found.escrow.0) as i128));
        assert!(paid + kept + found.escrow.0 <= self.put_in);
    }
}

#[test]
fn no_period_is_paid_without_keys_and_no_keys_are_given_for_nothing() {
    let (mut periods, mut faulty) = (0, 0);
    for seed in 0..250 {
        let mut play = Play::new(seed);
        for _ in 0..play.random.below(25) {
            play.step();
            play.check();
        }
        // Nobody does anything any more.
        let height = play.one.sale.world.next() + 45;
        play.one.sale.world.run_to(height);
        play.check();
        assert_eq!(play.one.found().status, SubscriptionStatus::Ended, "seed {seed}");
        assert_eq!(play.one.found().escrow, Amount::ZERO, "seed {seed}");
        periods += play.drawn.len();
        let is_faulty = |period| play.one.period(period) == Some(PeriodStatus::Faulty);
        faulty += play.drawn.iter().filter(|(period, ..)| is_faulty(*period)).count();
    }
    println!(
        "{periods} periods were drawn, {faulty} of them with keys that were shown to be wrong"
    );
    assert!(periods > 300 && faulty > 30);
}
