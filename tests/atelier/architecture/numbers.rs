//! No number of the schema is wider than its GraphQL type: `async-graphql` calls every integer `Int`, which has 32 bits and a sign, and
//! prints what is larger all the same. So the schema's types and resolvers know `i32` and `Long` alone.

use super::files;

/// Integers that `async-graphql` would call `Int`.
const WIDE: &[&str] = &["i64", "u64", "i128", "u128", "isize", "usize", "u32", "NonZeroU64", "NonZeroI64"];

/// Derives that make a struct a type of the schema, and attributes that make methods its fields.
const DERIVES: &[&str] = &["SimpleObject", "InputObject", "OneofObject"];
const RESOLVERS: &[&str] = &["#[Object", "#[ComplexObject", "#[Subscription", "#[DirectiveDefinition"];

/// The lines that name a wide integer where clients would see it: in a field of a type, or in a resolver's signature.
fn wide_numbers(text: &str) -> Vec<String> {
    let (mut found, mut in_type, mut in_resolvers, mut in_signature, mut hidden) =
        (Vec::new(), false, false, false, false);
    for line in text.lines() {
        let starts = |starts: &[&str]| starts.iter().any(|start| line.trim_start().starts_with(start));
        in_type |= (line.starts_with("#[derive(") && DERIVES.iter().any(|derive| line.contains(derive)))
            || line.trim_start().starts_with("payload! {");
        in_resolvers |= starts(RESOLVERS);
        if line == "}" {
            (in_type, in_resolvers) = (false, false);
        }
        in_signature |= in_resolvers && (starts(&["async fn", "pub async fn", "fn", "pub fn"]));
        let shown = in_type && !hidden || in_signature;
        hidden = line.trim() == "#[graphql(skip)]";
        let code = line.split("//").next().unwrap_or_default();
        let mut words = code.split(|c: char| !c.is_ascii_alphanumeric());
        if shown && words.any(|word| WIDE.contains(&word)) {
            found.push(line.trim().to_owned());
        }
        if line.ends_with('{') || line.ends_with(';') {
            in_signature = false;
        }
    }
    found
}

#[test]
fn b5_no_number_of_the_schema_is_wider_than_its_type() {
    let sources =
        files::all().into_iter().filter(|file| file.path.starts_with("graphql/src") && file.path.ends_with(".rs"));
    let wide: Vec<String> = sources
        .flat_map(|file| wide_numbers(&file.text).into_iter().map(move |line| format!("{}: {line}", file.path)))
        .collect();
    assert_eq!(wide, [""; 0], "an i32 (see `number::int`) or a Long");
}

#[test]
fn wide_numbers_are_seen_wherever_clients_would_see_them() {
    let field = "#[derive(Debug, SimpleObject)]\npub struct A {\n    a: Option<u64>,\n}\n";
    let input = "#[derive(InputObject)]\npub struct A {\n    a: Vec<i64>,\n}\n";
    let payload = "payload! {\n    A {\n        a: u32,\n    }\n}\n";
    let answer = "#[Object]\nimpl A {\n    async fn a(&self) -> Option<Result<i64>> {\n        b()\n    }\n}\n";
    let argument = "#[ComplexObject]\nimpl A {\n    async fn a(\n        &self,\n        a: usize,\n    ) -> i32 {\n        b()\n    }\n}\n";
    for seen in [field, input, payload, answer, argument] {
        assert_eq!(wide_numbers(seen).len(), 1, "{seen}");
    }
    let plain = "pub struct A {\n    a: u64,\n}\nfn b(a: u64) {}\n";
    let skipped = "#[derive(SimpleObject)]\npub struct A {\n    #[graphql(skip)]\n    a: u64,\n    /// A u64 once.\n    b: i32,\n}\n";
    let inside =
        "#[Object]\nimpl A {\n    async fn a(&self) -> i32 {\n        let a: u64 = 1;\n        a as i32\n    }\n}\n";
    for unseen in [plain, skipped, inside] {
        assert_eq!(wide_numbers(unseen), [""; 0], "{unseen}");
    }
}
