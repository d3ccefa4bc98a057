//! Branches and positions.

use uuid::Uuid;

/// A branch of the log. The id is random, so that no other branch ever has it, in whatever database.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Branch(pub Uuid);

impl Branch {
    /// The part of the id that tokens carry.
    #[must_use]
    pub fn mark(self) -> [u8; 8] {
        let [a, b, c, d, e, f, g, h, ..] = self.0.into_bytes();
        [a, b, c, d, e, f, g, h]
    }
}

/// A place in the log as it was on a branch. Numbers of two branches are not comparable beyond the place where they part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Position {
    /// The branch that the log was on when the position was read or written.
    pub branch: Branch,
    /// Which event of the log: dense from 1, 0 before the first.
    pub number: i64,
}

impl Position {
    /// A place on a branch.
    #[must_use]
    pub const fn of(branch: Branch, number: i64) -> Self {
        Self { branch, number }
    }

    /// The later one of this and a position that was read or written after it: on another branch, that one.
    #[must_use]
    pub fn or_later(self, other: Self) -> Self {
        if self.branch == other.branch && self.number > other.number { self } else { other }
    }
}
