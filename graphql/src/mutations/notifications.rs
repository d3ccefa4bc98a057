//! Notices: switches, the language of mails, and what was read.

use async_graphql::{Context, ID, InputObject, Object, Result};
use atelier_commands::use_cases::{MarkNoticesRead, SetLanguage, SetNotifications};
use atelier_commands::{Named, Refusal};
use atelier_domain::account::NotificationChoice;
use atelier_domain::{Invalid, Reason};

use super::profile::me_at;
use crate::Sides;
use crate::caller::signed_in;
use crate::global_id;
use crate::me::Me;
use crate::notification::{Language, NotificationChannel, NotificationKind};
use crate::once::Once;
use crate::payload::{UserErrors, outcome, payload};
use crate::reading::{MUTATION, Reading};

/// The mutations of this room.
#[derive(Default)]
pub struct NotificationMutation;

/// One switch; what `setNotification` takes.
#[derive(InputObject)]
pub struct SetNotificationInput {
    /// What about.
    kind: NotificationKind,
    /// Where.
    channel: NotificationChannel,
    /// On or off.
    on: bool,
}

impl SetNotificationInput {
    /// The choice; `path` stands before the fields' names.
    fn choice(&self, path: &str) -> Named<NotificationChoice> {
        let fixed = || {
            let says = "is one whose notices cannot be switched off";
            Refusal::value(format!("{path}kind"), Invalid::new(Reason::NotAllowed, says))
        };
        let kind = self.kind.switch().ok_or_else(fixed)?;
        Ok(NotificationChoice { kind, channel: self.channel.into(), on: self.on })
    }
}

payload! {
    /// The account after the change.
    SetNotificationPayload {
        /// The account.
        me: Result<Me>,
    }
}

/// What `setNotifications` takes.
#[derive(InputObject)]
pub struct SetNotificationsInput {
    /// The switches, each at most once; what is not among them stays.
    choices: Vec<SetNotificationInput>,
}

payload! {
    /// The account after the change.
    SetNotificationsPayload {
        /// The account.
        me: Result<Me>,
    }
}

/// What `setLanguage` takes.
#[derive(InputObject)]
pub struct SetLanguageInput {
    /// The language of mails.
    language: Language,
}

payload! {
    /// The account after the change.
    SetLanguagePayload {
        /// The account.
        me: Result<Me>,
    }
}

/// What `markNoticesRead` takes.
#[derive(InputObject)]
pub struct MarkNoticesReadInput {
    /// The notices that were seen, at most 100; all of them when not given.
    ids: Option<Vec<ID>>,
}

payload! {
    /// The account after the change.
    MarkNoticesReadPayload {
        /// The account.
        me: Result<Me>,
    }
}

/// Sets switches, all or none; the position to read from.
async fn set(
    context: &Context<'_>,
    choices: Vec<Named<NotificationChoice>>,
) -> Result<std::result::Result<String, UserErrors>> {
    let sides = context.data::<Sides>()?;
    let (account, _) = signed_in(context)?;
    let once = Once::of(context)?;
    let use_case = SetNotifications { account, choices };
    let done = once.at(context, use_case.run(&sides.write, &once.command)).await?;
    Ok(done.map(|position| sides.read.token(position)))
}

#[Object]
impl NotificationMutation {
    /// Sets one switch, as a settings screen does that saves by itself (A32).
    async fn set_notification(
        &self,
        context: &Context<'_>,
        input: SetNotificationInput,
    ) -> Result<SetNotificationPayload> {
        Ok(match set(context, vec![input.choice("")]).await? {
            Ok(position) => SetNotificationPayload {
                me: me_at(context, &position).await,
                position: Some(position),
                ..Default::default()
            },
            Err(error) => SetNotificationPayload::refused(error),
        })
    }

    /// Sets several switches, all or none, as a Save button does (V17).
    async fn set_notifications(
        &self,
        context: &Context<'_>,
        input: SetNotificationsInput,
    ) -> Result<SetNotificationsPayload> {
        let choices = input.choices.iter().enumerate();
        let choices = choices.map(|(number, choice)| choice.choice(&format!("choices.{number}."))).collect();
        Ok(match set(context, choices).await? {
            Ok(position) => SetNotificationsPayload {
                me: me_at(context, &position).await,
                position: Some(position),
                ..Default::default()
            },
            Err(error) => SetNotificationsPayload::refused(error),
        })
    }

    /// Chooses the language of mails.
    async fn set_language(&self, context: &Context<'_>, input: SetLanguageInput) -> Result<SetLanguagePayload> {
        let sides = context.data::<Sides>()?;
        let (account, _) = signed_in(context)?;
        let use_case = SetLanguage { account, language: input.language.into() };
        let once = Once::of(context)?;
        Ok(match once.at(context, use_case.run(&sides.write, &once.command)).await? {
            Ok(position) => {
                let position = sides.read.token(position);
                SetLanguagePayload {
                    me: me_at(context, &position).await,
                    position: Some(position),
                    ..Default::default()
                }
            }
            Err(error) => SetLanguagePayload::refused(error),
        })
    }

    /// Marks notices as read. Reading is no event: the position is where the read models are.
    async fn mark_notices_read(
        &self,
        context: &Context<'_>,
        input: MarkNoticesReadInput,
    ) -> Result<MarkNoticesReadPayload> {
        let sides = context.data::<Sides>()?;
        let (account, _) = signed_in(context)?;
        let named = |(number, id): (usize, &ID)| global_id::notice(format!("ids.{number}"), id);
        let notices = input.ids.map(|ids| ids.iter().enumerate().map(named).collect());
        if let Err(error) = outcome(MarkNoticesRead { account, notices }.run(&sides.write).await)? {
            return Ok(MarkNoticesReadPayload::refused(error));
        }
        let reading = Reading::begin(context, MUTATION, None).await;
        let position = reading.as_ref().ok().map(|reading| reading.position().to_owned());
        let me = Some(reading.map(|reading| Me::new(account, reading)));
        Ok(MarkNoticesReadPayload { me, position, ..Default::default() })
    }
}
