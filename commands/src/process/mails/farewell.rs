//! The last mail, to an address that its account does not have any more (A37).

use atelier_domain::AccountId;
use atelier_domain::account::Language;

use super::letters::Letter;
use super::written;
use crate::ports::{GatewayError, Mail};
use crate::write_side::WriteSide;

/// Tells somebody that their account is deleted. Its id is the account's own: sent again, it is the same message.
pub(crate) async fn send(
    write: &WriteSide,
    account: AccountId,
    language: Language,
    to: &str,
) -> Result<(), GatewayError> {
    let id = format!("farewell-{account}");
    let mail = Mail { last: true, ..written(write, account, language, to, &id, &Letter::Farewell {}, None)? };
    super::hand_over(write, mail).await
}
