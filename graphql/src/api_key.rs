//! An API key as lists show it (B04), and whether an account may have any (V27).

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, Enum, ID, Result, SimpleObject};
use atelier_commands::WriteSide;
use atelier_commands::api_policy::ApiAccess as Access;
use atelier_domain::ApiKeyId;
use atelier_domain::account::KeyScope;
use atelier_domain::policy::plan::Plan;
use atelier_projections::models::api_keys::{ApiKeyView, KeyStatus};
use chrono::{DateTime, Utc};

use crate::credits::Environment;
use crate::global_id::GlobalId;
use crate::key_usage::{ApiKeyUsage, UsageOfPage};
use crate::number::int;

/// The days of usage that are shown when none are asked for.
const USAGE_DAYS: i32 = 30;

/// Whether an API key works. A key that does may be refused all the same where `me { apiAccess }` says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "KeyStatus")]
pub enum ApiKeyStatus {
    /// It works.
    Active,
    /// Its end has come. It takes none of the account's places, and can be rotated while there is room for it.
    Expired,
    /// It was revoked, for ever.
    Revoked,
}

/// An API key, without its secret.
#[derive(Clone, SimpleObject)]
#[graphql(complex)]
pub struct ApiKey {
    /// The key's id.
    pub id: ID,
    /// What its owner calls it.
    label: Option<String>,
    /// The start of the key.
    prefix: String,
    /// The end of the key.
    last4: String,
    /// Live or test.
    environment: Environment,
    /// What it may do.
    scopes: Vec<String>,
    /// Credits it may hold or pay in one UTC day, if that is capped.
    daily_cap: Option<i32>,
    /// Credits it may hold or pay in all, the keys it replaces included, if that is capped.
    total_cap: Option<i32>,
    /// The key it took over from.
    replaces: Option<ID>,
    /// The key that took over from it.
    replaced_by: Option<ID>,
    /// Whether it works still.
    status: ApiKeyStatus,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// Its end, if any.
    expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    revoked_at: Option<DateTime<Utc>>,
    #[graphql(skip)]
    key: ApiKeyId,
    #[graphql(skip)]
    page: Arc<UsageOfPage>,
}

#[ComplexObject]
impl ApiKey {
    /// How it was used of late.
    async fn usage(
        &self,
        context: &Context<'_>,
        #[graphql(default_with = "Some(USAGE_DAYS)", desc = "How many UTC days up to today, 1 to 400.")] days: Option<
            i32,
        >,
    ) -> Option<Result<ApiKeyUsage>> {
        Some(self.page.usage(context, self.key, days.unwrap_or(USAGE_DAYS)).await)
    }
}

impl ApiKey {
    /// A key of a page, as it is now.
    pub(crate) fn of(view: ApiKeyView, page: Arc<UsageOfPage>, now: DateTime<Utc>) -> Self {
        let status = view.status(now).into();
        let id = |key: ApiKeyId| ID::from(GlobalId::ApiKey(key));
        Self {
            id: id(view.key),
            label: view.label,
            prefix: view.prefix,
            last4: view.last4,
            environment: view.environment.into(),
            scopes: view.scopes.into_iter().map(|scope: KeyScope| scope.as_str().to_owned()).collect(),
            daily_cap: view.caps.daily.map(|cap| int(cap.get())),
            total_cap: view.caps.total.map(|cap| int(cap.get())),
            replaces: view.replaces.map(id),
            replaced_by: view.replaced_by.map(id),
            status,
            created_at: view.created_at,
            expires_at: view.expires_at,
            revoked_at: view.revoked_at,
            key: view.key,
            page,
        }
    }
}

/// Whether the account may have API keys; where it may not, none can be made and those that are there do not work.
#[derive(SimpleObject)]
pub struct ApiAccess {
    /// Whether it may.
    enabled: bool,
    /// Why not: `plan_required`, or `forbidden` when this deployment has no API.
    reason: Option<String>,
    /// The scopes a key can have.
    scopes: Vec<String>,
}

impl ApiAccess {
    /// That of an account on this plan.
    pub(crate) fn of(write: &WriteSide, plan: Plan) -> Self {
        let reason = match write.api.access {
            access if access.allows(plan) => None,
            Access::Off => Some("forbidden"),
            Access::Paid | Access::All => Some("plan_required"),
        };
        let scopes = write.api.scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
        Self { enabled: reason.is_none(), reason: reason.map(str::to_owned), scopes }
    }
}
