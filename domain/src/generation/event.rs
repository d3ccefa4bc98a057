//! What happens to a generation.

use cqrs_es::{Aggregate, DomainEvent};
use serde::{Deserialize, Serialize};

use super::Generation;
use crate::policy::catalogue::MediaType;
use crate::text::Prompt;
use crate::upcast::version_of;
use crate::{AccountId, ApiKeyId, Credits, Environment, KeyClass, Personal, PersonalFields, PersonalSlot};

/// Everything about a job that is fixed at acceptance, but for its prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestTerms {
    /// Who pays and owns.
    pub account_id: AccountId,
    /// Live, or test: never in a feed, a rank or live history.
    pub environment: Environment,
    /// The key it came by; `None` for the web.
    pub api_key_id: Option<ApiKeyId>,
    /// The catalogue's model.
    pub model: String,
    /// What it makes (C19).
    pub media_type: MediaType,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// How many outputs.
    pub num_images: u32,
    /// The seed, chosen when not given (U48).
    pub seed: u64,
    /// The price of one output.
    pub unit_price: Credits,
    /// The price of the whole job: what was held.
    pub price: Credits,
    /// The price list it comes from (U47).
    pub price_version: u32,
    /// Whether it goes to Explore when it succeeds: fixed now (A23, A26, U10).
    pub publish: bool,
}

/// One delivered file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The object's path in the media store.
    pub object: String,
    /// By its bytes, not by the provider's word.
    pub media_type: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Size in bytes.
    pub bytes: u64,
}

/// Why a job failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// The model refused or gave up.
    ProviderFailed,
    /// The hard deadline passed (U14).
    Timeout,
    /// The prompt can no longer be read: its account's key is gone.
    PromptErased,
}

impl FailureReason {
    /// The reason code shown to clients.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProviderFailed => "provider_failed",
            Self::Timeout => "timeout",
            Self::PromptErased => "prompt_erased",
        }
    }
}

/// An event of a generation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum GenerationEvent {
    /// Accepted; its price is already held.
    GenerationRequested {
        /// What was agreed.
        #[serde(flatten)]
        terms: RequestTerms,
        /// What to draw.
        prompt: Personal<Prompt>,
    },
    /// A hold was found without its job; nothing may be requested under this id any more (DESIGN 4).
    GenerationAbandoned {},
    /// A worker took it.
    GenerationStarted {
        /// From 1.
        attempt: u32,
    },
    /// Delivered.
    GenerationSucceeded {
        /// The files; at least one.
        outputs: Vec<Output>,
        /// The price of what was delivered: what is captured (L22).
        price: Credits,
    },
    /// Not delivered; never charged (C21).
    GenerationFailed {
        /// Why.
        reason: FailureReason,
    },
    /// Its owner withdrew it before delivery; never charged (U13).
    GenerationCancelled {},
    /// It appears in Explore.
    GenerationPublished {},
    /// Its owner removed it (A31); the ledger keeps its entry.
    GenerationDeleted {},
}

impl GenerationEvent {
    /// Every stored name; a test compares them with the committed forms.
    pub const NAMES: &[&str] = &[
        "GenerationRequested",
        "GenerationAbandoned",
        "GenerationStarted",
        "GenerationSucceeded",
        "GenerationFailed",
        "GenerationCancelled",
        "GenerationPublished",
        "GenerationDeleted",
    ];

    /// The event's stored name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::GenerationRequested { .. } => "GenerationRequested",
            Self::GenerationAbandoned {} => "GenerationAbandoned",
            Self::GenerationStarted { .. } => "GenerationStarted",
            Self::GenerationSucceeded { .. } => "GenerationSucceeded",
            Self::GenerationFailed { .. } => "GenerationFailed",
            Self::GenerationCancelled {} => "GenerationCancelled",
            Self::GenerationPublished {} => "GenerationPublished",
            Self::GenerationDeleted {} => "GenerationDeleted",
        }
    }
}

impl DomainEvent for GenerationEvent {
    fn event_type(&self) -> String {
        self.name().to_owned()
    }

    fn event_version(&self) -> String {
        version_of(Generation::TYPE, self.name()).to_owned()
    }
}

impl PersonalFields for GenerationEvent {
    fn personal_fields(&mut self) -> Vec<PersonalSlot<'_>> {
        match self {
            // U40: prompts are personal data.
            Self::GenerationRequested { prompt, .. } => vec![PersonalSlot::new("prompt", KeyClass::Profile, prompt)],
            Self::GenerationAbandoned {}
            | Self::GenerationStarted { .. }
            | Self::GenerationSucceeded { .. }
            | Self::GenerationFailed { .. }
            | Self::GenerationCancelled {}
            | Self::GenerationPublished {}
            | Self::GenerationDeleted {} => Vec::new(),
        }
    }
}
