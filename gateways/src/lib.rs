//! Adapters to the outside world: mail, media, generators, images.

mod avatar_images;
mod mailbox;
mod media_folder;
mod studio_demo;

pub use avatar_images::ImageSquares;
pub use mailbox::{MAX_MAILS, MailSummary, MailText, Mailbox};
pub use media_folder::{MAX_OBJECT_BYTES, MediaFolder};
pub use studio_demo::{MAX_SIDE, MIN_SIDE, StudioDemo};
