//! A second ledger, written naively and differently: it forgets nothing, keeps no running balances, and sorts again each time.

use super::*;

/// The names of the events a command must lead to, with their entries in order.
pub(super) type Moves = Vec<(&'static str, Vec<(LedgerAccount, i128)>)>;

struct Pot {
    id: LotId,
    source: GrantSource,
    expires: Option<DateTime<Utc>>,
    granted: i128,
    consumed: i128,
    lapsed: i128,
}

struct Reservation {
    id: HoldId,
    generation: GenerationId,
    price_version: u32,
    /// Index of the pot, and how much of it.
    takes: Vec<(usize, i128)>,
    over: bool,
    /// What it has kept when it was over.
    paid: i128,
    /// The key it came by, if it was capped, and the day.
    charged: Option<(ApiKeyId, NaiveDate)>,
}

/// The naive ledger.
#[derive(Default)]
pub(super) struct Reference {
    /// In the order of their grants.
    pots: Vec<Pot>,
    reservations: Vec<Reservation>,
    over: bool,
}

fn wide(amount: Credits) -> i128 {
    i128::from(amount.get())
}

fn narrow(amount: i128) -> Credits {
    Credits::new(i64::try_from(amount).unwrap())
}

fn in_range(amount: i128) -> bool {
    (1..=wide(Credits::MAX)).contains(&amount)
}

impl Reference {
    pub(super) fn answer(&mut self, command: &CreditLedgerCommand) -> Result<Moves, CreditLedgerError> {
        match *command {
            CreditLedgerCommand::GrantCredits { .. } | CreditLedgerCommand::PlaceHold { .. } if self.over => {
                Err(CreditLedgerError::Closed)
            }
            CreditLedgerCommand::Close { .. } if self.over => Ok(Vec::new()),
            CreditLedgerCommand::Close { now } => self.give_up(now),
            CreditLedgerCommand::GrantCredits { lot_id, reason, amount, expires_at, now } => {
                let source = reason.source().expect("histories give a reason");
                let expires = expires_at;
                let pot = Pot { id: lot_id, source, expires, granted: wide(amount), consumed: 0, lapsed: 0 };
                self.grant(pot, now)
            }
            CreditLedgerCommand::PlaceHold { hold_id, generation_id, amount, price_version, limits, now } => {
                let (id, generation) = (hold_id, generation_id);
                let charged = limits.budget.map(|budget| (budget.key_id, now.date_naive()));
                let wish =
                    Reservation { id, generation, price_version, takes: Vec::new(), over: false, paid: 0, charged };
                self.reserve(wish, wide(amount), limits, now)
            }
            CreditLedgerCommand::CaptureHold { hold_id, amount, now } => self.capture(hold_id, wide(amount), now),
            CreditLedgerCommand::VoidHold { hold_id, now } => {
                let index = self.open(hold_id)?;
                Ok(self.finish(index, 0, "HoldVoided", now))
            }
            CreditLedgerCommand::ExpireLot { lot_id, now } => {
                let index = self.pots.iter().position(|pot| pot.id == lot_id);
                Ok(index.and_then(|index| self.lapse(index, now)).into_iter().collect())
            }
        }
    }

    fn reserved(&self, pot: usize) -> i128 {
        let open = self.reservations.iter().filter(|reservation| !reservation.over);
        open.flat_map(|reservation| &reservation.takes).filter(|take| take.0 == pot).map(|take| take.1).sum()
    }

    /// What a key's holds hold or have paid, of all days or of one.
    fn spent(&self, key: ApiKeyId, day: Option<NaiveDate>) -> i128 {
        let of_key = self.reservations.iter().filter_map(|one| one.charged.map(|charged| (one, charged)));
        let counted = of_key.filter(|(_, (of, on))| *of == key && day.is_none_or(|day| day == *on));
        counted.map(|(one, _)| if one.over { one.paid } else { one.takes.iter().map(|take| take.1).sum() }).sum()
    }

    fn within(&self, limits: HoldLimits, required: i128, now: DateTime<Utc>) -> Result<(), CreditLedgerError> {
        let open = self.reservations.iter().filter(|one| !one.over).count();
        if let Some(most) = limits.at_once.filter(|most| open + 1 > usize::try_from(*most).unwrap()) {
            return Err(CreditLedgerError::TooManyHolds(most));
        }
        let Some(KeyBudget { key_id, caps }) = limits.budget else { return Ok(()) };
        let life = (CapPeriod::Life, caps.total, self.spent(key_id, None));
        let day = (CapPeriod::Day, caps.daily, self.spent(key_id, Some(now.date_naive())));
        for (period, cap, spent) in [life, day] {
            if let Some(cap) = cap.filter(|cap| spent + required > wide(*cap)) {
                let (spent, required) = (narrow(spent), narrow(required));
                return Err(CreditLedgerError::KeyBudgetExceeded { period, cap, spent, required });
            }
        }
        Ok(())
    }

    fn free(&self, pot: usize) -> i128 {
        let Pot { granted, consumed, lapsed, .. } = self.pots[pot];
        granted - consumed - lapsed - self.reserved(pot)
    }

    fn is_over(&self, pot: usize, now: DateTime<Utc>) -> bool {
        self.pots[pot].expires.is_some_and(|instant| instant <= now)
    }

    pub(super) fn available(&self, now: DateTime<Utc>) -> Credits {
        narrow((0..self.pots.len()).filter(|pot| !self.is_over(*pot, now)).map(|pot| self.free(pot)).sum())
    }

    /// Per lot with anything left or held: what is left, and what is held.
    pub(super) fn lots(&self) -> Vec<(LotId, Credits, Credits)> {
        let all = (0..self.pots.len()).map(|pot| (self.pots[pot].id, self.free(pot), self.reserved(pot)));
        all.filter(|(_, free, held)| free + held > 0).map(|(id, free, held)| (id, narrow(free), narrow(held))).collect()
    }

    fn grant(&mut self, new: Pot, now: DateTime<Utc>) -> Result<Moves, CreditLedgerError> {
        if let Some(old) = self.pots.iter().find(|old| old.id == new.id) {
            let same = (old.source, old.expires, old.granted) == (new.source, new.expires, new.granted);
            return if same { Ok(Vec::new()) } else { Err(CreditLedgerError::IdReused) };
        }
        let posted: i128 = self.pots.iter().map(|pot| pot.granted - pot.consumed - pot.lapsed).sum();
        if !in_range(new.granted) {
            return Err(CreditLedgerError::AmountOutOfRange);
        }
        if new.expires.is_some_and(|instant| instant <= now) {
            return Err(CreditLedgerError::AlreadyExpired);
        }
        let most = wide(Credits::MAX);
        if posted + new.granted > most {
            return Err(CreditLedgerError::BalanceFull { most: Credits::MAX, room: narrow((most - posted).max(0)) });
        }
        let issued = if new.source == GrantSource::Purchased {
            LedgerAccount::IssuedPurchased
        } else {
            LedgerAccount::IssuedPromotional
        };
        let moves = vec![("CreditsGranted", vec![(issued, -new.granted), (LedgerAccount::Lot(new.id), new.granted)])];
        self.pots.push(new);
        Ok(moves)
    }

    fn reserve(
        &mut self,
        mut new: Reservation,
        amount: i128,
        limits: HoldLimits,
        now: DateTime<Utc>,
    ) -> Result<Moves, CreditLedgerError> {
        if let Some(old) = self.reservations.iter().find(|old| old.id == new.id) {
            if old.over {
                return Err(CreditLedgerError::HoldEnded);
            }
            let held: i128 = old.takes.iter().map(|take| take.1).sum();
            let same = (old.generation, old.price_version, held) == (new.generation, new.price_version, amount);
            return if same { Ok(Vec::new()) } else { Err(CreditLedgerError::IdReused) };
        }
        if !in_range(amount) {
            return Err(CreditLedgerError::AmountOutOfRange);
        }
        self.within(limits, amount, now)?;
        let available = self.available(now);
        if amount > wide(available) {
            return Err(CreditLedgerError::InsufficientCredits { required: narrow(amount), available });
        }
        let pots: Vec<usize> = self.burn_order().into_iter().filter(|pot| !self.is_over(*pot, now)).collect();
        let mut entries = Vec::new();
        for pot in pots {
            let still = amount - new.takes.iter().map(|take| take.1).sum::<i128>();
            let take = self.free(pot).min(still);
            if take > 0 {
                new.takes.push((pot, take));
                entries.push((LedgerAccount::Lot(self.pots[pot].id), -take));
            }
        }
        entries.push((LedgerAccount::Held, amount));
        self.reservations.push(new);
        Ok(vec![("HoldPlaced", entries)])
    }

    fn open(&self, id: HoldId) -> Result<usize, CreditLedgerError> {
        let open = self.reservations.iter().position(|reservation| reservation.id == id && !reservation.over);
        open.ok_or(CreditLedgerError::HoldNotOpen)
    }

    fn capture(&mut self, id: HoldId, amount: i128, now: DateTime<Utc>) -> Result<Moves, CreditLedgerError> {
        let index = self.open(id)?;
        let held = self.reservations[index].takes.iter().map(|take| take.1).sum();
        if amount < 0 {
            return Err(CreditLedgerError::AmountOutOfRange);
        }
        if amount > held {
            let (requested, held) = (narrow(amount), narrow(held));
            return Err(CreditLedgerError::CaptureExceedsHold { requested, held });
        }
        Ok(self.finish(index, amount, "HoldCaptured", now))
    }

    fn finish(&mut self, index: usize, paid: i128, name: &'static str, now: DateTime<Utc>) -> Moves {
        (self.reservations[index].over, self.reservations[index].paid) = (true, paid);
        let takes = self.reservations[index].takes.clone();
        let held: i128 = takes.iter().map(|take| take.1).sum();
        let mut unpaid = held - paid;
        let mut back = Vec::new();
        // From the last lot backwards: the first ones pay.
        for (pot, take) in takes.into_iter().rev() {
            let returned = unpaid.min(take);
            unpaid -= returned;
            self.pots[pot].consumed += take - returned;
            if returned > 0 {
                back.insert(0, (pot, returned));
            }
        }
        let mut entries = vec![(LedgerAccount::Held, -held)];
        entries.extend((paid > 0).then_some((LedgerAccount::Consumed, paid)));
        entries.extend(back.iter().map(|(pot, returned)| (LedgerAccount::Lot(self.pots[*pot].id), *returned)));
        let mut moves = vec![(name, entries)];
        for (pot, _) in back {
            moves.extend(self.lapse(pot, now));
        }
        moves
    }

    fn give_up(&mut self, now: DateTime<Utc>) -> Result<Moves, CreditLedgerError> {
        if self.reservations.iter().any(|reservation| !reservation.over) {
            return Err(CreditLedgerError::HoldsOpen);
        }
        let in_burn_order = self.burn_order();
        let mut moves: Moves = in_burn_order.iter().filter_map(|pot| self.lapse(*pot, now)).collect();
        let mut entries = Vec::new();
        for pot in in_burn_order {
            let left = self.free(pot);
            if left > 0 {
                self.pots[pot].lapsed += left;
                entries.push((LedgerAccount::Lot(self.pots[pot].id), -left));
            }
        }
        let all: i128 = entries.iter().map(|(_, amount)| -amount).sum();
        entries.extend((all > 0).then_some((LedgerAccount::Forfeited, all)));
        moves.push(("LedgerClosed", entries));
        self.over = true;
        Ok(moves)
    }

    fn burn_order(&self) -> Vec<usize> {
        let mut pots: Vec<usize> = (0..self.pots.len()).collect();
        pots.sort_by_key(|pot| {
            let Pot { expires, source, .. } = self.pots[*pot];
            let paid = match source {
                GrantSource::Promotional => 0,
                GrantSource::Plan => 1,
                GrantSource::Purchased => 2,
            };
            (expires.map_or(i64::MAX, |instant| instant.timestamp_millis()), paid, *pot)
        });
        pots
    }

    fn lapse(&mut self, pot: usize, now: DateTime<Utc>) -> Option<(&'static str, Vec<(LedgerAccount, i128)>)> {
        let left = self.free(pot);
        if left == 0 || !self.is_over(pot, now) {
            return None;
        }
        self.pots[pot].lapsed += left;
        Some(("LotExpired", vec![(LedgerAccount::Lot(self.pots[pot].id), -left), (LedgerAccount::Breakage, left)]))
    }
}
