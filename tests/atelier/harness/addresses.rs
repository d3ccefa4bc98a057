//! Whose an address is, as the rows have it.

use atelier_domain::AccountId;
use atelier_domain::text::Email;
use atelier_vault::credential_rows::{claims, unproven_addresses};
use atelier_vault::{IndexDigest, IndexKind};

use super::TestStudio;

impl TestStudio {
    /// What an address is found by.
    pub fn index_of(&self, email: &str) -> IndexDigest {
        let folded = Email::parse(email).expect("an address").folded();
        self.node.studio.write.blind_index.digest(IndexKind::Email, &folded)
    }

    /// The account that holds an address, or else the newest sign-up with it.
    pub async fn account_at(&self, email: &str) -> AccountId {
        let (pool, index) = (&self.database.pool, self.index_of(email));
        if let Some(claim) = claims::find(pool, &index).await.expect("the rows answer") {
            return claim.account;
        }
        let waiting = unproven_addresses::of(pool, &index, None, 1).await.expect("the rows answer");
        waiting.first().expect("somebody signed up with it").account
    }
}
