//! Rules about accounts that a deployment may see differently one day (REQUIREMENTS 1.5); their versions stand in events.

use std::ops::RangeInclusive;

use chrono::TimeDelta;

use crate::invalid::{Invalid, within};

/// The age a person declares to have reached (U42).
pub const MINIMUM_AGE: u8 = 13;
/// The greatest age that is believed.
pub const GREATEST_AGE: u8 = 150;

/// Checks the age that a person declares to have reached, in years (U42).
///
/// # Errors
/// When it is below [`MINIMUM_AGE`] or above [`GREATEST_AGE`].
pub fn declared_age(years: i32) -> Result<u8, Invalid> {
    let years = within(years, MINIMUM_AGE.into()..=GREATEST_AGE.into(), "years")?;
    Ok(u8::try_from(years).unwrap_or(GREATEST_AGE))
}

/// How many characters a handle may have (U27).
pub const USERNAME_LENGTH: RangeInclusive<usize> = 3..=30;
/// The form of a handle in small letters, length included, as ECMAScript and most other regular expressions read it (U27).
pub const USERNAME_PATTERN: &str = "^(?=.{3,30}$)[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*$";
/// The fewest characters of a password (V08).
pub const PASSWORD_CHARACTERS: usize = 8;
/// The most bytes of a password, in UTF-8.
pub const PASSWORD_BYTES: usize = 1_024;
/// How long after one change of the handle the next is refused (U29).
pub const RENAME_PAUSE: TimeDelta = TimeDelta::days(30);
/// How long a handle that was given up still finds its account, and is nobody's (U29).
pub const RENAME_REDIRECT: TimeDelta = TimeDelta::days(90);
/// How many months the handles of a deleted account are nobody's (U29).
pub const QUARANTINE_MONTHS: u32 = 12;
/// The edges of an avatar's squares, pixels, ascending (C1).
pub const AVATAR_EDGES: [u32; 3] = [64, 256, 512];
/// The most bytes of an uploaded avatar: exactly 5 MiB (A05).
pub const AVATAR_BYTES: usize = 5 * 1024 * 1024;
/// How long an upload's ticket counts (DESIGN 6).
pub const AVATAR_TICKET_LIFE: TimeDelta = TimeDelta::minutes(10);
/// The version of the rules of a deletion (A35-A38, U22-U24).
pub const DELETION_POLICY: u32 = 1;
/// How long a copy of everything can be fetched (U25).
pub const EXPORT_LIFE: TimeDelta = TimeDelta::days(7);
/// How long a copy may take to be made before it is given up.
pub const EXPORT_DEADLINE: TimeDelta = TimeDelta::days(1);
/// How many copies of one account are kept; the oldest make room.
pub const EXPORTS_KEPT: usize = 3;
/// The version of the text that somebody agrees to who wants news or offers (V16).
pub const CONSENT_TEXT: u32 = 1;
/// How long a verified address is waited for before the account is deleted (sec.S4: one that can never be verified goes with it).
pub const UNVERIFIED_LIFE: TimeDelta = TimeDelta::days(7);
/// How long a notice inside the application is kept and shown.
pub const NOTICE_LIFE: TimeDelta = TimeDelta::days(180);
/// How long a lost second factor stays on after staff were asked to turn it off, for its owner to say no (U36).
pub const TWO_FACTOR_RESET_DELAY: TimeDelta = TimeDelta::hours(24);
/// How long after a change of address staff cannot ask for the second factor to be turned off: the mail that lets its owner say no would go
/// to the new address alone (U36).
pub const TWO_FACTOR_RESET_AFTER_ADDRESS: TimeDelta = TimeDelta::days(7);
/// Whether another address, set by staff, ends the account's sessions (A13: "kept or cut by policy"). Cut: who asks support for
/// another address may have lost the old one to somebody who is signed in.
pub const EMAIL_CHANGE_ENDS_SESSIONS: bool = true;
/// The most notices inside the application that an account keeps; the oldest make room.
pub const MAX_NOTICES: i64 = 500;
