//! Sealing and opening: round trips, every way of moving a ciphertext, erasure (REQUIREMENTS 4.3).

use atelier_domain::{Personal, PersonalSlot};

use super::*;
use crate::testing::{Replayable, account};

struct SignedUp {
    email: Personal<String>,
    bio: Personal<String>,
    invoice_name: Personal<String>,
}

impl PersonalFields for SignedUp {
    fn personal_fields(&mut self) -> Vec<PersonalSlot<'_>> {
        vec![
            PersonalSlot::new("email", KeyClass::Profile, &mut self.email),
            PersonalSlot::new("bio", KeyClass::Profile, &mut self.bio),
            PersonalSlot::new("invoice_name", KeyClass::Billing, &mut self.invoice_name),
        ]
    }
}

fn signed_up() -> SignedUp {
    let open = |text: &str| Personal::Open(text.to_owned());
    SignedUp { email: open("ada@example.com"), bio: open(""), invoice_name: open("Ada Lovelace") }
}

fn event(number: u128) -> EventId {
    EventId(Uuid::from_u128(number))
}

async fn vault(root: &Path) -> Vault {
    let vault = Vault::open_folder(root, Replayable::new(1)).unwrap();
    for number in 1..=2 {
        vault.store().create(account(number)).await.unwrap();
    }
    vault
}

async fn sealed_event(vault: &Vault, owner: u128, event_id: u128) -> SignedUp {
    let mut sealed = signed_up();
    vault.seal_fields(account(owner), event(event_id), "AccountOpened", &mut sealed).await.unwrap();
    sealed
}

fn text(opened: Opened) -> String {
    match opened {
        Opened::Text(text) => text,
        Opened::Erased => panic!("erased"),
    }
}

#[tokio::test]
async fn every_open_field_is_sealed_and_opens_to_what_it_was() {
    let root = tempfile::tempdir().unwrap();
    let vault = vault(root.path()).await;
    let sealed = sealed_event(&vault, 1, 9).await;
    for (field, value, plain) in [
        ("email", &sealed.email, "ada@example.com"),
        ("bio", &sealed.bio, ""),
        ("invoice_name", &sealed.invoice_name, "Ada Lovelace"),
    ] {
        let value = value.sealed().unwrap();
        assert!(!value.as_text().contains("Ada") && !value.as_text().contains("ada@"));
        assert_eq!(text(vault.open(account(1), field, value).await.unwrap()), plain);
        let place = Place::event(event(9), "AccountOpened", field);
        assert_eq!(text(vault.open_at(account(1), &place, value).await.unwrap()), plain);
    }
}

#[tokio::test]
async fn sealing_leaves_sealed_fields_alone_and_uses_a_new_nonce_each_time() {
    let root = tempfile::tempdir().unwrap();
    let vault = vault(root.path()).await;
    let mut first = sealed_event(&vault, 1, 9).await;
    let before = first.email.clone();
    vault.seal_fields(account(1), event(9), "AccountOpened", &mut first).await.unwrap();
    assert!(first.email == before);
    assert!(sealed_event(&vault, 1, 9).await.email != before);
}

#[tokio::test]
async fn e6_a_value_opens_for_no_other_account_field_event_or_row() {
    let root = tempfile::tempdir().unwrap();
    let vault = vault(root.path()).await;
    let sealed = sealed_event(&vault, 1, 9).await;
    let email = sealed.email.sealed().unwrap();
    let refused = |outcome: Result<Opened, VaultError>| matches!(outcome, Err(VaultError::Tampered));

    assert!(refused(vault.open(account(2), "email", email).await), "another account");
    assert!(refused(vault.open(account(1), "bio", email).await), "another field");
    for place in [
        Place::event(event(10), "AccountOpened", "email"),
        Place::event(event(9), "EmailChanged", "email"),
        Place::event(event(9), "AccountOpened", "bio"),
        Place::row(event(9).0, "AccountOpened", "email"),
    ] {
        assert!(refused(vault.open_at(account(1), &place, email).await), "{place:?}");
    }
}

#[tokio::test]
async fn e6_a_swapped_or_changed_part_of_the_text_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let vault = vault(root.path()).await;
    let one = sealed_event(&vault, 1, 9).await;
    let two = sealed_event(&vault, 1, 10).await;
    let parts = |value: &Personal<String>| -> Vec<String> {
        value.sealed().unwrap().as_text().split('.').map(str::to_owned).collect()
    };
    let (one, two, bio) = (parts(&one.email), parts(&two.email), parts(&one.bio));
    let mut forged = Vec::new();
    for (index, other) in
        [(1, two[1].clone()), (2, "Other".into()), (4, "b".into()), (5, two[5].clone()), (5, bio[5].clone())]
    {
        let mut text = one.clone();
        text[index] = other;
        forged.push(text.join("."));
    }
    forged.push(one.join(".").replacen("p1", "r1", 1));
    forged.push(format!("{}.x", one.join(".")));
    forged.push(one[..5].join("."));
    forged.push("p1".into());
    forged.push("ada@example.com".into());
    let last = forged.len();
    let flipped = if one[5].starts_with('A') { "B" } else { "A" };
    forged.push(format!("{}.{flipped}{}", one[..5].join("."), &one[5][1..]));
    assert_eq!(forged.len(), last + 1);
    for text in forged {
        let outcome = vault.open(account(1), "email", &Sealed::from_text(text.clone())).await;
        assert!(matches!(outcome, Err(VaultError::Tampered)), "{text}");
    }
}

#[tokio::test]
async fn e8_a_shredded_profile_key_erases_its_fields_only_and_seals_no_more() {
    let root = tempfile::tempdir().unwrap();
    let vault = vault(root.path()).await;
    let sealed = sealed_event(&vault, 1, 9).await;
    vault.shred(account(1), KeyClass::Profile).await.unwrap();

    let email = sealed.email.sealed().unwrap();
    assert_eq!(vault.open(account(1), "email", email).await.unwrap(), Opened::Erased);
    let name = sealed.invoice_name.sealed().unwrap();
    assert_eq!(text(vault.open(account(1), "invoice_name", name).await.unwrap()), "Ada Lovelace");
    let refused = vault.seal_fields(account(1), event(11), "AccountOpened", &mut signed_up()).await;
    assert!(matches!(refused, Err(VaultError::KeyShredded)));

    vault.shred(account(1), KeyClass::Billing).await.unwrap();
    assert_eq!(vault.open(account(1), "invoice_name", name).await.unwrap(), Opened::Erased);
}

#[tokio::test]
async fn another_node_sees_the_shredding_once_it_forgets() {
    let root = tempfile::tempdir().unwrap();
    let here = vault(root.path()).await;
    let there = Vault::open_folder(root.path(), Replayable::new(2)).unwrap();
    let sealed = sealed_event(&there, 1, 9).await;
    here.shred(account(1), KeyClass::Profile).await.unwrap();
    there.forget(account(1));
    assert_eq!(there.open(account(1), "email", sealed.email.sealed().unwrap()).await.unwrap(), Opened::Erased);
}

#[tokio::test]
async fn a_missing_key_is_an_operators_problem_and_not_an_erasure() {
    let root = tempfile::tempdir().unwrap();
    let vault = vault(root.path()).await;
    let sealed = sealed_event(&vault, 1, 9).await;
    assert!(matches!(
        vault.open(account(3), "email", sealed.email.sealed().unwrap()).await,
        Err(VaultError::KeyMissing)
    ));
    let refused = vault.seal_fields(account(3), event(1), "AccountOpened", &mut signed_up()).await;
    assert!(matches!(refused, Err(VaultError::KeyMissing)));
}

#[tokio::test]
async fn rows_outside_events_are_sealed_to_their_row() {
    let root = tempfile::tempdir().unwrap();
    let vault = vault(root.path()).await;
    let row = Uuid::from_u128(5);
    let sealed = vault.seal_row(account(1), KeyClass::Profile, row, "session", "device", "Ada's laptop").await.unwrap();
    assert!(sealed.as_text().starts_with("r1."));
    let place = Place::row(row, "session", "device");
    assert_eq!(text(vault.open_at(account(1), &place, &sealed).await.unwrap()), "Ada's laptop");
    let elsewhere = Place::row(Uuid::from_u128(6), "session", "device");
    assert!(matches!(vault.open_at(account(1), &elsewhere, &sealed).await, Err(VaultError::Tampered)));
    let dotted = vault.seal_row(account(1), KeyClass::Profile, row, "a.b", "device", "x").await;
    assert!(matches!(dotted, Err(VaultError::InvalidName)));
}

#[tokio::test]
async fn each_value_opens_under_its_own_account_alone() {
    let root = tempfile::tempdir().unwrap();
    let vault = vault(root.path()).await;
    let (one, two) = (sealed_event(&vault, 1, 9).await, sealed_event(&vault, 2, 10).await);
    let (one, two) = (one.email.sealed().unwrap(), two.email.sealed().unwrap());
    vault.shred(account(2), KeyClass::Profile).await.unwrap();
    assert!(matches!(vault.open(account(1), "email", one).await, Ok(Opened::Text(text)) if text == "ada@example.com"));
    assert!(matches!(vault.open(account(2), "email", two).await, Ok(Opened::Erased)));
    assert!(matches!(vault.open(account(1), "email", two).await, Err(VaultError::Tampered)));
}

#[tokio::test]
async fn e9_a_sealed_field_costs_sixty_eight_bytes_its_names_and_a_third_of_the_text() {
    let root = tempfile::tempdir().unwrap();
    let vault = vault(root.path()).await;
    let sealed = sealed_event(&vault, 1, 9).await;
    let length = |value: &Personal<String>| value.sealed().unwrap().as_text().len();
    assert_eq!(length(&sealed.bio), 68 + "AccountOpened".len() + "bio".len());
    assert_eq!(length(&sealed.email), 68 + "AccountOpened".len() + "email".len() + "ada@example.com".len() * 4 / 3);
}

#[test]
fn an_opened_value_is_never_printed() {
    assert!(!format!("{:?}", Opened::Text("ada@example.com".into())).contains("ada"));
}
