//! What an aggregate decides: the seam between the rules and the command path.

use cqrs_es::Aggregate;

/// An aggregate whose decisions are pure functions of its state.
///
/// A decision only borrows the state: a refusal cannot leave it half applied, and nobody pays for a clone to be safe from that (DESIGN 3).
/// `Aggregate::handle` is [`decide`](Self::decide), then a write of each event to the sink; both must say the same.
pub trait Decide: Aggregate<Services = ()> {
    /// The form of the serialised state. It changes with every field of it and with every change of meaning, so that no older snapshot is
    /// taken for one of today's.
    const STATE_FORM: &'static str = "1";

    /// The events a command causes; none when it repeats what is already so. Nothing changes until they are applied.
    ///
    /// # Errors
    /// The aggregate's own error, when a rule refuses.
    fn decide(&self, command: Self::Command) -> Result<Vec<Self::Event>, Self::Error>;

    /// About how many bytes the state has on the heap, in constant time: what a bounded cache counts, beside the size of the state itself.
    fn heap_bytes(&self) -> usize;
}

#[cfg(test)]
mod tests;
