//! The private server's settings: what makes it durable, private, and silent about what it is asked.

use std::path::Path;

use super::EmbeddedError;
use super::folder::PORT;

/// Settings nobody may change from outside: they keep the database durable and private.
const PROTECTED: [&str; 7] =
    ["fsync", "full_page_writes", "synchronous_commit", "listen_addresses", "port", "data_directory", "config_file"];
/// Families of settings nobody may change from outside.
const PROTECTED_PREFIXES: [&str; 3] = ["log_", "logging_", "unix_socket_"];

/// No statement, parameter or value reaches the log (DESIGN 7). Errors go to the client that made them, and their texts
/// quote values, so the log takes only what is above them: LOG, FATAL and PANIC, each without its details.
const FIXED: [(&str, &str); 20] = [
    ("listen_addresses", ""),
    ("unix_socket_permissions", "0700"),
    ("max_connections", "300"),
    ("shared_buffers", "128MB"),
    ("jit", "off"),
    ("timezone", "UTC"),
    ("logging_collector", "off"),
    ("log_destination", "stderr"),
    ("log_timezone", "UTC"),
    ("log_min_messages", "log"),
    ("log_min_error_statement", "panic"),
    ("log_error_verbosity", "terse"),
    ("log_statement", "none"),
    ("log_duration", "off"),
    ("log_min_duration_statement", "-1"),
    ("log_parameter_max_length", "0"),
    ("log_parameter_max_length_on_error", "0"),
    ("log_checkpoints", "off"),
    ("log_autovacuum_min_duration", "-1"),
    ("log_line_prefix", "%m [%p] "),
];

/// Refuses settings that are not plain or not open to change.
pub(super) fn check(extra: &[(String, String)]) -> Result<(), EmbeddedError> {
    for (name, value) in extra {
        let plain = !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.".contains(&b));
        let protected =
            PROTECTED.contains(&name.as_str()) || PROTECTED_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        // pg_ctl stores the command line between double quotes and we compare with it.
        let quoted = value.contains(|c: char| c == '"' || c.is_control());
        if !plain || protected || quoted {
            return Err(EmbeddedError::UnusableName(name.clone()));
        }
    }
    Ok(())
}

/// The postmaster's arguments after its data folder; later ones win.
pub(super) fn arguments(durable: bool, socket: &Path, extra: &[(String, String)]) -> Vec<String> {
    let safety = if durable { "on" } else { "off" };
    let mut pairs: Vec<String> = FIXED.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.push(format!("port={PORT}"));
    pairs.push(format!("unix_socket_directories={}", socket.display()));
    pairs.extend(["fsync", "full_page_writes", "synchronous_commit"].iter().map(|name| format!("{name}={safety}")));
    pairs.extend(extra.iter().map(|(name, value)| format!("{name}={value}")));
    pairs.into_iter().flat_map(|pair| ["-c".to_owned(), pair]).collect()
}

/// The arguments as one line for the shell that pg_ctl starts the server with.
pub(super) fn for_shell(arguments: &[String]) -> String {
    let quoted: Vec<String> = arguments.iter().map(|a| format!("'{}'", a.replace('\'', "'\\''"))).collect();
    quoted.join(" ")
}

/// The line the server keeps in `postmaster.opts`, from the data folder on.
pub(super) fn as_recorded(data: &Path, arguments: &[String]) -> String {
    let data = data.display().to_string();
    let all = ["-D".to_owned(), data].into_iter().chain(arguments.iter().cloned());
    all.map(|argument| format!(" \"{argument}\"")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str, value: &str) -> Vec<(String, String)> {
        vec![(name.to_owned(), value.to_owned())]
    }

    #[test]
    fn d8_what_keeps_the_database_durable_and_private_cannot_be_changed() {
        for name in
            ["fsync", "synchronous_commit", "listen_addresses", "log_statement", "unix_socket_directories", "Fsync", ""]
        {
            assert!(check(&pair(name, "off")).is_err(), "{name}");
        }
        assert!(check(&pair("work_mem", "8MB\"")).is_err());
        assert!(check(&pair("work_mem", "8MB")).is_ok());
    }

    #[test]
    fn d8_fsync_is_off_only_when_asked() {
        let durable = arguments(true, Path::new("/tmp/s"), &[]);
        assert!(durable.contains(&"fsync=on".to_owned()) && durable.contains(&"synchronous_commit=on".to_owned()));
        assert!(arguments(false, Path::new("/tmp/s"), &[]).contains(&"fsync=off".to_owned()));
    }

    #[test]
    fn d8_a_quote_in_a_value_does_not_leave_its_argument() {
        assert_eq!(for_shell(&["a'b".to_owned(), "c d".to_owned()]), r"'a'\''b' 'c d'");
    }
}
