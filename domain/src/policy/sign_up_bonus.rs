//! The sign-up bonus: a promotional lot after email verification (U19).

use chrono::TimeDelta;

use crate::Credits;

/// How many credits. U19 says "e.g. 100"; 500 lets a newcomer try both documented curls and still meet an empty balance soon.
pub const AMOUNT: Credits = Credits::new(500);

/// How long they last.
pub const LIFETIME: TimeDelta = TimeDelta::days(30);
