//! The signed-in account: one screen, one position (A01).

use async_graphql::{Context, ID, Object, Result, SimpleObject};
use atelier_commands::use_cases::{change_username, second_factor, ways_in};
use atelier_domain::policy::rank::RankProgress as Standing;
use atelier_domain::{AccountId, LedgerId};
use atelier_projections::models::creations::{self, CreationFilter};
use atelier_projections::models::profile::ProfileView;
use atelier_projections::models::{
    api_keys, credit_balance, notification_preferences, profile, rank, sessions, transaction_history,
};
use atelier_projections::notices;
use chrono::{DateTime, Utc};

use crate::Sides;
use crate::api_key::{ApiAccess, ApiKey};
use crate::caller::signed_in;
use crate::connection::{
    ApiKeyConnection, GenerationConnection, HistoryConnection, NoticeConnection, TransactionConnection,
};
use crate::creator::Makers;
use crate::credits::{Credits, Environment};
use crate::data_export::{self, DataExport};
use crate::error::command_fault;
use crate::generation::{Generation, MediaType};
use crate::global_id::GlobalId;
use crate::history;
use crate::key_usage::UsageOfPage;
use crate::notification::{self, Language, Notice, NotificationSwitch};
use crate::number::int;
use crate::own_profile::Profile;
use crate::reading::{Reading, page_size};
use crate::security::{AuthMethods, TwoFactor};

/// The signed-in account.
#[derive(Clone)]
pub struct Me {
    id: ID,
    account: AccountId,
    reading: Reading,
}

/// A rank, with the way to the next one (A22).
#[derive(SimpleObject)]
pub struct Rank {
    /// Beginner, Explorer, Creator, Artist or Master.
    current: String,
    /// Successful generations, ever.
    count: i32,
    /// The next rank; null at Master.
    next: Option<String>,
    /// The count at which it is reached.
    next_at: Option<i32>,
    /// How many are missing.
    remaining: Option<i32>,
    /// From this rank's threshold to the next one's, 0 to 1.
    ratio: f64,
}

impl From<Standing> for Rank {
    fn from(standing: Standing) -> Self {
        Self {
            current: standing.current.name().to_owned(),
            count: int(standing.count),
            next: standing.next.map(|rank| rank.name().to_owned()),
            next_at: standing.next_at.map(int),
            remaining: standing.remaining.map(int),
            ratio: standing.ratio,
        }
    }
}

/// The publish switch (A24).
#[derive(SimpleObject)]
pub struct PublishPreference {
    /// Whether future generations go to Explore.
    value: bool,
    /// Whether the switch is locked.
    locked: bool,
    /// Why: `plan_required`.
    reason: Option<String>,
}

/// What the account prefers.
#[derive(SimpleObject)]
pub struct Preferences {
    /// Publishing to Explore.
    publish: PublishPreference,
    /// The language of mails.
    language: Language,
    /// Which notices are wanted where, in the order of the settings screen; those that cannot be switched off come last.
    notifications: Vec<NotificationSwitch>,
}

/// A session.
#[derive(SimpleObject)]
pub struct Session {
    /// The session's id.
    id: ID,
    /// Whether this request came by it.
    current: bool,
    /// The browser and system it was started from, such as `Firefox on Linux`; null when it did not say.
    device: Option<String>,
    /// The city and country it was started from, roughly; null when that is not known.
    place: Option<String>,
    /// When it was last used, within a minute.
    last_active_at: DateTime<Utc>,
    /// When it started.
    started_at: DateTime<Utc>,
    /// Its absolute end.
    expires_at: DateTime<Utc>,
}

/// The signed-in account. All of its fields come from one snapshot.
#[Object]
impl Me {
    /// The account's id.
    pub async fn id(&self) -> &ID {
        &self.id
    }

    /// The position that everything asked for here has reached, but for what is null with an error. Asked for alone, the head of the log.
    async fn position(&self) -> &str {
        self.reading.position()
    }

    /// Name, handle, biography, address, plan.
    async fn profile(&self) -> Option<Result<Profile>> {
        self.own_profile().await.transpose().map(|profile| profile.map(Profile::from))
    }

    /// The rank, with the way to the next one.
    async fn rank(&self) -> Option<Result<Rank>> {
        Some(self.standing().await)
    }

    /// The way to the next rank.
    async fn progress(&self) -> Option<Result<Rank>> {
        Some(self.standing().await)
    }

    /// The balance.
    async fn credits(
        &self,
        context: &Context<'_>,
        #[graphql(default_with = "Some(Environment::Live)")] environment: Option<Environment>,
    ) -> Option<Result<Credits>> {
        let answer = async {
            let ledger = LedgerId { account: self.account, environment: Environment::or_live(environment) };
            let now = context.data::<Sides>()?.write.now();
            let balance = self.reading.read(async |snapshot| credit_balance::of(snapshot, ledger, now).await).await?;
            Ok(Credits::new(balance, self.reading.position()))
        };
        Some(answer.await)
    }

    /// The credit history, newest first, never cut.
    async fn transactions(
        &self,
        #[graphql(desc = "How many, 1 to 100; 20 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor to go on from.")] after: Option<String>,
        #[graphql(default_with = "Some(Environment::Live)")] environment: Option<Environment>,
    ) -> Option<Result<TransactionConnection>> {
        let answer = async {
            let first = page_size(first, 20)?;
            let ledger = LedgerId { account: self.account, environment: Environment::or_live(environment) };
            let after = after.as_deref();
            let page = self
                .reading
                .read(async |snapshot| transaction_history::page(snapshot, ledger, first, after).await)
                .await?;
            let items = page.items.into_iter().map(|(cursor, line)| (cursor, line.into())).collect();
            Ok(TransactionConnection::new(items, page.has_next, after, self.reading.position()))
        };
        Some(answer.await)
    }

    /// The account's generations, newest first (A27-A29).
    async fn creations(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only images, videos or audio.")] media_type: Option<MediaType>,
        #[graphql(desc = "How many, 1 to 100; 50 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor to go on from.")] after: Option<String>,
        #[graphql(default_with = "Some(Environment::Live)")] environment: Option<Environment>,
    ) -> Option<Result<GenerationConnection>> {
        let answer = async {
            let first = page_size(first, 50)?;
            let (account, environment) = (self.account, Environment::or_live(environment));
            let filter = CreationFilter { media_type: media_type.map(Into::into), status: None };
            let after = after.as_deref();
            let page = self
                .reading
                .read(async |snapshot| creations::page(snapshot, account, environment, filter, first, after).await)
                .await?;
            let makers = Makers::of(&self.reading, [account]);
            let mut items = Vec::with_capacity(page.items.len());
            for (cursor, view) in page.items {
                items.push((cursor, Generation::whole(context, view, &makers)?));
            }
            Ok(GenerationConnection::new(items, page.has_next, after, self.reading.position()))
        };
        Some(answer.await)
    }

    /// Switches, and the language of mails.
    async fn preferences(&self) -> Option<Result<Preferences>> {
        let answer = async {
            let account = self.account;
            let Some(profile) = self.own_profile().await? else { return Ok(None) };
            let set = self.reading.read(async |snapshot| notification_preferences::of(snapshot, account).await).await?;
            let Some(set) = set else { return Ok(None) };
            let locked = !profile.plan.allows_private_generations();
            let reason = locked.then(|| "plan_required".to_owned());
            Ok(Some(Preferences {
                publish: PublishPreference { value: profile.plan.publishes(profile.publish), locked, reason },
                language: set.language.into(),
                notifications: notification::switches(&set.switches),
            }))
        };
        answer.await.transpose()
    }

    /// What the account was told inside the application, newest first; the 500 newest of the last 180 days are kept.
    async fn notices(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100; 20 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor to go on from.")] after: Option<String>,
    ) -> Option<Result<NoticeConnection>> {
        let answer = async {
            let first = page_size(first, 20)?;
            let now = context.data::<Sides>()?.write.now();
            let (account, after) = (self.account, after.as_deref());
            let page =
                self.reading.read(async |snapshot| notices::page(snapshot, account, now, first, after).await).await?;
            // One of a newer release is not shown by this one.
            let known = |(cursor, view)| Some((cursor, Notice::of(view)?));
            let items = page.items.into_iter().filter_map(known).collect();
            Ok(NoticeConnection::new(items, page.has_next, after, self.reading.position()))
        };
        Some(answer.await)
    }

    /// How many notices were not read yet.
    async fn unread_notice_count(&self, context: &Context<'_>) -> Option<Result<i32>> {
        let answer = async {
            let now = context.data::<Sides>()?.write.now();
            let account = self.account;
            Ok(int(self.reading.read(async |snapshot| notices::unread(snapshot, account, now).await).await?))
        };
        Some(answer.await)
    }

    /// Where the account is signed in.
    async fn sessions(&self, context: &Context<'_>) -> Option<Result<Vec<Session>>> {
        let answer = async {
            let (account, current) = signed_in(context)?;
            let now = context.data::<Sides>()?.write.now();
            let list = self.reading.read(async |snapshot| sessions::of(snapshot, account, now).await).await?;
            let session = |listed: sessions::ListedSession| Session {
                id: GlobalId::Session(listed.session).into(),
                current: listed.session == current,
                device: listed.device,
                place: listed.place,
                last_active_at: listed.last_active_at,
                started_at: listed.started_at,
                expires_at: listed.expires_at,
            };
            Ok(list.into_iter().map(session).collect())
        };
        Some(answer.await)
    }

    /// What happened to the account's security, newest first: sign-ins, passwords, keys, and whatever staff did, with their reason (A13).
    async fn history(
        &self,
        #[graphql(desc = "How many, 1 to 100; 20 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor to go on from.")] after: Option<String>,
    ) -> Option<Result<HistoryConnection>> {
        Some(history::of_owner(&self.reading, self.account, first, after.as_deref()).await)
    }

    /// The copies of everything that were asked for, newest first, at most twenty (U25).
    async fn data_exports(&self, context: &Context<'_>) -> Option<Result<Vec<DataExport>>> {
        Some(data_export::of(context, &self.reading, self.account).await)
    }

    /// Whether the account may have API keys (V27).
    async fn api_access(&self, context: &Context<'_>) -> Option<Result<ApiAccess>> {
        let answer = async {
            let write = &context.data::<Sides>()?.write;
            Ok(self.own_profile().await?.map(|profile| ApiAccess::of(write, profile.plan)))
        };
        answer.await.transpose()
    }

    /// The second factor, as it is now.
    async fn two_factor(&self, context: &Context<'_>) -> Option<Result<TwoFactor>> {
        let answer = async {
            let write = &context.data::<Sides>()?.write;
            let status = second_factor::status(write, self.account).await;
            Ok(status.map_err(|error| command_fault(&error))?.into())
        };
        Some(answer.await)
    }

    /// The ways into the account, as they are now.
    async fn auth_methods(&self, context: &Context<'_>) -> Option<Result<AuthMethods>> {
        let answer = async {
            let write = &context.data::<Sides>()?.write;
            Ok(ways_in::of(write, self.account).await.map_err(|error| command_fault(&error))?.into())
        };
        Some(answer.await)
    }

    /// When the username may be changed again; null when it may be changed now.
    async fn username_changeable_at(&self, context: &Context<'_>) -> Option<Result<DateTime<Utc>>> {
        let answer = async {
            let write = &context.data::<Sides>()?.write;
            change_username::changeable_at(write, self.account).await.map_err(|error| command_fault(&error))
        };
        answer.await.transpose()
    }

    /// The account's API keys, newest first.
    async fn api_keys(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How many, 1 to 100; 20 when not given.")] first: Option<i32>,
        #[graphql(desc = "The cursor to go on from.")] after: Option<String>,
    ) -> Option<Result<ApiKeyConnection>> {
        let answer = async {
            let first = page_size(first, 20)?;
            let (account, after) = (self.account, after.as_deref());
            let page =
                self.reading.read(async |snapshot| api_keys::page(snapshot, account, first, after).await).await?;
            let now = context.data::<Sides>()?.write.now();
            let usage = UsageOfPage::of(page.items.iter().map(|(_, key)| key.key).collect());
            let items =
                page.items.into_iter().map(|(cursor, key)| (cursor, ApiKey::of(key, usage.clone(), now))).collect();
            Ok(ApiKeyConnection::new(items, page.has_next, after, self.reading.position()))
        };
        Some(answer.await)
    }
}

impl Me {
    pub(crate) fn new(account: AccountId, reading: Reading) -> Self {
        Self { id: GlobalId::Account(account).into(), account, reading }
    }

    async fn own_profile(&self) -> Result<Option<ProfileView>> {
        let account = self.account;
        self.reading.read(async |snapshot| profile::of(snapshot, account).await).await
    }

    async fn standing(&self) -> Result<Rank> {
        let account = self.account;
        Ok(self.reading.read(async |snapshot| rank::of(snapshot, account).await).await?.into())
    }
}
