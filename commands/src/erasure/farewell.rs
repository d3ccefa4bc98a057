//! The last mail: its address waits sealed under a one-off key, and both go with the mail (REQUIREMENTS 4.2.10).

use atelier_domain::account::{Account, Language};
use atelier_domain::{AccountId, KeyClass};
use atelier_vault::credential_rows::farewells::{self, Farewell};
use atelier_vault::{Opened, VaultError};
use chrono::TimeDelta;

use crate::command_path::CommandError;
use crate::ports::GatewayError;
use crate::process::mails;
use crate::refusal::{Refusal, UseCaseError};
use crate::write_side::WriteSide;

/// How long the last mail is tried. After it the address goes unsaid.
const PATIENCE: TimeDelta = TimeDelta::days(7);

/// Moves the address out of the account's key, which is about to die, under one of its own. Nothing, when there is no key any more.
///
/// # Errors
/// When the database or the key store failed.
pub(super) async fn prepare(write: &WriteSide, account: AccountId) -> Result<(), UseCaseError> {
    if farewells::find(&write.pool, account).await?.is_some() {
        return Ok(());
    }
    let loaded = write.path.load::<Account>(&account.to_string()).await;
    let owner = loaded.map_err(|error| error.map(Refusal::from))?.state;
    let Some(sealed) = owner.email() else { return Ok(()) };
    let address = match write.vault.open(account, "email", sealed).await {
        Ok(Opened::Text(address)) => address,
        Ok(Opened::Erased) | Err(VaultError::KeyMissing) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    write
        .ports
        .mailer
        // What others were mailed at an address that this account never proved is theirs.
        .forget(account, owner.was_verified().then_some(address.as_str()))
        .await
        .map_err(|error| CommandError::Internal(error.to_string()))?;
    // An account whose address was never proven may have been opened with somebody else's: nobody is written to.
    if !owner.email_verified() {
        return Ok(());
    }
    let subject = AccountId(write.fresh_id());
    write.vault.store().create(subject).await.map_err(VaultError::from)?;
    let address = write.vault.seal_row(subject, KeyClass::Profile, account.0, "farewell", "address", &address).await?;
    let (language, made_at) = (owner.language().as_str().to_owned(), write.now());
    Ok(farewells::keep(&write.pool, account, &Farewell { subject, address, language, made_at }).await?)
}

/// Sends the last mail, then forgets where it went. Sent twice after a crash in between, it is the same message.
///
/// # Errors
/// When it could not be handed over; it is tried again, for a week.
pub async fn send(write: &WriteSide, account: AccountId) -> Result<(), GatewayError> {
    let unavailable = |error: UseCaseError| GatewayError::Unavailable(error.to_string());
    let found = farewells::find(&write.pool, account).await.map_err(|error| unavailable(error.into()))?;
    let Some(farewell) = found else { return Ok(()) };
    let sent =
        if write.now() - farewell.made_at > PATIENCE { Ok(()) } else { hand_over(write, account, &farewell).await };
    if matches!(sent, Err(GatewayError::Unavailable(_))) {
        return sent;
    }
    for class in [KeyClass::Profile, KeyClass::Billing] {
        let shredded = write.vault.shred(farewell.subject, class).await;
        shredded.map_err(|error| unavailable(error.into()))?;
    }
    farewells::remove(&write.pool, account).await.map_err(|error| unavailable(error.into()))?;
    // Refused for good is for operators to see; the address is gone all the same.
    sent
}

async fn hand_over(write: &WriteSide, account: AccountId, farewell: &Farewell) -> Result<(), GatewayError> {
    let opened = write.vault.open(farewell.subject, "address", &farewell.address).await;
    let to = match opened.map_err(|error| GatewayError::Unavailable(error.to_string()))? {
        Opened::Text(address) => address,
        Opened::Erased => return Ok(()),
    };
    // What was on its way when the account was closed has arrived by now.
    write.ports.mailer.forget(account, Some(&to)).await?;
    let language = Language::ALL.into_iter().find(|language| language.as_str() == farewell.language);
    mails::farewell::send(write, account, language.unwrap_or_default(), &to).await
}

impl From<UseCaseError> for GatewayError {
    fn from(error: UseCaseError) -> Self {
        Self::Unavailable(match error {
            CommandError::Internal(cause) => cause,
            error => error.to_string(),
        })
    }
}
