//! Process managers: pure functions from (their state, an event) to (their state, work), and the rows and the dispatcher that carry the work out.

mod account_deletion;
mod address_digest;
mod address_lookups;
mod avatar_keeper;
mod backlog;
mod data_export;
mod dispatcher;
mod execute;
mod expiry_sweep;
mod generation_charge;
pub(crate) mod mails;
mod notifier;
mod repair;
mod rows;
mod security_notifier;
pub(crate) mod sign_up_bonus;
mod staff_follower;
mod staff_orders;
mod turns;
mod welcome;
mod work;
mod work_rows;

use atelier_domain::Envelope;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use account_deletion::AccountDeletion;
pub use address_digest::{AddressDigest, SignUpDigest};
pub use avatar_keeper::AvatarKeeper;
pub use backlog::{Backlog, LaneBacklog};
pub use data_export::DataExport;
pub use dispatcher::{Dispatcher, DispatcherOptions};
pub use expiry_sweep::ExpirySweep;
pub use generation_charge::GenerationCharge;
pub use notifier::Notifier;
pub use repair::{Dropped, MAX_REASON, RETRIED_CHANNEL, Troubled, Which, drop_work, dropped, retry_work, troubled};
pub use rows::{enqueue, forget, react};
pub use security_notifier::SecurityNotifier;
pub use staff_follower::StaffFollower;
pub use turns::place as place_in_queue;
pub use welcome::Welcome;
pub use work::{Lane, Work};

/// What a process manager answers an event with.
#[derive(Debug, Clone, PartialEq)]
pub struct Reaction<S> {
    /// Its state for this instance from now on; `None` forgets the instance.
    pub state: Option<S>,
    /// The work it asks for, in order.
    pub work: Vec<Work>,
}

/// A process manager: follows the log and asks for work. Pure, so that it can be tested without anything.
pub trait ProcessManager: Send + Sync + 'static {
    /// Its name: in checkpoints, in the ids of its work, and as the actor of its commands.
    const NAME: &'static str;
    /// What it remembers of one instance.
    type State: Serialize + DeserializeOwned + Send + Clone + PartialEq;

    /// Which instance an event concerns; `None` when it does not concern this manager.
    fn instance(event: &Envelope) -> Option<String>;

    /// Decides what an event means for its instance.
    fn react(state: Option<Self::State>, event: &Envelope) -> Reaction<Self::State>;
}
