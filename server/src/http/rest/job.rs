//! A job as REST shows it.

use atelier_commands::{WriteSide, media_link};
use atelier_domain::generation::Status;
use atelier_graphql::global_id::GlobalId;
use atelier_projections::models::creations::CreationView;
use serde_json::{Value, json};

/// The outputs with their links.
pub fn images(write: &WriteSide, job: &CreationView) -> Value {
    let image = |(index, output): (u32, &atelier_domain::generation::Output)| {
        json!({
            "url": media_link::url(write, job.generation, index),
            "content_type": output.media_type,
            "width": output.width,
            "height": output.height,
        })
    };
    (0..).zip(&job.outputs).map(image).collect()
}

/// The job's id, as clients hold it.
pub fn request_id(job: &CreationView) -> String {
    GlobalId::Generation(job.generation).text()
}

/// The job with where it is.
pub fn show(write: &WriteSide, job: &CreationView) -> Value {
    let mut shown = json!({
        "success": true,
        "request_id": request_id(job),
        "status": job.status.as_str(),
        "model": job.model,
        "prompt": job.prompt,
        "width": job.width,
        "height": job.height,
        "num_images": job.num_images,
        "seed": job.seed,
        "credits_reserved": if job.settled { 0 } else { job.price.get() },
        "credits_used": job.captured.map(atelier_domain::Credits::get),
        "created_at": job.requested_at,
        "ended_at": job.ended_at,
    });
    if let Some(object) = shown.as_object_mut() {
        match job.status {
            Status::Succeeded => {
                object.insert("images".into(), images(write, job));
            }
            Status::Failed => {
                object.insert(
                    "failure".into(),
                    job.failure.map(atelier_domain::generation::FailureReason::as_str).into(),
                );
            }
            Status::New | Status::Abandoned | Status::Queued | Status::Running | Status::Cancelled => {}
        }
    }
    shown
}
