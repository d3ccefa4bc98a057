//! The token of a mail's link that ends mails of its kind: an account and a kind, signed by the server (V16). It is kept nowhere and
//! never expires: what it can do is to send somebody less.

use atelier_domain::AccountId;
use atelier_domain::account::NoticeKind;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::Secrets;

const ID_BYTES: usize = 16;
const MAC_BYTES: usize = 32;

impl Secrets {
    /// The token for an account and a kind; always the same.
    #[must_use]
    pub fn unsubscribe_token(&self, account: AccountId, kind: NoticeKind) -> String {
        let mut bytes = Vec::with_capacity(ID_BYTES + MAC_BYTES);
        bytes.extend(account.0.as_bytes());
        bytes.extend(self.unsubscribe_mac(account, kind));
        format!("{}.{}", kind.as_str(), URL_SAFE_NO_PAD.encode(bytes))
    }

    /// What a presented token is about; `None` when this server did not make it.
    #[must_use]
    pub fn read_unsubscribe_token(&self, token: &str) -> Option<(AccountId, NoticeKind)> {
        let (kind, rest) = token.split_once('.')?;
        let kind = NoticeKind::parse(kind)?;
        let bytes = URL_SAFE_NO_PAD.decode(rest).ok().filter(|bytes| bytes.len() == ID_BYTES + MAC_BYTES)?;
        let (id, mac) = bytes.split_at(ID_BYTES);
        let account = AccountId(Uuid::from_slice(id).ok()?);
        let genuine: bool = self.unsubscribe_mac(account, kind).ct_eq(mac).into();
        genuine.then_some((account, kind))
    }

    fn unsubscribe_mac(&self, account: AccountId, kind: NoticeKind) -> [u8; MAC_BYTES] {
        self.keyed("unsubscribe", &[account.0.as_bytes(), kind.as_str().as_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Replayable, account};

    #[test]
    fn v16_a_link_ends_one_kind_for_one_account_and_cannot_be_made_by_others() {
        let root = tempfile::tempdir().unwrap();
        let random = Replayable::new(5);
        let secrets = Secrets::open(root.path(), random.as_ref()).unwrap();
        let token = secrets.unsubscribe_token(account(1), NoticeKind::Newsletter);
        assert_eq!(secrets.read_unsubscribe_token(&token), Some((account(1), NoticeKind::Newsletter)));
        assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)), "fit for a link: {token}");
        // The same after a restart, for years.
        let restarted = Secrets::open(root.path(), random.as_ref()).unwrap();
        assert_eq!(restarted.unsubscribe_token(account(1), NoticeKind::Newsletter), token);

        let other = secrets.unsubscribe_token(account(2), NoticeKind::Newsletter);
        let (_, rest) = token.split_once('.').unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let foreign = Secrets::open(elsewhere.path(), random.as_ref()).unwrap();
        // The other's id, which is 22 characters long, before this one's proof.
        let spliced = format!("newsletter.{}{}", &other[11..33], &rest[22..]);
        for bad in [
            "",
            ".",
            "newsletter.",
            &format!("marketing.{rest}"),
            &spliced,
            &token[..token.len() - 4],
            &format!("{token}AAAA"),
        ] {
            assert_eq!(secrets.read_unsubscribe_token(bad), None, "{bad}");
        }
        assert_eq!(foreign.read_unsubscribe_token(&token), None);
    }
}
