//! Password hashes beside another implementation of argon2: what one makes the other verifies (sec.S1, RFC 9106).

use std::sync::Arc;

use atelier_server::system::SystemRandom;
use atelier_vault::Passwords;
use atelier_vault::credential_rows::passwords::StoredPassword;

use crate::harness::peers::ask;

const PASSWORD: &str = "Grüße, correct horse 1!";

#[tokio::test(flavor = "multi_thread")]
async fn s1_our_hashes_verify_elsewhere_and_theirs_here() {
    let passwords = Passwords::new(Arc::new(SystemRandom));
    let ours = passwords.hash(PASSWORD).await.expect("hashed");
    assert_eq!(ask("argon2_cross.py", &["verify"], &format!("{PASSWORD}\n{ours}\n")).await, "True");
    assert_eq!(ask("argon2_cross.py", &["verify"], &format!("{PASSWORD}!\n{ours}\n")).await, "False");
    // Today's setting, and one of another time.
    for (cost, old) in [(["19456", "2", "1"], false), (["12288", "3", "1"], true)] {
        let theirs = ask("argon2_cross.py", &[&["hash"][..], &cost].concat(), PASSWORD).await;
        let stored = StoredPassword { phc: theirs.clone(), version: 1, of_nfc: true };
        assert!(passwords.verify(PASSWORD, &stored).await.expect("a hash"), "{theirs}");
        assert!(!passwords.verify("another 1!", &stored).await.expect("a hash"), "{theirs}");
        assert_eq!(Passwords::needs_rehash(&theirs), old, "{theirs}");
    }
}
