//! Email addresses: what counts as one.

use super::{Email, refuse_control};
use crate::invalid::{Invalid, Reason};

/// The most bytes of an address (RFC 5321).
const MOST_BYTES: usize = 254;

impl Email {
    /// Parses an address. Deliverability is proven by the verification mail, not here.
    ///
    /// # Errors
    /// When the text cannot be an address.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        refuse_control(text, false)?;
        if text.len() > MOST_BYTES {
            return Err(Invalid::at_most(Reason::TooLong, MOST_BYTES as i64, "must have at most 254 bytes"));
        }
        let malformed = || Invalid::new(Reason::Format, "must be an email address");
        let (local, domain) = text.rsplit_once('@').ok_or_else(malformed)?;
        let bad_label = |label: &str| label.is_empty() || label.starts_with('-') || label.ends_with('-');
        let ascii_domain = domain.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.');
        // RFC 5322 atext and dots, with letters and digits of any script (RFC 6531); quoted local parts are not accepted.
        let atext = |c: char| c.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-".contains(c);
        let bad_local = local.is_empty() || local.len() > 64 || !local.chars().all(atext);
        if bad_local || !ascii_domain || domain.split('.').any(bad_label) {
            return Err(malformed());
        }
        Ok(Self(format!("{local}@{}", domain.to_ascii_lowercase())))
    }

    /// The form two addresses are compared by: all lower case. What is sent to keeps its own case.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emails() {
        for good in ["ada@example.com", "a.b+c@Sub.Example.COM", "x@localhost"] {
            assert!(Email::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "ada",
            "@example.com",
            "ada@",
            "a b@example.com",
            "a@-x.com",
            "a@x..com",
            "a\n@x.com",
            "a,b@x.com",
            "\"a\"@x.com",
            "a@b@x.com",
        ] {
            assert!(Email::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Email::parse("Ada@Example.COM").unwrap().as_ref(), "Ada@example.com");
    }
}
