//! Mutations that are done once for an `Idempotency-Key`: the header works on every signed-in mutation that appends events.
//!
//! Not on what signs somebody in, proves who asks, or enrols a second factor: their answers are tokens and codes, and none is ever stored.
//! A repeat is answered with what is now, under the first answer's position. The key rides on the append that stands for the mutation, so
//! what was refused and what changed nothing leave it free.

use std::collections::BTreeMap;
use std::future::Future;

use async_graphql::{Context, Name, Result, Value};
use atelier_commands::event_store::Position;
use atelier_commands::idempotency::{self, Kind};
use atelier_commands::{CommandContext, CommandError, Refusal, UseCaseError};

use crate::Sides;
use crate::caller::{command_context, signed_in};
use crate::error::command_fault;
use crate::payload::{UserErrors, outcome};

/// The header's key as it came with the request: none, one, or a refusal when it is not one text.
#[derive(Debug, Clone, Default)]
pub struct SentKey(pub Option<std::result::Result<String, Refusal>>);

/// A mutation that takes the header here, and the members of its input that prove who asks and so are no part of what a repeat must match.
struct Keyed {
    mutation: &'static str,
    proofs: &'static [&'static str],
}

const fn keyed(mutation: &'static str) -> Keyed {
    Keyed { mutation, proofs: &[] }
}

/// The mutations whose key rides on one append without the use case's help. Six others have a key of their own in their use case:
/// [`OF_USE_CASES`].
const KEYED: &[Keyed] = &[
    keyed("revokeSession"),
    keyed("revokeOtherSessions"),
    keyed("revokeAllSessions"),
    Keyed { mutation: "disableTwoFactor", proofs: &["code"] },
    keyed("renewRecoveryCodes"),
    Keyed { mutation: "keepTwoFactor", proofs: &["token"] },
    keyed("completeGoogleLink"),
    keyed("unlinkIdentity"),
    keyed("updateProfile"),
    keyed("setPublishToExplore"),
    keyed("changeUsername"),
    keyed("setPublicProfile"),
    keyed("removeAvatar"),
    keyed("setNotification"),
    keyed("setNotifications"),
    keyed("setLanguage"),
    keyed("revokeApiKey"),
    keyed("requestDataExport"),
    Keyed { mutation: "confirmAccountDeletion", proofs: &["token"] },
    keyed("staffViewAccount"),
    keyed("staffChangeEmail"),
    keyed("staffResetTwoFactor"),
    keyed("staffEndSessions"),
    keyed("staffRevokeApiKey"),
    keyed("staffGrantRole"),
    keyed("staffWithdrawRole"),
];

/// The mutations whose use case knows the key itself.
const OF_USE_CASES: &[&str] =
    &["requestGeneration", "cancelGeneration", "deleteGeneration", "createApiKey", "rotateApiKey", "changePassword"];

/// The names of all mutations that take the header.
pub fn with_key() -> impl Iterator<Item = &'static str> {
    KEYED.iter().map(|keyed| keyed.mutation).chain(OF_USE_CASES.iter().copied())
}

/// The key for a use case that knows it itself: the input's, or else the header's.
pub(crate) fn sent_key(
    context: &Context<'_>,
    of_input: Option<String>,
) -> std::result::Result<Option<String>, Refusal> {
    let header = context.data_opt::<SentKey>().and_then(|SentKey(sent)| sent.clone());
    if of_input.is_some() { Ok(of_input) } else { header.transpose() }
}

/// Says in the answer's headers that nothing was done now, as REST does.
pub(crate) fn mark_repeat(context: &Context<'_>, repeated: bool) {
    if repeated {
        context.insert_http_header("idempotency-hit", "true");
    }
}

/// A mutation that is done once for its key.
pub(crate) struct Once {
    /// What the use case is given: with the key, if one was sent.
    pub command: CommandContext,
    refused: Option<Refusal>,
}

/// What came of it.
pub(crate) enum Done<T> {
    /// It was done now.
    Now(T),
    /// It was done before, under the same key.
    Before {
        /// The id that the first one left for its repeats; empty when it left none.
        result: String,
        /// The first one's position.
        position: Position,
    },
}

impl Once {
    /// For the mutation that this field is, with the key that the request brought.
    ///
    /// # Errors
    /// When the field's arguments cannot be read.
    pub(crate) fn of(context: &Context<'_>) -> Result<Self> {
        let command = command_context(context)?;
        let sent = context.data_opt::<SentKey>().and_then(|SentKey(sent)| sent.clone());
        let (Some(sent), Ok((account, _))) = (sent, signed_in(context)) else {
            return Ok(Self { command, refused: None });
        };
        let field = context.field();
        let Some(kind) = KEYED.iter().find(|keyed| keyed.mutation == field.name()) else {
            let message = format!("{} has no row among the mutations that take a key", field.name());
            return Err(command_fault(&CommandError::Internal(message)));
        };
        let write = &context.data::<Sides>()?.write;
        let meaning = meaning(kind, &field.arguments()?);
        let key = sent
            .and_then(|sent| idempotency::of_request(write, account, Kind::new(kind.mutation), Some(&sent), &meaning));
        Ok(match key {
            Ok(key) => Self { command: CommandContext { key, ..command }, refused: None },
            Err(refusal) => Self { command, refused: Some(refusal) },
        })
    }

    /// Does it, unless it was done before. A refusal is looked at twice: a twin of this request may have done it in between.
    pub(crate) async fn run<T>(
        &self,
        context: &Context<'_>,
        use_case: impl Future<Output = std::result::Result<T, UseCaseError>>,
    ) -> Result<std::result::Result<Done<T>, UserErrors>> {
        if let Some(refusal) = &self.refused {
            return Ok(Err(refusal.clone().into()));
        }
        let done = match self.before(context).await {
            Ok(None) => match use_case.await {
                Ok(done) => Ok(Done::Now(done)),
                Err(error @ (CommandError::Refused(_) | CommandError::Conflict)) if self.command.key.is_some() => {
                    self.before(context).await.and_then(|twin| twin.ok_or(error))
                }
                Err(error) => Err(error),
            },
            Ok(Some(before)) => Ok(before),
            Err(error) => Err(error),
        };
        mark_repeat(context, matches!(done, Ok(Done::Before { .. })));
        outcome(done)
    }

    /// As [`Self::run`], for a use case whose answer is the position to read from.
    pub(crate) async fn at(
        &self,
        context: &Context<'_>,
        use_case: impl Future<Output = std::result::Result<Position, UseCaseError>>,
    ) -> Result<std::result::Result<Position, UserErrors>> {
        Ok(self.run(context, use_case).await?.map(|done| match done {
            Done::Now(position) | Done::Before { position, .. } => position,
        }))
    }

    async fn before<T>(&self, context: &Context<'_>) -> std::result::Result<Option<Done<T>>, UseCaseError> {
        let Ok(sides) = context.data::<Sides>() else { return Ok(None) };
        let used = sides.write.path.used(self.command.key()).await?;
        Ok(used.map(|(result, position)| Done::Before { result, position }))
    }
}

/// What a repeat must match: the mutation and its arguments, without what proves who asks. Members in the order of their names, and absent
/// what is null: an input means the same either way.
fn meaning(keyed: &Keyed, arguments: &[(Name, Value)]) -> serde_json::Value {
    let arguments = arguments.iter().map(|(name, value)| (name.as_str(), canonical(value, keyed.proofs)));
    let arguments: BTreeMap<&str, serde_json::Value> = arguments.filter(|(_, value)| !value.is_null()).collect();
    serde_json::json!([keyed.mutation, arguments.into_iter().collect::<Vec<_>>()])
}

fn canonical(value: &Value, without: &[&str]) -> serde_json::Value {
    match value {
        Value::Object(members) => {
            let members =
                members.iter().filter(|(name, value)| !without.contains(&name.as_str()) && **value != Value::Null);
            let members: BTreeMap<&str, _> =
                members.map(|(name, value)| (name.as_str(), canonical(value, &[]))).collect();
            // Pairs, so that their order is kept by whatever writes them.
            serde_json::json!(members.into_iter().collect::<Vec<_>>())
        }
        Value::List(items) => items.iter().map(|item| canonical(item, &[])).collect(),
        Value::Enum(name) => serde_json::json!(name.as_str()),
        other => other.clone().into_json().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::value;

    use super::*;

    fn meant(value: Value) -> serde_json::Value {
        let of = KEYED.iter().find(|keyed| keyed.mutation == "disableTwoFactor").expect("it takes a key");
        meaning(of, &[(Name::new("input"), value)])
    }

    #[test]
    fn the_same_input_written_otherwise_means_the_same_and_a_proof_means_nothing() {
        let plain = meant(value!({ "a": 1, "b": ["x", { "c": true }], "code": "123456" }));
        assert_eq!(plain, meant(value!({ "b": ["x", { "d": null, "c": true }], "e": null, "a": 1, "code": "654321" })));
        assert_ne!(plain, meant(value!({ "a": 2, "b": ["x", { "c": true }] })));
        assert_ne!(
            plain,
            meant(value!({ "a": 1, "b": ["x", { "c": true, "code": "1" }] })),
            "only the input's own member"
        );
    }
}
