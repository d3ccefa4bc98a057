//! Which addresses reach one mailbox: what providers of mail ignore in an address. Only the sign-up bonus asks; for everything else two
//! addresses are two.

use crate::text::Email;

/// A provider and what it ignores.
struct Provider {
    /// Its domains. Where the name before the `@` is one mailbox at all of them, `shared` is true.
    domains: &'static [&'static str],
    shared: bool,
    /// Characters that are ignored wherever they stand.
    ignored: &'static [char],
    /// The character at which a tag begins that its owner made up.
    tag: char,
}

/// The table, as the providers' own pages state it. What is missing here ignores nothing but case.
#[rustfmt::skip]
const PROVIDERS: &[Provider] = &[
    Provider { domains: &["gmail.com", "googlemail.com"], shared: true, ignored: &['.'], tag: '+' },
    Provider {
        domains: &["proton.me", "protonmail.com", "protonmail.ch", "pm.me"],
        shared: true,
        ignored: &['.', '-', '_'],
        tag: '+',
    },
    Provider { domains: &["icloud.com", "me.com", "mac.com"], shared: true, ignored: &[], tag: '+' },
    Provider {
        domains: &["yandex.ru", "yandex.com", "yandex.by", "yandex.kz", "yandex.ua", "ya.ru"],
        shared: true,
        // A dot and a hyphen are the same there.
        ignored: &['.', '-'],
        tag: '+',
    },
    Provider {
        domains: &[
            "outlook.com", "outlook.at", "outlook.be", "outlook.de", "outlook.dk", "outlook.es", "outlook.fr", "outlook.ie", "outlook.it",
            "outlook.jp", "outlook.pt", "outlook.com.au", "outlook.com.br", "hotmail.com", "hotmail.be", "hotmail.co.jp", "hotmail.co.uk",
            "hotmail.com.br", "hotmail.de", "hotmail.es", "hotmail.fr", "hotmail.it", "hotmail.nl", "live.com", "live.at", "live.be",
            "live.ca", "live.co.uk", "live.com.au", "live.de", "live.dk", "live.fr", "live.ie", "live.it", "live.nl", "live.se", "msn.com",
            "windowslive.com",
        ],
        shared: false,
        ignored: &[],
        tag: '+',
    },
    Provider {
        domains: &[
            "yahoo.com", "yahoo.ca", "yahoo.co.in", "yahoo.co.jp", "yahoo.co.uk", "yahoo.com.ar", "yahoo.com.au", "yahoo.com.br",
            "yahoo.com.mx", "yahoo.de", "yahoo.es", "yahoo.fr", "yahoo.in", "yahoo.it", "ymail.com", "rocketmail.com",
        ],
        shared: false,
        ignored: &[],
        tag: '-',
    },
    Provider {
        domains: &[
            "fastmail.com", "fastmail.fm", "hey.com", "mailbox.org", "posteo.de", "posteo.net", "runbox.com", "zoho.com", "zohomail.com",
            "zohomail.eu", "mail.ru", "bk.ru", "inbox.ru", "list.ru", "aol.com", "gmx.com", "gmx.de", "gmx.net", "gmx.at", "gmx.ch",
        ],
        shared: false,
        ignored: &[],
        tag: '+',
    },
];

/// The one form of all addresses that are known to reach the same mailbox: in lower case, without what its provider ignores.
#[must_use]
pub fn mailbox_of(email: &Email) -> String {
    let folded = email.folded();
    let Some((local, domain)) = folded.rsplit_once('@') else { return folded };
    let Some(provider) = PROVIDERS.iter().find(|provider| provider.domains.contains(&domain)) else { return folded };
    let name = local.split(provider.tag).next().unwrap_or(local);
    let name: String = name.chars().filter(|c| !provider.ignored.contains(c)).collect();
    // Nothing is left of a name that is all tag: then it is no tag.
    let name = if name.is_empty() { local } else { &name };
    let domain = if provider.shared { provider.domains[0] } else { domain };
    format!("{name}@{domain}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mailbox(text: &str) -> String {
        mailbox_of(&Email::parse(text).unwrap())
    }

    #[test]
    fn u19_addresses_of_one_mailbox() {
        for (mailbox_name, all) in [
            (
                "adalovelace@gmail.com",
                vec![
                    "AdaLovelace@gmail.com",
                    "ada.lovelace@Gmail.com",
                    "a.d.a.lovelace+x@googlemail.com",
                    "adalovelace+a+b@gmail.com",
                ],
            ),
            ("ada@proton.me", vec!["a-d_a@pm.me", "Ada@protonmail.com", "a.da+x@proton.me"]),
            ("ada@icloud.com", vec!["ada+shop@me.com", "ADA@mac.com"]),
            ("adalovelace@yandex.ru", vec!["ada.lovelace@ya.ru", "ada-lovelace+1@yandex.com"]),
            ("ada.lovelace@outlook.com", vec!["Ada.Lovelace@outlook.com", "ada.lovelace+x@outlook.com"]),
            ("ada@yahoo.com", vec!["ada-shop@yahoo.com"]),
            ("ada@fastmail.com", vec!["ada+x@fastmail.com"]),
        ] {
            for address in all {
                assert_eq!(mailbox(address), mailbox_name, "{address}");
            }
        }
    }

    #[test]
    fn u19_addresses_of_different_mailboxes_stay_apart() {
        for (one, other) in [
            ("ada.lovelace@outlook.com", "adalovelace@outlook.com"),
            ("ada@outlook.com", "ada@hotmail.com"),
            ("ada+x@example.com", "ada@example.com"),
            ("a.da@example.com", "ada@example.com"),
            ("ada@gmail.com", "ada@gmail.example"),
            ("ada@notgmail.com", "ada@gmail.com"),
            ("ada-b@fastmail.com", "ada@fastmail.com"),
            ("+a@gmail.com", "+b@gmail.com"),
        ] {
            assert_ne!(mailbox(one), mailbox(other), "{one} {other}");
        }
    }

    #[test]
    fn every_domain_stands_in_the_table_once_as_addresses_keep_it() {
        let mut seen = std::collections::BTreeSet::new();
        for domain in PROVIDERS.iter().flat_map(|provider| provider.domains) {
            assert!(seen.insert(domain), "{domain}");
            assert_eq!(Email::parse(&format!("ada@{domain}")).unwrap().folded(), format!("ada@{domain}"));
        }
    }

    proptest! {
        #[test]
        fn a_mailbox_is_its_own_and_case_and_tags_do_not_matter(name in "[a-z][a-z0-9.]{0,8}[a-z0-9]", tag in "[a-z0-9]{1,6}", place in 0..7_usize) {
            let provider = &PROVIDERS[place];
            prop_assume!(!name.contains(".."));
            for domain in provider.domains {
                let plain = mailbox(&format!("{name}@{domain}"));
                prop_assert_eq!(&mailbox(&plain), &plain);
                prop_assert_eq!(&mailbox(&format!("{}{}{tag}@{domain}", name.to_uppercase(), provider.tag)), &plain);
            }
        }
    }
}
