//! The OpenAPI document of the REST API: generated from the same catalogue and bounds that the handlers use, and committed.

use atelier_domain::Reason;
use atelier_domain::account::KeyScope;
use atelier_domain::policy::catalogue;
use serde_json::{Value, json};

/// The document.
#[must_use]
pub fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "atelier",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Generate images with an API key. Every error has success:false, error, message; further members are additive.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" }
        },
        "security": [{ "bearer": [] }, { "header": [] }],
        "paths": paths(),
        "components": {
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "description": "Authorization: Bearer atl_..." },
                "header": { "type": "apiKey", "in": "header", "name": "x-api-key" }
            },
            "headers": headers(),
            "schemas": schemas()
        }
    })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn answer(description: &str, schema: &str) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": reference(schema) } } })
}

fn id() -> Value {
    json!({ "name": "id", "in": "path", "required": true, "schema": { "type": "string", "pattern": "^gen_[0-9a-f]{32}$" } })
}

fn idempotency_key(required: bool) -> Value {
    json!({
        "name": "Idempotency-Key", "in": "header", "required": required,
        "description": "A repeat with the same key and the same request is answered like the first, and marked by Idempotency-Hit; nothing is done twice.",
        "schema": { "type": "string", "pattern": "^[A-Za-z0-9._:-]{1,200}$" }
    })
}

/// An operation: what it does, the scope it needs, its parameters and its answer; the errors are everybody's.
fn operation(summary: &str, scope: KeyScope, parameters: Value, status: &str, success: Value) -> Value {
    let mut responses = json!({
        "401": answer("The API key is missing, malformed, unknown, revoked or expired.", "Error"),
        "403": answer("The key lacks the scope, or the plan does not allow it.", "Error"),
        "429": answer("rate_limit_exceeded: too many requests at once, or wrong keys from this address. Retry-After says when to try again.", "Error"),
        "503": answer("Temporarily unavailable; Retry-After says when to try again.", "Error")
    });
    responses[status] = success;
    json!({
        "summary": summary,
        "description": format!("Needs the scope `{}`.", scope.as_str()),
        "parameters": parameters,
        "responses": responses
    })
}

fn with_body(mut operation: Value) -> Value {
    operation["requestBody"] =
        json!({ "required": true, "content": { "application/json": { "schema": reference("GenerationRequest") } } });
    let errors = [
        ("400", "A field is missing, malformed, out of range or unknown; `field` names it."),
        (
            "402",
            "insufficient_credits: `required` and `available`; key_budget_exceeded: the key's own cap, with `period` (day or life), `cap`, `spent` and `required`; max_credits_exceeded.",
        ),
        ("409", "The idempotency key was used for another request, or the job was cancelled."),
        ("413", "The body is too large."),
        ("415", "Content-Type is not application/json."),
        ("422", "The model is not in the catalogue."),
        (
            "429",
            "rate_limit_exceeded: too many requests at once, or all generations of 24 hours asked for; concurrency_limit: as many are at work as may be. An Idempotency-Key is not used up by it. Retry-After says when to try again.",
        ),
    ];
    for (status, description) in errors {
        operation["responses"][status] = answer(description, "Error");
    }
    operation
}

fn one(mut operation: Value) -> Value {
    operation["responses"]["404"] = answer("There is no such generation of this account.", "Error");
    operation["responses"]["410"] = answer("Its owner has removed it.", "Error");
    operation
}

/// The headers of the limits, by the name each has among the components.
const RATE_HEADERS: [(&str, &str); 6] = [
    (
        "RateLimit-Policy",
        "The key's limits: `day`, generations asked for within 24 hours; `burst`, requests of any kind within seconds; `concurrency`, generations of the account at work. Reads, dry runs, repeats and refused requests do not count to `day`.",
    ),
    (
        "RateLimit",
        "How many are left of one of them, and in how many seconds there are more: of the one that was met, else of the first.",
    ),
    ("X-RateLimit-Limit", "The same limit's size."),
    ("X-RateLimit-Remaining", "How many are left of it."),
    ("X-RateLimit-Reset", "In how many seconds there are more."),
    ("Retry-After", "On 429 and 503: in how many seconds to try again."),
];

fn headers() -> Value {
    let described = |(name, description): (&str, &str)| {
        let number = name.starts_with("X-") || name == "Retry-After";
        let kind = if number { "integer" } else { "string" };
        (name.to_owned(), json!({ "description": description, "schema": { "type": kind } }))
    };
    let credits = ("X-Credits-Remaining", "What can be spent after this request.");
    RATE_HEADERS.into_iter().chain([credits]).map(described).collect::<serde_json::Map<_, _>>().into()
}

/// Every answer to a valid key carries its limits; a 401 tells nothing.
fn with_headers(mut paths: Value) -> Value {
    let operations = paths.as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    let operations = operations.filter_map(Value::as_object_mut).flat_map(|methods| methods.values_mut());
    for operation in operations {
        let responses = operation["responses"].as_object_mut().into_iter().flatten();
        for (status, response) in responses.filter(|(status, _)| *status != "401") {
            let waits = matches!(status.as_str(), "429" | "503");
            let carried = RATE_HEADERS.iter().map(|(name, _)| *name).filter(|name| waits || *name != "Retry-After");
            for name in carried {
                response["headers"][name] = json!({ "$ref": format!("#/components/headers/{name}") });
            }
        }
    }
    for (path, method, status) in [
        ("/v1/generate", "post", "200"),
        ("/v1/generate", "post", "202"),
        ("/v1/generations", "post", "202"),
        ("/v1/credits", "get", "200"),
    ] {
        paths[path][method]["responses"][status]["headers"]["X-Credits-Remaining"] =
            json!({ "$ref": "#/components/headers/X-Credits-Remaining" });
    }
    paths
}

fn paths() -> Value {
    let wait = json!({
        "name": "Prefer", "in": "header", "description": "wait=0 to wait=60 seconds (RFC 7240); 30 when not given. Anything else is ignored; Preference-Applied says what was not.",
        "schema": { "type": "string", "pattern": "^wait=([0-9]|[1-5][0-9]|60)$" }
    });
    let dry_run = json!({ "name": "dry_run", "in": "query", "description": "Price the request, and refuse it with 402 or 403 where the real one would be; write nothing.", "schema": { "type": "boolean" } });
    let mut generate = with_body(operation(
        "Generate and wait for the result",
        KeyScope::Generate,
        json!([idempotency_key(false), wait, dry_run]),
        "200",
        answer("Delivered and paid.", "GenerationResult"),
    ));
    generate["responses"]["202"] = answer("Accepted and still at work; look at status_url.", "Accepted");
    let submit = with_body(operation(
        "Generate without waiting",
        KeyScope::Generate,
        json!([idempotency_key(true)]),
        "202",
        answer("Accepted.", "Accepted"),
    ));
    let paging = json!([
        { "name": "limit", "in": "query", "schema": { "type": "integer", "minimum": 1, "maximum": 100, "default": 20 } },
        { "name": "cursor", "in": "query", "schema": { "type": "string" } },
        { "name": "status", "in": "query", "description": "Only generations in this state.",
          "schema": { "type": "string", "enum": ["queued", "running", "succeeded", "failed", "cancelled"] } }
    ]);
    let list = operation(
        "List the account's generations",
        KeyScope::GenerationsRead,
        paging,
        "200",
        answer("A page.", "GenerationPage"),
    );
    let shown = || answer("The generation.", "Generation");
    let find = one(operation("Look at a generation", KeyScope::GenerationsRead, json!([id()]), "200", shown()));
    let mut cancel = one(operation(
        "Withdraw a generation before delivery",
        KeyScope::GenerationsWrite,
        json!([id(), idempotency_key(false)]),
        "200",
        shown(),
    ));
    cancel["responses"]["415"] = answer("Content-Type is not application/json.", "Error");
    cancel["responses"]["409"] = answer("It has ended, or the idempotency key was used for another request.", "Error");
    let mut delete = one(operation(
        "Remove a finished generation",
        KeyScope::GenerationsWrite,
        json!([id(), idempotency_key(false)]),
        "200",
        answer("Removed.", "Removed"),
    ));
    delete["responses"]["409"] =
        answer("It is still at work, or the idempotency key was used for another request.", "Error");
    let models =
        operation("The models on offer", KeyScope::ModelsRead, json!([]), "200", answer("The catalogue.", "Models"));
    let credits = operation(
        "The balance of the key's ledger",
        KeyScope::AccountRead,
        json!([]),
        "200",
        answer("The balance.", "Credits"),
    );
    let mut paths = with_headers(json!({
        "/v1/generate": { "post": generate },
        "/v1/generations": { "post": submit, "get": list },
        "/v1/generations/{id}": { "get": find, "delete": delete },
        "/v1/generations/{id}/cancel": { "post": cancel },
        "/v1/models": { "get": models },
        "/v1/credits": { "get": credits }
    }));
    paths["/uploads/avatar/{ticket}"] = json!({ "put": avatar_upload() });
    paths
}

/// The one route that takes neither key nor session: the ticket in its path is the permission.
fn avatar_upload() -> Value {
    let mut responses = json!({
        "200": answer("Shown from now on.", "AvatarUploaded"),
        "400": answer("The link is not valid any more (invalid_token), or the body is empty or incomplete; the link still counts then.", "Error"),
        "408": answer("The file did not arrive in time.", "Error"),
        "409": answer("An upload by this link is going on.", "Error"),
        "422": answer("Not a whole JPEG, PNG, WebP, GIF, BMP or TIFF image, or more than 40 megapixels; the link still counts.", "Error"),
        "503": answer("Temporarily unavailable; Retry-After says when to try again.", "Error")
    });
    responses["413"] = answer("The file is larger than 5 MiB; the link still counts.", "Error");
    json!({
        "summary": "Upload an avatar",
        "description": "The link is given out by the GraphQL mutation requestAvatarUpload and makes one avatar, within ten minutes. The body is the file; its bytes decide what it is.",
        "security": [],
        "parameters": [{ "name": "ticket", "in": "path", "required": true, "schema": { "type": "string" } }],
        "requestBody": { "required": true, "content": { "application/octet-stream": { "schema": {
            "type": "string", "format": "binary", "maxLength": atelier_domain::policy::account::AVATAR_BYTES
        } } } },
        "responses": responses
    })
}

fn object(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "required": required, "properties": properties })
}

fn schemas() -> Value {
    let (integer, string, yes) = (json!({ "type": "integer" }), json!({ "type": "string" }), json!({ "const": true }));
    let side = json!({
        "type": "integer", "minimum": catalogue::MIN_SIDE, "maximum": catalogue::MAX_SIDE, "default": catalogue::DEFAULT_SIDE
    });
    let place = json!({
        "type": ["integer", "null"], "minimum": 1, "maximum": 1000,
        "description": "While it is queued: its place among all that wait, 1 being the next. Accounts take turns. Null when it does not wait."
    });
    let models: Vec<&str> = catalogue::MODELS.iter().map(|model| model.id).collect();
    let image = object(
        &["url", "content_type", "width", "height"],
        json!({
            "url": { "type": "string", "format": "uri", "description": "Works for one to two hours for anybody who has it, and not after the deletion; the same for an hour of the clock. Ask again for a fresh one." },
            "content_type": string, "width": integer, "height": integer
        }),
    );
    let mut request = object(
        &["prompt", "model"],
        json!({
            "prompt": { "type": "string", "minLength": 1, "maxLength": 4000 },
            "model": { "type": "string", "enum": models },
            "width": side, "height": side,
            "num_images": { "type": "integer", "minimum": 1, "maximum": catalogue::MAX_IMAGES, "default": 1 },
            "seed": { "type": "integer", "minimum": 0, "maximum": u32::MAX },
            "max_credits": { "type": "integer", "minimum": 0, "description": "Refuse if dearer." },
            "publish": { "type": "boolean", "description": "false keeps it out of Explore and needs a premium plan." }
        }),
    );
    request["additionalProperties"] = json!(false);
    let status = json!({ "type": "string", "enum": ["queued", "running", "succeeded", "failed", "cancelled"] });
    let reasons: Vec<Value> = Reason::ALL.iter().map(|reason| reason.as_str().into()).chain([Value::Null]).collect();
    let page_items = json!({ "type": "array", "items": reference("Generation") });
    json!({
        "GenerationRequest": request,
        "Image": image,
        "GenerationResult": object(&["success", "images", "request_id", "credits_used"], json!({
            "success": yes, "images": { "type": "array", "items": reference("Image") }, "request_id": string,
            "credits_used": integer, "seed": integer
        })),
        "Accepted": object(&["success", "request_id", "status", "status_url", "cancel_url", "credits_reserved"], json!({
            "success": yes, "request_id": string, "status": status, "status_url": string, "cancel_url": string, "credits_reserved": integer,
            "queue_position": place
        })),
        "Generation": object(&["success", "request_id", "status", "model", "width", "height", "credits_reserved"], json!({
            "success": yes, "request_id": string, "status": status, "model": string, "prompt": { "type": ["string", "null"] },
            "width": integer, "height": integer, "num_images": integer, "seed": integer, "credits_reserved": integer,
            "credits_used": { "type": ["integer", "null"] }, "created_at": { "type": "string", "format": "date-time" },
            "ended_at": { "type": ["string", "null"], "format": "date-time" }, "failure": string,
            "images": { "type": "array", "items": reference("Image") }, "queue_position": place
        })),
        "GenerationPage": object(&["success", "generations"], json!({
            "success": yes, "generations": page_items, "next_cursor": { "type": ["string", "null"] }
        })),
        "Removed": object(&["success", "request_id"], json!({ "success": yes, "request_id": string })),
        "Models": object(&["success", "models"], json!({ "success": yes, "models": { "type": "array", "items": { "type": "object" } } })),
        "Credits": object(&["success", "environment", "available", "held"], json!({
            "success": yes, "environment": { "type": "string", "enum": ["live", "test"] }, "available": integer, "held": integer,
            "expiring_soon": integer
        })),
        "AvatarUploaded": object(&["success", "urls", "position"], json!({
            "success": yes, "position": string,
            "urls": { "type": "object", "description": "By the edge in pixels.", "additionalProperties": { "type": "string", "format": "uri" } }
        })),
        "FieldError": object(&["error", "field", "message", "reason", "min", "max"], json!({
            "error": string, "field": string, "message": string,
            "reason": {
                "type": ["string", "null"], "enum": reasons, "description": "What is wrong with the value, to be translated."
            },
            "min": { "type": ["integer", "null"], "description": "The least that is allowed, where a bound is the reason." },
            "max": { "type": ["integer", "null"], "description": "The most that is allowed, where a bound is the reason." }
        })),
        "Error": object(&["success", "error", "message"], json!({
            "success": { "const": false }, "error": string, "message": string, "field": string,
            "errors": {
                "type": "array", "items": reference("FieldError"),
                "description": "Every wrong field of the request; the first one stands in error, field and message as well."
            },
            "required": integer,
            "available": integer, "period": { "type": "string", "enum": ["day", "life"] }, "cap": integer, "spent": integer, "retryable": { "type": "boolean" }
        }))
    })
}
