//! What a sign-up screen asks before there is a session: what is on offer here, the rules for its fields, and whether a name is free.

use async_graphql::{Context, Result, SimpleObject};
use atelier_commands::WriteSide;
use atelier_commands::use_cases::{CheckUsername, sign_in_elsewhere};
use atelier_domain::policy::account::{
    MINIMUM_AGE, PASSWORD_BYTES, PASSWORD_CHARACTERS, USERNAME_LENGTH, USERNAME_PATTERN,
};

use crate::Sides;
use crate::caller::{account, origin};
use crate::number::int;
use crate::payload::{UserError, UserErrors, outcome};

/// What a sign-up screen needs to know before there is a session.
#[derive(SimpleObject)]
pub struct SignUpOptions {
    /// Whether Google signs in and up: a browser begins at `/auth/google/start`.
    google: bool,
    /// What a password must be like.
    password: PasswordRules,
    /// What a username must be like.
    username: UsernameRules,
    /// The age a person must declare to have reached.
    minimum_age: i32,
    /// Where people reach support: a page, or a `mailto:` address. For what only support can do: another address for an account, and questions
    /// about a bill before an account is deleted. Null when this studio has not said.
    support_url: Option<String>,
}

/// What a password must be like. Beside this it must not be easy to guess: not common, and not made of the address or the username.
#[derive(SimpleObject)]
pub struct PasswordRules {
    /// The fewest characters.
    min_length: i32,
    /// The most bytes, in UTF-8.
    max_bytes: i32,
    /// Whether it needs a number.
    needs_number: bool,
    /// Whether it needs a character that is neither a letter nor a number.
    needs_symbol: bool,
}

/// What a username must be like. Some that are, are reserved or taken: see `usernameAvailability`.
#[derive(SimpleObject)]
pub struct UsernameRules {
    /// The fewest characters.
    min_length: i32,
    /// The most characters.
    max_length: i32,
    /// The whole rule as a regular expression of ECMAScript, for a username in small letters; capitals are folded.
    pattern: String,
}

/// Whether a username is free.
#[derive(SimpleObject)]
pub struct UsernameAvailability {
    /// Whether `signUp`, or `changeUsername` for a signed-in account, would accept it now; null when the client has to wait.
    available: Option<bool>,
    /// Why not, as `signUp` would say it: `INVALID_FIELD` for a malformed or reserved one, `USERNAME_TAKEN`; or `RATE_LIMITED`.
    user_errors: Vec<UserError>,
}

impl SignUpOptions {
    /// What is on offer on this server.
    pub(crate) fn of(write: &WriteSide) -> Self {
        let composition = write.access.password_composition;
        Self {
            google: sign_in_elsewhere::is_offered(write),
            password: PasswordRules {
                min_length: int(PASSWORD_CHARACTERS),
                max_bytes: int(PASSWORD_BYTES),
                needs_number: composition,
                needs_symbol: composition,
            },
            username: UsernameRules {
                min_length: int(*USERNAME_LENGTH.start()),
                max_length: int(*USERNAME_LENGTH.end()),
                pattern: USERNAME_PATTERN.to_owned(),
            },
            minimum_age: MINIMUM_AGE.into(),
            support_url: write.access.support_url.clone(),
        }
    }
}

/// Whether a username is free to the caller.
pub(crate) async fn availability(context: &Context<'_>, username: String) -> Result<UsernameAvailability> {
    let write = &context.data::<Sides>()?.write;
    let use_case = CheckUsername { username, account: account(context), origin: origin(context) };
    Ok(match outcome(use_case.run(write).await)? {
        Ok(()) => UsernameAvailability { available: Some(true), user_errors: Vec::new() },
        Err(errors) => {
            let available = (!errors.is_rate_limited()).then_some(false);
            let UserErrors(user_errors) = errors;
            UsernameAvailability { available, user_errors }
        }
    })
}
