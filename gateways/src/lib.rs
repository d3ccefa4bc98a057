//! Adapters to the outside world: mail, media, generators, images, identity, places.

mod avatar_images;
mod export_objects;
mod letter;
mod mailbox;
mod media_folder;
mod oidc;
mod places;
mod smtp;
mod studio_demo;

pub use avatar_images::ImageSquares;
pub use mailbox::{MAX_MAILS, MailSummary, MailText, Mailbox};
pub use media_folder::MediaFolder;
pub use oidc::{GOOGLE_ISSUER, OidcClient, OidcProvider};
pub use places::{Nowhere, PlacesFile};
pub use smtp::{InvalidSmtp, Smtp};
pub use studio_demo::{MAX_SIDE, MIN_SIDE, StudioDemo};
