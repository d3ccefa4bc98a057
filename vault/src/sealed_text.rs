//! The text form of a sealed value and the place it is bound to.
//!
//! `p1.<id>.<name>.<field>.<b|p>.<nonce and ciphertext>` for a field of an event, `r1.` for a field of a row outside
//! events. Id (22 letters) and ciphertext are base64url; `b` and `p` are the billing and the profile key. The text
//! says all that is needed to open it except the account, which comes from the stream or row it stands in.

use atelier_domain::{EventId, KeyClass, Sealed};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::aead;

/// Longest name of an event type, row kind or field.
const MAX_NAME: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Event,
    Row,
}

impl Origin {
    const fn tag(self) -> &'static str {
        match self {
            Self::Event => "p1",
            Self::Row => "r1",
        }
    }
}

/// Where a sealed value stands. It opens nowhere else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    origin: Origin,
    id: Uuid,
    name: &'a str,
    field: &'a str,
}

impl<'a> Place<'a> {
    /// A field of an event.
    #[must_use]
    pub const fn event(event_id: EventId, event_type: &'a str, field: &'a str) -> Self {
        Self { origin: Origin::Event, id: event_id.0, name: event_type, field }
    }

    /// A field of a row outside events: a session's device, an outbox message.
    #[must_use]
    pub const fn row(row_id: Uuid, kind: &'a str, field: &'a str) -> Self {
        Self { origin: Origin::Row, id: row_id, name: kind, field }
    }

    /// The field's name.
    #[must_use]
    pub const fn field(&self) -> &'a str {
        self.field
    }

    /// Whether both names can stand in the text form: 1-64 of letters, digits, `_` and `-`.
    pub(crate) fn is_valid(&self) -> bool {
        let name = |text: &str| {
            (1..=MAX_NAME).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        };
        name(self.name) && name(self.field)
    }

    /// What a ciphertext is bound to, beside its key.
    pub(crate) fn associated_data(&self, account: atelier_domain::AccountId, class: KeyClass) -> Vec<u8> {
        aead::associated_data(&[
            self.origin.tag().as_bytes(),
            account.0.as_bytes(),
            self.id.as_bytes(),
            self.name.as_bytes(),
            self.field.as_bytes(),
            class_letter(class).as_bytes(),
        ])
    }

    pub(crate) fn text(&self, class: KeyClass, ciphertext: &[u8]) -> Sealed {
        let Self { origin, id, name, field } = self;
        let id = URL_SAFE_NO_PAD.encode(id.as_bytes());
        let ciphertext = URL_SAFE_NO_PAD.encode(ciphertext);
        Sealed::from_text(format!("{}.{id}.{name}.{field}.{}.{ciphertext}", origin.tag(), class_letter(class)))
    }
}

const fn class_letter(class: KeyClass) -> &'static str {
    match class {
        KeyClass::Profile => "p",
        KeyClass::Billing => "b",
    }
}

/// A sealed text taken apart.
pub(crate) struct SealedText<'a> {
    pub(crate) place: Place<'a>,
    pub(crate) class: KeyClass,
    pub(crate) ciphertext: Vec<u8>,
}

impl<'a> SealedText<'a> {
    /// `None` for any text the vault did not write.
    pub(crate) fn parse(sealed: &'a Sealed) -> Option<Self> {
        let mut parts = sealed.as_text().split('.');
        let origin = match parts.next()? {
            "p1" => Origin::Event,
            "r1" => Origin::Row,
            _ => return None,
        };
        let id = Uuid::from_slice(&URL_SAFE_NO_PAD.decode(parts.next()?).ok()?).ok()?;
        let place = Place { origin, id, name: parts.next()?, field: parts.next()? };
        let class = match parts.next()? {
            "p" => KeyClass::Profile,
            "b" => KeyClass::Billing,
            _ => return None,
        };
        let ciphertext = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
        parts.next().is_none().then_some(Self { place, class, ciphertext })
    }
}
