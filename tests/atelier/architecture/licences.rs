//! Every crate we build in may be distributed with ours, which is `MIT OR Apache-2.0`.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{Metadata, Package, PackageId};

use super::{assert_none, is_built_in, metadata};

/// Permissive licences: none asks more of a distributor than to keep its text.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0", // data: the root certificates of webpki-roots
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates that state their licence in a file only, and the licence that is in it.
const IN_A_FILE: &[(&str, &str)] = &[("jsonpath-rust", "MIT")];

/// Whether an SPDX expression can be satisfied by [`ALLOWED`] licences alone, or what is wrong with the expression.
fn satisfiable(expression: &str) -> Result<bool, String> {
    // The slash is the form from before SPDX expressions; it meant OR.
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut tokens = Tokens(spaced.split_whitespace().collect());
    let verdict = tokens.any_of()?;
    if tokens.0.is_empty() { Ok(verdict) } else { Err(format!("unexpected {:?}", tokens.0[0])) }
}

/// What is left to read of an expression; OR binds weakest, then AND, then WITH.
struct Tokens<'a>(Vec<&'a str>);

impl<'a> Tokens<'a> {
    fn next(&mut self) -> Result<&'a str, String> {
        if self.0.is_empty() { Err("unexpected end".to_owned()) } else { Ok(self.0.remove(0)) }
    }

    fn take(&mut self, word: &str) -> bool {
        let there = self.0.first() == Some(&word);
        if there {
            self.0.remove(0);
        }
        there
    }

    fn any_of(&mut self) -> Result<bool, String> {
        let mut verdict = self.all_of()?;
        while self.take("OR") {
            verdict |= self.all_of()?;
        }
        Ok(verdict)
    }

    fn all_of(&mut self) -> Result<bool, String> {
        let mut verdict = self.one()?;
        while self.take("AND") {
            verdict &= self.one()?;
        }
        Ok(verdict)
    }

    fn one(&mut self) -> Result<bool, String> {
        if self.take("(") {
            let verdict = self.any_of()?;
            return if self.take(")") { Ok(verdict) } else { Err("a parenthesis stays open".to_owned()) };
        }
        let mut licence = self.identifier()?.to_owned();
        if self.take("WITH") {
            licence = format!("{licence} WITH {}", self.identifier()?);
        }
        Ok(ALLOWED.contains(&licence.as_str()))
    }

    fn identifier(&mut self) -> Result<&'a str, String> {
        let word = self.next()?;
        if ["OR", "AND", "WITH", "(", ")"].contains(&word) { Err(format!("unexpected {word:?}")) } else { Ok(word) }
    }
}

/// Every crate that a build of ours contains or runs; what only tests use is not distributed.
fn built_in(metadata: &Metadata) -> Vec<&Package> {
    let resolve = metadata.resolve.as_ref().expect("cargo resolved the graph");
    let nodes: BTreeMap<&PackageId, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let mut left: Vec<&PackageId> = metadata.workspace_members.iter().collect();
    let mut seen = BTreeSet::new();
    while let Some(id) = left.pop() {
        if seen.insert(id) {
            let dependencies = nodes[id].deps.iter();
            left.extend(dependencies.filter(|d| d.dep_kinds.iter().any(|of| is_built_in(of.kind))).map(|d| &d.pkg));
        }
    }
    metadata.packages.iter().filter(|package| seen.contains(&package.id)).collect()
}

#[test]
fn d9_every_licence_may_be_distributed_with_ours() {
    let packages = built_in(metadata());
    assert!(packages.len() > 100, "the graph was not read: {} crates", packages.len());
    let refused = packages.into_iter().filter_map(|package| {
        let in_a_file = IN_A_FILE.iter().find(|(name, _)| *name == package.name.as_str()).map(|(_, licence)| *licence);
        let licence = package.license.as_deref().or(in_a_file);
        let said = licence.unwrap_or("no licence expression");
        let fault = match licence.map(satisfiable) {
            Some(Ok(true)) => return None,
            Some(Ok(false)) | None => String::new(),
            Some(Err(fault)) => format!(" ({fault})"),
        };
        Some(format!("{} {}: {said}{fault}", package.name, package.version))
    });
    assert_none("Not to be distributed under MIT OR Apache-2.0:", &refused.collect::<Vec<_>>());
}

#[test]
fn d9_licence_expressions() {
    let good =
        ["MIT", "GPL-3.0 OR MIT", "MIT/GPL-3.0", "(GPL-3.0 AND X) OR ISC AND MIT", "Apache-2.0 WITH LLVM-exception"];
    for expression in good {
        assert_eq!(satisfiable(expression), Ok(true), "{expression}");
    }
    let refused =
        ["GPL-3.0-only", "AGPL-3.0", "MIT AND LGPL-2.1", "(MIT OR X) AND GPL-2.0", "GPL-2.0 WITH LLVM-exception"];
    for expression in refused {
        assert_eq!(satisfiable(expression), Ok(false), "{expression}");
    }
    for malformed in ["", "MIT OR", "MIT Apache-2.0", "(MIT", "MIT)", "AND MIT", "MIT WITH"] {
        assert!(satisfiable(malformed).is_err(), "{malformed:?}");
    }
}
