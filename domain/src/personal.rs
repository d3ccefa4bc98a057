//! Personal data inside events: open in a decision, sealed in the log and in read models, erased once its key is gone (DESIGN 7).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

/// Which of an account's two keys seals a field; the two die at different times (REQUIREMENTS 4.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyClass {
    /// Dies when the account is deleted.
    Profile,
    /// Dies when the legal retention of billing records ends.
    Billing,
}

/// A sealed value in its text form; only the vault can read or make one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

impl Sealed {
    /// Wraps the text form of a sealed value, as the vault made it or as a row kept it.
    #[must_use]
    pub const fn from_text(text: String) -> Self {
        Self(text)
    }

    /// The text form: what events and rows store.
    #[must_use]
    pub fn as_text(&self) -> &str {
        &self.0
    }
}

/// A personal field of an event. Serialising an open one is an error, so that nothing personal can reach the log by mistake.
#[derive(Clone, PartialEq, Eq)]
pub enum Personal<T> {
    /// As a person wrote it: inside a decision, never stored.
    Open(T),
    /// As it is stored.
    Sealed(Sealed),
    /// The key is gone, and with it the value.
    Erased,
}

impl<T> Personal<T> {
    /// The open value, if it is open.
    pub const fn open(&self) -> Option<&T> {
        match self {
            Self::Open(value) => Some(value),
            Self::Sealed(_) | Self::Erased => None,
        }
    }

    /// The sealed form, if it is sealed.
    pub const fn sealed(&self) -> Option<&Sealed> {
        match self {
            Self::Sealed(sealed) => Some(sealed),
            Self::Open(_) | Self::Erased => None,
        }
    }
}

impl<T> fmt::Debug for Personal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the value: a debug line must not carry personal data.
        f.write_str(match self {
            Self::Open(_) => "Personal::Open(..)",
            Self::Sealed(_) => "Personal::Sealed(..)",
            Self::Erased => "Personal::Erased",
        })
    }
}

impl<T> Serialize for Personal<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Sealed(sealed) => serializer.serialize_str(sealed.as_text()),
            Self::Open(_) => Err(ser::Error::custom("an open personal field must be sealed before it is stored")),
            Self::Erased => Err(ser::Error::custom("an erased personal field cannot be stored")),
        }
    }
}

impl<'de, T> Deserialize<'de> for Personal<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Err(de::Error::custom("a sealed personal field is never empty"));
        }
        Ok(Self::Sealed(Sealed(text)))
    }
}

/// One personal field of one event, as the vault sees it while sealing.
pub struct PersonalSlot<'a> {
    /// The field's name in the stored event; part of the associated data.
    pub field: &'static str,
    /// Which key seals it.
    pub class: KeyClass,
    value: &'a mut dyn PersonalValue,
}

impl<'a> PersonalSlot<'a> {
    /// Names a field of an event to the vault.
    pub fn new<T: AsRef<str> + Send>(field: &'static str, class: KeyClass, value: &'a mut Personal<T>) -> Self {
        Self { field, class, value }
    }

    /// The text to seal, if the field is still open.
    #[must_use]
    pub fn open_text(&self) -> Option<&str> {
        self.value.open_text()
    }

    /// Replaces the open value by its sealed form.
    pub fn seal(&mut self, sealed: Sealed) {
        self.value.seal(sealed);
    }
}

trait PersonalValue {
    fn open_text(&self) -> Option<&str>;
    fn seal(&mut self, sealed: Sealed);
}

impl<T: AsRef<str> + Send> PersonalValue for Personal<T> {
    fn open_text(&self) -> Option<&str> {
        self.open().map(AsRef::as_ref)
    }

    fn seal(&mut self, sealed: Sealed) {
        *self = Self::Sealed(sealed);
    }
}

/// What an event tells about its personal fields; an event without any returns an empty list.
pub trait PersonalFields {
    /// Every personal field of this event, open or sealed.
    fn personal_fields(&mut self) -> Vec<PersonalSlot<'_>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_personal_field_cannot_be_serialised_nor_printed() {
        let open = Personal::Open("ada@example.com".to_owned());
        assert!(serde_json::to_string(&open).is_err());
        assert!(!format!("{open:?}").contains("ada"));
    }

    #[test]
    fn a_sealed_field_is_its_text_and_comes_back_sealed() {
        let sealed: Personal<String> = Personal::Sealed(Sealed::from_text("p1.x".into()));
        let json = serde_json::to_string(&sealed).unwrap();
        assert_eq!(json, r#""p1.x""#);
        assert_eq!(serde_json::from_str::<Personal<String>>(&json).unwrap(), sealed);
    }
}
