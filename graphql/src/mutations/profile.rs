//! Profile and preferences.

use async_graphql::{Context, InputObject, Object, Result};
use atelier_commands::use_cases::{ChangeUsername, SetPublicProfile, SetPublishToExplore, UpdateProfile};

use crate::Sides;
use crate::caller::signed_in;
use crate::me::Me;
use crate::once::Once;
use crate::payload::payload;
use crate::reading::{MUTATION, Reading};

/// The mutations of this room.
#[derive(Default)]
pub struct ProfileMutation;

/// What `updateProfile` takes; what is not given stays.
#[derive(InputObject)]
pub struct UpdateProfileInput {
    /// The new name shown: 1 to 50 characters as a person counts them, at least one of which can be seen.
    display_name: Option<String>,
    /// The new biography, up to 160 characters as a person counts them (extended grapheme clusters), each of up to 64 bytes of UTF-8 with all
    /// its marks; longer is refused, never cut. An empty one, or one that shows nothing, clears it.
    bio: Option<String>,
}

payload! {
    /// The account after the change.
    UpdateProfilePayload {
        /// The account.
        me: Result<Me>,
    }
}

/// What `setPublishToExplore` takes.
#[derive(InputObject)]
pub struct SetPublishToExploreInput {
    /// Whether future generations go to Explore.
    publish: bool,
}

payload! {
    /// The account after the change.
    SetPublishToExplorePayload {
        /// The account.
        me: Result<Me>,
    }
}

/// What `changeUsername` takes.
#[derive(InputObject)]
pub struct ChangeUsernameInput {
    /// 3-30 of `a-z 0-9 _ -`, starting with a letter.
    username: String,
}

payload! {
    /// The account after the change.
    ChangeUsernamePayload {
        /// The account.
        me: Result<Me>,
    }
}

/// What `setPublicProfile` takes.
#[derive(InputObject)]
pub struct SetPublicProfileInput {
    /// Whether others see the profile.
    public: bool,
}

payload! {
    /// The account after the change.
    SetPublicProfilePayload {
        /// The account.
        me: Result<Me>,
    }
}

/// The account not older than a position, if the payload's `me` is asked for. What was done stands all the same when it cannot be read.
pub(super) async fn me_at(context: &Context<'_>, position: &str) -> Option<Result<Me>> {
    let answer = async {
        let (account, _) = signed_in(context)?;
        Ok(Me::new(account, Reading::begin(context, MUTATION, Some(position)).await?))
    };
    if context.look_ahead().field("me").exists() { Some(answer.await) } else { None }
}

#[Object]
impl ProfileMutation {
    /// Changes name and biography together, both or neither (A09).
    async fn update_profile(&self, context: &Context<'_>, input: UpdateProfileInput) -> Result<UpdateProfilePayload> {
        let sides = context.data::<Sides>()?;
        let (account, _) = signed_in(context)?;
        let use_case = UpdateProfile { account, display_name: input.display_name, bio: input.bio };
        let once = Once::of(context)?;
        Ok(match once.at(context, use_case.run(&sides.write, &once.command)).await? {
            Ok(position) => {
                let position = sides.read.token(position);
                UpdateProfilePayload {
                    me: me_at(context, &position).await,
                    position: Some(position),
                    ..Default::default()
                }
            }
            Err(error) => UpdateProfilePayload::refused(error),
        })
    }

    /// Turns publishing of future generations on or off; off needs a premium plan (A24-A26).
    async fn set_publish_to_explore(
        &self,
        context: &Context<'_>,
        input: SetPublishToExploreInput,
    ) -> Result<SetPublishToExplorePayload> {
        let sides = context.data::<Sides>()?;
        let (account, _) = signed_in(context)?;
        let use_case = SetPublishToExplore { account, publish: input.publish };
        let once = Once::of(context)?;
        Ok(match once.at(context, use_case.run(&sides.write, &once.command)).await? {
            Ok(position) => {
                let position = sides.read.token(position);
                SetPublishToExplorePayload {
                    me: me_at(context, &position).await,
                    position: Some(position),
                    ..Default::default()
                }
            }
            Err(error) => SetPublishToExplorePayload::refused(error),
        })
    }

    /// Takes another handle, at most once in 30 days. The old one finds the account for 90 days more and is nobody's meanwhile (U29).
    async fn change_username(
        &self,
        context: &Context<'_>,
        input: ChangeUsernameInput,
    ) -> Result<ChangeUsernamePayload> {
        let sides = context.data::<Sides>()?;
        let (account, _) = signed_in(context)?;
        let use_case = ChangeUsername { account, username: input.username };
        let once = Once::of(context)?;
        Ok(match once.at(context, use_case.run(&sides.write, &once.command)).await? {
            Ok(position) => {
                let position = sides.read.token(position);
                ChangeUsernamePayload {
                    me: me_at(context, &position).await,
                    position: Some(position),
                    ..Default::default()
                }
            }
            Err(error) => ChangeUsernamePayload::refused(error),
        })
    }

    /// Shows the public profile to others, or not. Off, `creator` is null for others, here and on what is in Explore, which stays
    /// there (V05, C3).
    async fn set_public_profile(
        &self,
        context: &Context<'_>,
        input: SetPublicProfileInput,
    ) -> Result<SetPublicProfilePayload> {
        let sides = context.data::<Sides>()?;
        let (account, _) = signed_in(context)?;
        let use_case = SetPublicProfile { account, public: input.public };
        let once = Once::of(context)?;
        Ok(match once.at(context, use_case.run(&sides.write, &once.command)).await? {
            Ok(position) => {
                let position = sides.read.token(position);
                SetPublicProfilePayload {
                    me: me_at(context, &position).await,
                    position: Some(position),
                    ..Default::default()
                }
            }
            Err(error) => SetPublicProfilePayload::refused(error),
        })
    }
}
