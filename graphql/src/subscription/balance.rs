//! `balanceChanged`: what can be spent, as it changes (V24).

use async_graphql::{Context, Result};
use atelier_domain::LedgerId;
use atelier_projections::models::credit_balance::{self, BalanceView};

use crate::Sides;
use crate::credits::Credits;
use crate::following::{Followed, Told};
use crate::reading::{Reading, SUBSCRIPTION};

/// A balance that is followed.
pub(super) struct Balance<'c> {
    context: &'c Context<'c>,
    ledger: LedgerId,
    after: Option<String>,
    told: Option<BalanceView>,
}

impl<'c> Balance<'c> {
    pub(super) const fn new(context: &'c Context<'c>, ledger: LedgerId, after: Option<String>) -> Self {
        Self { context, ledger, after, told: None }
    }
}

impl Followed for Balance<'_> {
    type Event = Credits;

    async fn read(&mut self) -> Result<Told<Credits>> {
        let sides = self.context.data::<Sides>()?;
        let _turn = sides.changes.turn().await;
        let reading = Reading::begin(self.context, SUBSCRIPTION, self.after.as_deref()).await?;
        let (ledger, now) = (self.ledger, sides.write.now());
        let balance = reading.read(async |snapshot| credit_balance::of(snapshot, ledger, now).await).await?;
        if self.told.as_ref() == Some(&balance) {
            return Ok(Told::Same);
        }
        self.told = Some(balance.clone());
        // Who was told of a position that the log does not have any more is told so.
        self.after = Some(reading.position().to_owned());
        Ok(Told::New(Credits::new(balance, reading.position())))
    }
}
