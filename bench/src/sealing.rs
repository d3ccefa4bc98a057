//! `sealing`: what keeping personal fields sealed costs, in microseconds and bytes for each field, and what is left of a replay's speed
//! with every key in memory (E9). The same events with the field left sealed are the peer.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atelier_domain::account::AccountEvent;
use atelier_domain::text::Bio;
use atelier_domain::{AccountId, EventId, LogEvent, Personal, Sealed};
use atelier_server::system::SystemRandom;
use atelier_vault::{Opened, Vault};
use uuid::Uuid;

use crate::Fallible;

/// As many accounts as a busy node has in memory.
const ACCOUNTS: u128 = 1_000;
/// A biography of a usual length.
const TEXT: &str = "Paints harbours at dusk, mostly from memory, and a cat.";

/// A stored event with one sealed field.
struct Stored {
    account: AccountId,
    payload: String,
    sealed: Sealed,
}

/// Measures over a keys folder and prints.
pub async fn measure(keys: &Path, events: usize) -> Fallible<()> {
    let vault = Vault::open_folder(keys, Arc::new(SystemRandom))?;
    for account in 0..ACCOUNTS {
        vault.store().create(AccountId(Uuid::from_u128(account))).await?;
    }
    let begun = Instant::now();
    for place in 0..events {
        black_box(vault.store().load(account_of(place)).await?);
    }
    let asked = begun.elapsed();
    let begun = Instant::now();
    let mut stored = Vec::with_capacity(events);
    for place in 0..events {
        stored.push(sealed(&vault, place).await?);
    }
    let sealing = begun.elapsed();
    let folded = replay(&vault, &stored, false).await?;
    let opened = replay(&vault, &stored, true).await?;
    let bytes = stored.iter().map(|event| event.sealed.as_text().len()).sum::<usize>() / events.max(1);
    let each = |time: Duration| time.as_secs_f64() * 1e6 / events.max(1) as f64;
    let rate = |time: Duration| events as f64 / time.as_secs_f64();
    println!("\nsealing, {events} events of {ACCOUNTS} accounts, one field of {} bytes each, one thread:", TEXT.len());
    println!(
        "  to seal an event     {:7.2} us, of which {:.2} for asking the key store once more",
        each(sealing),
        each(asked)
    );
    println!("  to open a field      {:7.2} us, its key in memory", each(opened.saturating_sub(folded)));
    println!("  bytes of a field     {bytes:4} sealed, {} open", TEXT.len());
    println!(
        "  replay, decoded      {:9.0} events/s; decoded and opened {:.0} ({:.2} of it)",
        rate(folded),
        rate(opened),
        folded.as_secs_f64() / opened.as_secs_f64()
    );
    Ok(())
}

fn account_of(place: usize) -> AccountId {
    AccountId(Uuid::from_u128(place as u128 % ACCOUNTS))
}

async fn sealed(vault: &Vault, place: usize) -> Fallible<Stored> {
    let account = account_of(place);
    let mut event = AccountEvent::BioChanged { bio: Personal::Open(Bio::parse(TEXT)?) };
    let id = EventId(Uuid::from_u128(place as u128));
    vault.seal_fields(account, id, "BioChanged", &mut event).await?;
    let AccountEvent::BioChanged { bio: Personal::Sealed(sealed) } = &event else {
        return Err("it is not sealed".into());
    };
    Ok(Stored { account, sealed: sealed.clone(), payload: serde_json::to_string(&event)? })
}

/// Decodes every event, and opens its field or leaves it.
async fn replay(vault: &Vault, stored: &[Stored], open: bool) -> Fallible<Duration> {
    let begun = Instant::now();
    for Stored { account, payload, .. } in stored {
        let event = LogEvent::decode("Account", &account.to_string(), "BioChanged", "1", payload)?;
        let LogEvent::Account(_, AccountEvent::BioChanged { bio: Personal::Sealed(sealed) }) = &event else {
            return Err("it was stored sealed".into());
        };
        if open {
            let Opened::Text(text) = vault.open(*account, "bio", sealed).await? else {
                return Err("it is erased".into());
            };
            if text != TEXT {
                return Err("it was opened to something else".into());
            }
        }
        black_box(&event);
    }
    Ok(begun.elapsed())
}
