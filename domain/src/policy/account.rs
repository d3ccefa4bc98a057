//! Rules about accounts that a deployment may see differently one day (REQUIREMENTS 1.5); their versions stand in events.

use chrono::TimeDelta;

/// The age a person declares to have reached (U42).
pub const MINIMUM_AGE: u8 = 13;
/// How long after one change of the handle the next is refused (U29).
pub const RENAME_PAUSE: TimeDelta = TimeDelta::days(30);
/// The version of the rules of a deletion (A35-A38, U22-U24).
pub const DELETION_POLICY: u32 = 1;
/// The version of the text that somebody agrees to who wants news or offers (V16).
pub const CONSENT_TEXT: u32 = 1;
/// How long a verified address is waited for before the account is deleted (sec.S4: one that can never be verified goes with it).
pub const UNVERIFIED_LIFE: TimeDelta = TimeDelta::days(7);
/// How long a notice inside the application is kept and shown.
pub const NOTICE_LIFE: TimeDelta = TimeDelta::days(180);
/// The most notices inside the application that an account keeps; the oldest make room.
pub const MAX_NOTICES: i64 = 500;
