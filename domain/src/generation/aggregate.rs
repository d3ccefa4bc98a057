//! The generation's state and decisions.

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};

use super::{GenerationCommand, GenerationError, GenerationEvent, GenerationRequest, Output, RequestTerms};
use crate::{Credits, Decide, Personal, Sealed};

/// Where a job is: `queued -> running -> succeeded | failed | cancelled` (REQUIREMENTS 3.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// No event yet.
    #[default]
    New,
    /// Closed before it was requested.
    Abandoned,
    /// Accepted, waiting.
    Queued,
    /// At work.
    Running,
    /// Delivered.
    Succeeded,
    /// Not delivered.
    Failed,
    /// Withdrawn.
    Cancelled,
}

impl Status {
    /// The word shown to clients.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Abandoned => "abandoned",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The generation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    status: Status,
    terms: Option<RequestTerms>,
    prompt: Option<Sealed>,
    attempt: u32,
    captured: Credits,
    deleted: bool,
}

impl Generation {
    /// Where the job is.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// What was agreed, once it was requested.
    #[must_use]
    pub const fn terms(&self) -> Option<&RequestTerms> {
        self.terms.as_ref()
    }

    /// The prompt, sealed, once it was requested.
    #[must_use]
    pub const fn prompt(&self) -> Option<&Sealed> {
        self.prompt.as_ref()
    }

    /// The last attempt, from 1; 0 before the first.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// What is to be captured: the price of what was delivered.
    #[must_use]
    pub const fn delivered_price(&self) -> Credits {
        self.captured
    }

    /// Whether its owner removed it.
    #[must_use]
    pub const fn deleted(&self) -> bool {
        self.deleted
    }

    fn succeed(&self, attempt: u32, outputs: Vec<Output>) -> Result<Vec<GenerationEvent>, GenerationError> {
        let terms = self.terms.as_ref().expect("a running generation was requested");
        let count = u32::try_from(outputs.len()).unwrap_or(u32::MAX);
        if count == 0 || count > terms.num_images || attempt == 0 || attempt > self.attempt {
            return Err(GenerationError::InvalidResult);
        }
        // U12: partial success pays for what was delivered.
        let price = terms.unit_price.checked_mul(count).ok_or(GenerationError::InvalidResult)?;
        let succeeded = GenerationEvent::GenerationSucceeded { outputs, price };
        let published = terms.publish.then_some(GenerationEvent::GenerationPublished {});
        Ok([succeeded].into_iter().chain(published).collect())
    }
}

impl Decide for Generation {
    fn decide(&self, command: GenerationCommand) -> Result<Vec<GenerationEvent>, GenerationError> {
        // The legal moves are this table.
        use GenerationCommand as C;
        match (self.status, command) {
            (Status::New, C::Request(request)) => {
                let GenerationRequest { terms, prompt } = *request;
                Ok(vec![GenerationEvent::GenerationRequested { terms, prompt: Personal::Open(prompt) }])
            }
            (_, C::Request(request)) if self.terms.as_ref() == Some(&request.terms) => Ok(Vec::new()),
            (_, C::Request(_)) => Err(GenerationError::AlreadyUsed),
            (Status::New, C::Abandon) => Ok(vec![GenerationEvent::GenerationAbandoned {}]),
            (Status::Abandoned, C::Abandon) => Ok(Vec::new()),
            (_, C::Abandon) => Err(GenerationError::AlreadyUsed),
            (Status::New | Status::Abandoned, _) => Err(GenerationError::NotFound),
            (Status::Queued | Status::Running, C::Start) => {
                Ok(vec![GenerationEvent::GenerationStarted { attempt: self.attempt.saturating_add(1) }])
            }
            (Status::Running, C::Succeed { attempt, outputs }) => self.succeed(attempt, outputs),
            (Status::Queued, C::Succeed { .. }) => Err(GenerationError::InvalidResult),
            (Status::Queued | Status::Running, C::Fail { reason }) => {
                Ok(vec![GenerationEvent::GenerationFailed { reason }])
            }
            (Status::Queued, C::FailUnstarted { reason }) => Ok(vec![GenerationEvent::GenerationFailed { reason }]),
            (Status::Running, C::FailUnstarted { .. }) => Ok(Vec::new()),
            (Status::Queued | Status::Running, C::Cancel) => Ok(vec![GenerationEvent::GenerationCancelled {}]),
            (Status::Cancelled, C::Cancel) => Ok(Vec::new()),
            (Status::Queued | Status::Running, C::Delete) => Err(GenerationError::StillRunning),
            (Status::Succeeded | Status::Failed | Status::Cancelled, C::Delete) if self.deleted => Ok(Vec::new()),
            (Status::Succeeded | Status::Failed | Status::Cancelled, C::Delete) => {
                Ok(vec![GenerationEvent::GenerationDeleted {}])
            }
            (
                Status::Succeeded | Status::Failed | Status::Cancelled,
                C::Start | C::Succeed { .. } | C::Fail { .. } | C::FailUnstarted { .. } | C::Cancel,
            ) => Err(GenerationError::AlreadyEnded),
        }
    }

    fn heap_bytes(&self) -> usize {
        let model = self.terms.as_ref().map_or(0, |terms| terms.model.len());
        model + self.prompt.as_ref().map_or(0, |prompt| prompt.as_text().len())
    }
}

impl Aggregate for Generation {
    const TYPE: &'static str = "Generation";
    type Command = GenerationCommand;
    type Event = GenerationEvent;
    type Error = GenerationError;
    type Services = ();

    async fn handle(
        &mut self,
        command: GenerationCommand,
        _: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), GenerationError> {
        for event in self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: GenerationEvent) {
        match event {
            GenerationEvent::GenerationRequested { terms, prompt } => {
                self.status = Status::Queued;
                self.prompt = prompt.sealed().cloned();
                self.terms = Some(terms);
            }
            GenerationEvent::GenerationAbandoned {} => self.status = Status::Abandoned,
            GenerationEvent::GenerationStarted { attempt } => {
                self.status = Status::Running;
                self.attempt = attempt;
            }
            GenerationEvent::GenerationSucceeded { price, .. } => {
                self.status = Status::Succeeded;
                self.captured = price;
            }
            GenerationEvent::GenerationFailed { .. } => self.status = Status::Failed,
            GenerationEvent::GenerationCancelled {} => self.status = Status::Cancelled,
            GenerationEvent::GenerationPublished {} => {}
            GenerationEvent::GenerationDeleted {} => self.deleted = true,
        }
    }
}
