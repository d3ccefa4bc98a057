//! Values that break what takes them for granted, as the JSON that a client sends. Not all of them are JSON.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::json;

use super::schema::Taken;

/// Texts, short ones.
pub const TEXTS: &[&str] = &[
    "",
    " \t ",
    "a\0b",
    "\0",
    "a\u{7}b\u{1b}[31m",
    "\u{FFFE}",
    "a\u{FFFF}b",
    "\u{1FFFE}",
    "\u{FDD0}",
    "\u{FFFD}",
    "\u{202E}cba",
    "\u{2066}a\u{2069}",
    "a\u{2028}b",
    "\u{200B}",
    "\u{E000}\u{10FFFD}",
    "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}",
    "NaN",
    "null",
    "-1",
    "9223372036854775808",
    "'; drop table events; --",
    "%00%ff%c0%80",
    "{\"a\":1}",
    "../../etc/passwd",
    "gen_00000000000000000000000000000000",
    "acc_ffffffffffffffffffffffffffffffff",
];

/// Instants at the edges of what chrono, PostgreSQL, JSON and RFC 3339 know, and others that are none.
pub fn instants(now: DateTime<Utc>) -> Vec<String> {
    let soon = (now + TimeDelta::days(400)).to_rfc3339_opts(SecondsFormat::Secs, true);
    let soon = soon.trim_end_matches('Z');
    let minute = &soon[..soon.len() - 2];
    let written = [
        "-262143-01-01T00:00:00Z",
        "-9999-01-01T00:00:00Z",
        "-4714-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "1970-01-01T00:00:00Z",
        "9999-12-31T23:59:59.9999999Z",
        "9999-12-31T23:59:59-23:59",
        "+10000-01-01T00:00:00Z",
        "+262142-12-31T23:59:59.999999999Z",
        "+294277-01-01T00:00:00Z",
        "2030-13-01T00:00:00Z",
        "2030-02-30T00:00:00Z",
        "2030-01-01T00:00:00",
        "2030-01-01T00:00:00+99:99",
        "infinity",
        "now",
    ];
    let mut all: Vec<String> = written.map(str::to_owned).to_vec();
    for fraction in ["", ".000000001", ".1234565", ".999999999"] {
        all.push(format!("{soon}{fraction}Z"));
        // A second that is leapt: another one to PostgreSQL than to some readers.
        all.push(format!("{minute}60{fraction}Z"));
    }
    all
}

/// Numbers at the edges of 32, 53 and 64 bits, and others that are none.
pub const NUMBERS: &[&str] = &[
    "-9223372036854775809",
    "-9223372036854775808",
    "-2147483649",
    "-2147483648",
    "-1",
    "-0",
    "0",
    "1",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9007199254740991",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "1.5",
    "1e3",
    "1e400",
    "NaN",
    "Infinity",
];

/// Texts as JSON, long ones and broken ones too.
pub fn texts() -> Vec<String> {
    let long = [
        "x".repeat(5_000),
        "x".repeat(60_000),
        "e\u{301}".repeat(9_000),
        format!("a{}", "\u{302}".repeat(9_000)),
        "\u{1F30A}".repeat(9_000),
        "x".repeat(1 << 20),
    ];
    let texts = TEXTS.iter().map(|text| json!(text).to_string()).chain(long.iter().map(|text| json!(text).to_string()));
    // Surrogates that stand alone: JSON's text can say them, Unicode has no such character.
    texts.chain(["\"\\ud800\"", "\"\\udc00a\"", "\"\\ud83d\\ud83d\"", "\"\\u0000\""].map(str::to_owned)).collect()
}

/// What is hostile to a field of this type, as JSON.
pub fn of(taken: &Taken, now: DateTime<Utc>) -> Vec<String> {
    let one: Vec<String> = match taken.of.as_str() {
        "String" | "ID" => texts(),
        "DateTime" => instants(now).iter().map(|text| json!(text).to_string()).collect(),
        "Int" | "Long" => NUMBERS.iter().map(|number| (*number).to_owned()).collect(),
        "Boolean" => ["\"true\"", "1", "0", "[true]"].map(str::to_owned).to_vec(),
        _ if taken.is_enum => ["\"NOPE\"", "\"\"", "\"\\u0000\"", "0", "true"].map(str::to_owned).to_vec(),
        of => vec!["{}".to_owned(), format!("{{\"{of}\": 1}}")],
    };
    // What is no value of the type at all.
    let none = ["null", "{}", "[]", "[null]", "[[]]", "1", "true", "\"\"", "\"NaN\""].map(str::to_owned);
    if !taken.is_list {
        return one.into_iter().chain(none).collect();
    }
    let many = one.first().map(|one| format!("[{}]", vec![one.as_str(); 10_000].join(",")));
    let lists = one.iter().map(|one| format!("[{one}]")).chain(many);
    lists.chain(none).collect()
}
