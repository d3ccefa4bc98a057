//! Email addresses: what counts as one, in which form it is kept, and by which forms it is found.

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::Email;
use super::free::{Lines, kept};
use crate::invalid::{Invalid, Reason};

/// The most bytes of an address (RFC 5321).
const MOST_BYTES: usize = 254;
/// The most bytes of the part before the `@` (RFC 5321).
const MOST_LOCAL_BYTES: usize = 64;

impl Email {
    /// Parses an address and brings it to the form it is kept in: the part before the `@` as written, in NFC; the domain as the DNS has it, an
    /// internationalised one in its ASCII form (UTS 46, `xn--...`). What can never be mailed is refused; that the mailbox is there is
    /// proven by the verification mail.
    ///
    /// # Errors
    /// When the text cannot be an address, or no mail server could be given it.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let text = kept(&text.nfc().collect::<String>(), Lines::One)?;
        let too_long = || Invalid::at_most(Reason::TooLong, MOST_BYTES as i64, "must have at most 254 bytes");
        let malformed = || match text.len() {
            0..=MOST_BYTES => Invalid::new(Reason::Format, "must be an email address"),
            _ => too_long(),
        };
        let (local, domain) = text.rsplit_once('@').ok_or_else(malformed)?;
        let domain = in_ascii(domain).ok_or_else(malformed)?;
        let address = format!("{local}@{domain}");
        if address.len() > MOST_BYTES {
            return Err(too_long());
        }
        if local.len() > MOST_LOCAL_BYTES || !local.split('.').all(is_atom) {
            return Err(malformed());
        }
        Ok(Self(address))
    }

    /// The form two addresses are compared by: all lower case, in NFC. What is sent to keeps its own case.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_lowercase().nfc().collect()
    }

    /// The forms by which a typed address may be known, today's first. Releases before this one compared addresses by the letters as they were
    /// typed, in lower case and in no normal form, and accepted some that are refused now: their accounts are still found. One form for an
    /// address of ASCII; never more than three.
    #[must_use]
    pub fn known_as(typed: &str) -> Vec<String> {
        let before = typed.to_lowercase();
        let today = Self::parse(typed).map_or_else(|_| before.clone(), |email| email.folded());
        let decomposed: String = today.nfd().collect();
        let mut forms = vec![today];
        for form in [before, decomposed] {
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
        forms
    }
}

/// RFC 5322 atext, with letters and digits of any script and the marks on them (RFC 6531). Between two dots, or beside one, there must be some;
/// quoted local parts are not accepted.
fn is_atom(text: &str) -> bool {
    let atext = |c: char| c.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~-".contains(c);
    text.chars().next().is_some_and(atext) && text.chars().all(|c| atext(c) || is_combining_mark(c))
}

/// The domain as mail servers look it up: letters, digits and hyphens, labels of 1 to 63 bytes, no address of a machine. `None` when there can
/// be no such domain.
fn in_ascii(domain: &str) -> Option<String> {
    let ascii = Uts46::new()
        .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
        .ok()?;
    // No top-level domain is a number (RFC 3696): such a text is an IPv4 address or a part of one.
    let last = ascii.rsplit('.').next()?;
    (!last.bytes().all(|b| b.is_ascii_digit())).then(|| ascii.into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Option<String> {
        Email::parse(text).ok().map(|email| email.as_ref().to_owned())
    }

    #[test]
    fn addresses_that_a_mail_server_can_be_given() {
        let label = "x".repeat(63);
        let local = "l".repeat(64);
        for (typed, kept) in [
            ("ada@example.com", "ada@example.com"),
            ("Ada@Example.COM", "Ada@example.com"),
            ("a.b+c@Sub.Example.COM", "a.b+c@sub.example.com"),
            ("x@localhost", "x@localhost"),
            ("o'neil_!#$%&*/=?^`{|}~-@example.com", "o'neil_!#$%&*/=?^`{|}~-@example.com"),
            (&format!("{local}@{label}.example"), &format!("{local}@{label}.example")),
            ("ada@b\u{fc}cher.example", "ada@xn--bcher-kva.example"),
            ("ada@B\u{dc}CHER.example", "ada@xn--bcher-kva.example"),
            ("ada@bu\u{308}cher.example", "ada@xn--bcher-kva.example"),
            ("ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
            ("ada@fa\u{df}.example", "ada@xn--fa-hia.example"),
            ("ada@\u{4f8b}\u{5b50}\u{3002}\u{6d4b}\u{8bd5}", "ada@xn--fsqu00a.xn--0zwm56d"),
            ("ada@\u{ff25}\u{ff38}ample.com", "ada@example.com"),
            ("cafe\u{301}@example.com", "caf\u{e9}@example.com"),
            ("\u{915}\u{94d}\u{937}\u{93f}@example.com", "\u{915}\u{94d}\u{937}\u{93f}@example.com"),
        ] {
            assert_eq!(parsed(typed).as_deref(), Some(kept), "{typed}");
        }
    }

    #[test]
    fn addresses_that_can_never_be_mailed() {
        let labels = [63, 63, 63, 56].map(|bytes| "x".repeat(bytes)).join(".");
        assert!(Email::parse(&format!("a@{labels}.com")).is_ok(), "254 bytes");
        assert!(Email::parse(&format!("ab@{labels}.com")).is_err(), "255 bytes");
        for bad in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "a b@example.com",
            "a,b@x.com",
            "\"a\"@x.com",
            "a@b@x.com",
            "a\n@x.com",
            "a..b@example.com",
            ".a@example.com",
            "a.@example.com",
            "..@example.com",
            ".@example.com",
            &format!("a@{}.example", "x".repeat(64)),
            &format!("{}@example.com", "l".repeat(65)),
            &format!("a@{}.example", "\u{fc}".repeat(60)),
            "a@x..com",
            "a@.x.com",
            "a@x.com.",
            "a@-x.com",
            "a@x-.com",
            "a@x_y.com",
            "a@x y.com",
            "a@x!.com",
            "a@127.0.0.1",
            "a@1",
            "a@example.123",
            "a@[127.0.0.1]",
            "a@[IPv6:::1]",
            "a@::1",
            "a@xn--\u{fc}.example",
            "a@xn--a.example",
            "a@b\u{200b}.\u{200b}",
            "a@\u{202e}x.com",
            "a\u{200b}@x.com",
            "\u{301}a@example.com",
            "a@x\0.com",
        ] {
            assert!(Email::parse(bad).is_err(), "{bad:?}");
        }
        let too_long = Email::parse(&format!("a@{}.example", vec!["x".repeat(60); 5].join("."))).unwrap_err();
        assert_eq!((too_long.reason, too_long.max), (Reason::TooLong, Some(254)));
    }

    #[test]
    fn addresses_are_compared_in_one_form_and_found_by_those_of_before() {
        let folded = |text: &str| Email::parse(text).unwrap().folded();
        for same in
            ["CAF\u{c9}@b\u{fc}cher.example", "cafe\u{301}@B\u{dc}cher.example", "Caf\u{e9}@XN--bcher-kva.example"]
        {
            assert_eq!(folded(same), "caf\u{e9}@xn--bcher-kva.example", "{same:?}");
        }
        // ASCII, which is nearly every address, has one form, and it is the one it always had.
        assert_eq!(Email::known_as("Ada@Example.COM"), ["ada@example.com"]);
        let stored = "cafe\u{301}@example.com"; // claimed by an earlier release, letter by letter
        for typed in ["cafe\u{301}@example.com", "caf\u{e9}@Example.com", "Caf\u{c9}@example.com"] {
            let forms = Email::known_as(typed);
            assert!(forms[0] == "caf\u{e9}@example.com" && forms.contains(&stored.to_owned()), "{typed:?} {forms:?}");
        }
        assert_eq!(Email::known_as("A..B@X.com"), ["a..b@x.com"], "refused now, found as before");
    }

    proptest! {
        #[test]
        fn an_address_that_was_accepted_is_kept_as_it_is_and_folds_once(
            text in "[a-zA-Z0-9.+'\u{e9}\u{130}\u{3c3}\u{301}-]{0,12}@([a-zA-Z0-9\u{fc}\u{df}\u{5d0}\u{3002}.-]{0,14}|[a-z]{1,70}\\.com)"
        ) {
            if let Ok(email) = Email::parse(&text) {
                let kept = email.as_ref();
                let again = Email::parse(kept).expect("it was accepted");
                prop_assert_eq!(again.as_ref(), kept);
                prop_assert_eq!(again.folded(), email.folded());
                let (local, domain) = kept.rsplit_once('@').expect("an address");
                prop_assert!(kept.len() <= 254 && local.len() <= 64 && domain.is_ascii());
                prop_assert!(domain.split('.').all(|label| (1..=63).contains(&label.len())));
                prop_assert_eq!(&Email::known_as(&text)[0], &email.folded());
                // Only the case of the domain counts nowhere; that of the local part stays as it was typed.
                prop_assert!(Email::known_as(&text).len() <= 3);
            }
        }
    }
}
