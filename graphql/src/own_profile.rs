//! What an account shows its owner of itself (A01).

use async_graphql::{ComplexObject, Context, Result, SimpleObject};
use atelier_projections::models::profile::ProfileView;
use chrono::{DateTime, Utc};

use crate::Sides;
use crate::avatar::Avatar;

/// What an account shows its owner of itself.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct Profile {
    /// The handle of the public profile.
    username: Option<String>,
    /// The name shown.
    display_name: Option<String>,
    /// The biography, if there is one.
    bio: Option<String>,
    /// The avatar, if there is one.
    avatar: Option<Avatar>,
    /// Whether others see the public profile, and who made what is in Explore (V05).
    public: bool,
    /// The address. Only support can change it: see `supportUrl`.
    email: Option<String>,
    /// Whether the address was proven.
    email_verified: bool,
    /// The plan: Free or Pro.
    plan: String,
    /// When the account was opened.
    created_at: DateTime<Utc>,
}

#[ComplexObject]
impl Profile {
    /// Where another address is asked for: support, as in `signUpOptions`.
    async fn support_url(&self, context: &Context<'_>) -> Result<Option<String>> {
        Ok(context.data::<Sides>()?.write.access.support_url.clone())
    }
}

impl From<ProfileView> for Profile {
    fn from(view: ProfileView) -> Self {
        Self {
            username: view.username,
            display_name: view.display_name,
            bio: view.bio,
            avatar: view.avatar.map(|stored| Avatar { account: view.account, stored }),
            public: view.public,
            email: view.email,
            email_verified: view.email_verified,
            plan: view.plan.name().to_owned(),
            created_at: view.opened_at,
        }
    }
}
