//! `requestGeneration` and `POST /v1/generate`: price, hold, accept. Hold first, then the job (DESIGN 4).
//!
//! What happens when the process dies: before the hold, nothing, but that the key has lost one of its day's places; between hold and job, `AbandonIfNotRequested` closes the id
//! and the hold is voided, or a repeat with the same key resumes with the same id; after the job, the process manager takes over.

mod dry_run;

use atelier_domain::account::Account;
use atelier_domain::credit_ledger::{CreditLedger, CreditLedgerCommand, CreditLedgerError, HoldLimits, KeyBudget};
use atelier_domain::generation::{
    Generation, GenerationCommand, GenerationError, GenerationRequest, RequestTerms, Status,
};
use atelier_domain::invalid::within;
use atelier_domain::policy::catalogue::{self, Model};
use atelier_domain::policy::plan::Plan;
use atelier_domain::text::Prompt;
use atelier_domain::{AccountId, ApiKeyId, Credits, Environment, GenerationId, Invalid, LedgerId, Reason};

use atelier_vault::credential_rows::key_places::{self, Place, Places};
use chrono::TimeDelta;

use super::test_ledger;
use crate::command_path::{CommandContext, CommandError, Executed, Loaded, Target};
use crate::event_store::{IdempotencyKey, Position};
use crate::idempotency;
use crate::refusal::{Refusal, RefusalCode, UseCaseError, in_field, together};
use crate::write_side::WriteSide;

/// The API key that a request comes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallingKey {
    /// Which.
    pub key: ApiKeyId,
    /// What it may spend, if that is capped (U21).
    pub budget: Option<KeyBudget>,
}

/// Asks for outputs of a model.
#[derive(Debug, Clone)]
pub struct RequestGeneration {
    /// Who pays and owns.
    pub account: AccountId,
    /// Live or test.
    pub environment: Environment,
    /// The key it came by, if any.
    pub api_key: Option<CallingKey>,
    /// What to draw.
    pub prompt: String,
    /// The catalogue's model.
    pub model: String,
    /// Pixels; 1024 when not given.
    pub width: Option<u32>,
    /// Pixels; 1024 when not given.
    pub height: Option<u32>,
    /// How many outputs, 1-4; 1 when not given.
    pub num_images: Option<u32>,
    /// 0 to 2^32-1; chosen when not given.
    pub seed: Option<u64>,
    /// Refuse if dearer than this.
    pub max_credits: Option<i64>,
    /// `false` keeps it out of Explore and needs a premium plan.
    pub publish: Option<bool>,
    /// A repeat with the same key and the same request is the same job.
    pub idempotency_key: Option<String>,
}

/// A checked and priced request.
#[derive(Debug, Clone)]
pub struct Priced {
    model: &'static Model,
    prompt: Prompt,
    width: u32,
    height: u32,
    num_images: u32,
    /// The price of the whole job.
    pub price: Credits,
}

/// An accepted job.
#[derive(Debug, Clone, Copy)]
pub struct Accepted {
    /// The job.
    pub generation: GenerationId,
    /// What is held for it.
    pub price: Credits,
    /// The position to read from.
    pub position: Position,
    /// Whether an earlier request with the same key had made it.
    pub repeated: bool,
    /// Where the job is now.
    pub status: Status,
    /// Whether its owner has removed it since.
    pub deleted: bool,
    /// How many jobs the key has asked for within a day, this one included; `None` without a limit, and for a repeat.
    pub places: Option<Places>,
}

impl RequestGeneration {
    /// Checks and prices the request; writes nothing (`dry_run`).
    ///
    /// # Errors
    /// `invalid_field` or `model_unavailable`, naming the field; `max_credits_exceeded`.
    pub fn price(&self) -> Result<Priced, Refusal> {
        let side = |side: Option<u32>| {
            let bounds = catalogue::MIN_SIDE.into()..=catalogue::MAX_SIDE.into();
            within(side.unwrap_or(catalogue::DEFAULT_SIDE), bounds, "pixels")
        };
        let (prompt, model, width, height, num_images, max_credits, _, _) = together((
            in_field("prompt", Prompt::parse(&self.prompt)),
            self.on_offer(),
            in_field("width", side(self.width)),
            in_field("height", side(self.height)),
            in_field("num_images", within(self.num_images.unwrap_or(1), 1..=catalogue::MAX_IMAGES.into(), "")),
            in_field("max_credits", self.max_credits.map(|most| within(most, 0..=Credits::MAX.get(), "")).transpose()),
            in_field("seed", self.seed.map(seed).transpose()),
            idempotency::sent(self.idempotency_key.as_deref()),
        ))?;
        let price = model.price_of(num_images);
        if max_credits.is_some_and(|most| price.get() > most) {
            let invalid = Invalid::at_least(Reason::OutOfRange, price.get(), "is below the price");
            let message = format!("This request costs {price} credits, more than the most it may cost.");
            let refusal = Refusal::new(RefusalCode::TooExpensive, message).about("max_credits");
            return Err(Refusal { value: Some(Box::new(invalid)), ..refusal });
        }
        Ok(Priced { model, prompt, width, height, num_images, price })
    }

    fn on_offer(&self) -> Result<&'static Model, Refusal> {
        catalogue::model(&self.model).ok_or_else(|| {
            let message = "There is no such model in the catalogue.";
            Refusal::coded(RefusalCode::ModelUnavailable, "model", Reason::Unknown, message)
        })
    }

    /// Runs the use case: the job is accepted and its price held when this returns.
    ///
    /// # Errors
    /// As [`Self::price`]; `email_not_verified`, `plan_required`, `insufficient_credits`, `key_budget_exceeded`;
    /// `concurrency_limit` and `rate_limit_exceeded`, neither of which a repeat meets; `KeyReused` for another request under the
    /// same key.
    pub async fn run(self, write: &WriteSide, context: &CommandContext) -> Result<Accepted, UseCaseError> {
        let priced = self.price()?;
        let generation = GenerationId(write.fresh_id());
        let key = self.key(write, &priced, generation);
        if let Some(Executed::Repeat { result, position }) =
            write.path.repeat::<CreditLedger>(key.as_ref()).await.map_err(to_use_case)?
        {
            return self.resume(write, context, &priced, &result, position).await;
        }
        let (publish, plan) = self.publishes(write).await?;
        let (place, places) = self.take_place(write, plan).await?.unzip();
        let held = self.hold(write, context, key.as_ref(), generation, (priced.price, plan)).await;
        if let Some(place) = place.filter(|_| nothing_held(&held)) {
            key_places::give_back(&write.pool, place).await?;
        }
        match held? {
            Executed::Done { position, .. } => {
                let job = self.accept_or_find(write, context, &priced, generation, publish).await?;
                Ok(Accepted { places, ..accepted(generation, &job, position, false, priced.price) })
            }
            Executed::Repeat { result, position } => self.resume(write, context, &priced, &result, position).await,
        }
    }

    /// One of the key's places of the day (U34), for a job that is not there yet: a repeat takes none.
    async fn take_place(&self, write: &WriteSide, plan: Plan) -> Result<Option<(Place, Places)>, UseCaseError> {
        let (Some(CallingKey { key, .. }), Some(most)) = (self.api_key, write.api.jobs_a_day.of(plan)) else {
            return Ok(None);
        };
        let now = write.now();
        let (place, places) = key_places::take(&write.pool, key, self.account, now, most).await?;
        let Some(place) = place else {
            let wait = places.free_in(now).max(TimeDelta::seconds(1));
            let seconds = wait.num_seconds();
            let message =
                format!("This key may ask for {most} generations within 24 hours; try again in {seconds} seconds.");
            return Err(Refusal { message, ..Refusal::too_many(wait) }.into());
        };
        Ok(Some((place, places)))
    }

    /// First step: the credits are set aside, within what the key and the plan allow.
    async fn hold(
        &self,
        write: &WriteSide,
        context: &CommandContext,
        key: Option<&IdempotencyKey>,
        generation: GenerationId,
        (price, plan): (Credits, Plan),
    ) -> Result<Executed<CreditLedger>, UseCaseError> {
        let ledger = LedgerId { account: self.account, environment: self.environment };
        if self.environment == Environment::Test {
            test_ledger::refill(write, context, ledger).await?;
        }
        let budget = self.api_key.and_then(|api_key| api_key.budget);
        let limits = HoldLimits { at_once: write.api.at_once.of(plan), budget };
        let target = Target { id: ledger.to_string(), subject: self.account };
        let hold = |now| CreditLedgerCommand::PlaceHold {
            hold_id: generation.into(),
            generation_id: generation,
            amount: price,
            price_version: catalogue::PRICE_VERSION,
            limits,
            now,
        };
        let held = match write.path.execute::<CreditLedger>(&target, context, key, hold).await {
            // Kept from its turn by twins with the same key: then one of them has done it.
            Err(CommandError::Conflict) => {
                write.path.repeat(key).await.and_then(|twin| twin.ok_or(CommandError::Conflict))
            }
            held => held,
        };
        held.map_err(to_use_case)
    }

    /// The rule of acceptance: a verified address, and the publish preference as it is now (A26). With it, the plan.
    async fn publishes(&self, write: &WriteSide) -> Result<(bool, Plan), UseCaseError> {
        let account =
            write.path.load::<Account>(&self.account.to_string()).await.map_err(|e| e.map(Refusal::from))?.state;
        if !account.email_verified() {
            return Err(Refusal::new(
                RefusalCode::EmailNotVerified,
                "Verify your email address before the first generation.",
            )
            .into());
        }
        if self.publish == Some(false) && !account.plan().allows_private_generations() {
            let refusal = Refusal::new(RefusalCode::PlanRequired, "Keeping a generation private needs a premium plan.");
            return Err(refusal.about("publish").into());
        }
        let publish = self.environment == Environment::Live && self.publish.unwrap_or(account.publishes());
        Ok((publish, account.plan()))
    }

    /// Second step: the job itself, under the id that its hold already has.
    async fn accept(
        &self,
        write: &WriteSide,
        context: &CommandContext,
        priced: &Priced,
        generation: GenerationId,
        publish: bool,
    ) -> Result<(), CommandError<GenerationError>> {
        // Chosen by the job's random id, so that two copies of one request ask for the same.
        let [.., a, b, c, d] = *generation.0.as_bytes();
        // 31 bits: a number that every client's integers hold.
        let chosen = u64::from(u32::from_be_bytes([a, b, c, d]) >> 1);
        let terms = RequestTerms {
            account_id: self.account,
            environment: self.environment,
            api_key_id: self.api_key.map(|calling| calling.key),
            model: priced.model.id.to_owned(),
            media_type: priced.model.media_type,
            width: priced.width,
            height: priced.height,
            num_images: priced.num_images,
            seed: self.seed.unwrap_or(chosen),
            unit_price: priced.model.price,
            price: priced.price,
            price_version: catalogue::PRICE_VERSION,
            publish,
        };
        let request = GenerationRequest { terms, prompt: priced.prompt.clone() };
        let target = Target { id: generation.to_string(), subject: self.account };
        let command = |_| GenerationCommand::Request(Box::new(request.clone()));
        write.path.execute::<Generation>(&target, context, None, command).await.map(drop)
    }

    /// Second step, whoever takes it first: between hold and job a twin with the same key, or the abandonment of the id, may have
    /// been faster. A twin's job is as it now is; an abandoned one's credits come back.
    async fn accept_or_find(
        &self,
        write: &WriteSide,
        context: &CommandContext,
        priced: &Priced,
        generation: GenerationId,
        publish: bool,
    ) -> Result<Loaded<Generation>, UseCaseError> {
        match self.accept(write, context, priced, generation, publish).await {
            Ok(()) | Err(CommandError::Refused(GenerationError::AlreadyUsed)) => {
                let found = job(write, generation).await?;
                if found.state.status() == Status::Abandoned { Err(not_completed()) } else { Ok(found) }
            }
            Err(error) => Err(error.map(Refusal::from)),
        }
    }

    /// A repeat: takes the missing step if the first request died before it, and answers with the job as it now is.
    async fn resume(
        &self,
        write: &WriteSide,
        context: &CommandContext,
        priced: &Priced,
        result: &str,
        position: Position,
    ) -> Result<Accepted, UseCaseError> {
        let generation: GenerationId =
            result.parse().map_err(|_| CommandError::Internal("a stored idempotency result is not an id".into()))?;
        let mut found = job(write, generation).await?;
        if found.state.status() == Status::New {
            self.same_price(write, generation, priced.price).await?;
            let (publish, _) = self.publishes(write).await?;
            found = self.accept_or_find(write, context, priced, generation, publish).await?;
        }
        if found.state.status() == Status::Abandoned {
            return Err(not_completed());
        }
        Ok(accepted(generation, &found, position, true, priced.price))
    }

    /// A hold of another price list is not a hold for this request: the job would be delivered and could not be paid (U47).
    async fn same_price(
        &self,
        write: &WriteSide,
        generation: GenerationId,
        price: Credits,
    ) -> Result<(), UseCaseError> {
        let ledger = LedgerId { account: self.account, environment: self.environment };
        let loaded = write.path.load::<CreditLedger>(&ledger.to_string()).await.map_err(to_use_case)?;
        let held = loaded.state.hold(&generation.into()).is_some_and(|hold| hold.amount() == price);
        if held { Ok(()) } else { Err(not_completed()) }
    }

    /// The client's key with the request's meaning beside it: what a repeat must match (L04, L07).
    fn key(&self, write: &WriteSide, priced: &Priced, generation: GenerationId) -> Option<IdempotencyKey> {
        // Refused by `price` when it is malformed.
        let sent = idempotency::sent(self.idempotency_key.as_deref()).ok()?;
        let meaning = serde_json::json!([
            "generate",
            self.environment,
            priced.prompt.as_ref(),
            priced.model.id,
            priced.width,
            priced.height,
            priced.num_images,
            self.seed,
            self.publish,
            self.max_credits
        ]);
        let result = generation.to_string();
        idempotency::key(write, self.account, idempotency::REQUEST_GENERATION, sent, &meaning, result)
    }
}

fn seed(seed: u64) -> Result<u64, Invalid> {
    let most = i64::from(u32::MAX);
    within(i64::try_from(seed).unwrap_or(i64::MAX), 0..=most, "").map(|_| seed)
}

async fn job(write: &WriteSide, generation: GenerationId) -> Result<Loaded<Generation>, UseCaseError> {
    write.path.load::<Generation>(&generation.to_string()).await.map_err(|error| error.map(Refusal::from))
}

/// The answer for a job as it now is.
fn accepted(
    generation: GenerationId,
    job: &Loaded<Generation>,
    position: Position,
    repeated: bool,
    priced: Credits,
) -> Accepted {
    Accepted {
        generation,
        // What was agreed then, whatever it costs today.
        price: job.state.terms().map_or(priced, |terms| terms.price),
        position: position.or_later(job.position),
        repeated,
        status: job.state.status(),
        deleted: job.state.deleted(),
        places: None,
    }
}

fn not_completed() -> UseCaseError {
    Refusal::new(RefusalCode::AlreadyEnded, "The request did not complete, and nothing was charged; use a new key.")
        .into()
}

/// Whether it is certain that this request holds nothing: a place of the day is for a job, not for the attempt.
fn nothing_held(held: &Result<Executed<CreditLedger>, UseCaseError>) -> bool {
    match held {
        Ok(Executed::Done { .. }) | Err(CommandError::OutcomeUnknown | CommandError::Internal(_)) => false,
        Ok(Executed::Repeat { .. }) | Err(_) => true,
    }
}

fn to_use_case(error: CommandError<CreditLedgerError>) -> UseCaseError {
    error.map(Refusal::from)
}
