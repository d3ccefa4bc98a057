//! The words inside stored events, and the metadata beside them: as fixed as the events themselves.

use std::fmt::Debug;

use atelier_domain::account::{
    Channel, IdentityProvider, KeyScope, Language, NoticeKind, PasswordVia, Role, SessionEnd, StaffAction, TwoFactorEnd,
};
use atelier_domain::credit_ledger::{ForfeitReason, GrantReason, GrantSource, LedgerAccount};
use atelier_domain::generation::FailureReason;
use atelier_domain::policy::catalogue::MediaType;
use atelier_domain::policy::plan::Plan;
use atelier_domain::{AccountId, Actor, ApiKeyId, Environment, EventMetadata, KeyClass, LotId, PaymentId};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

/// Checks that each value is stored as its word and comes back from it. The match has no wildcard, so that the list is whole.
macro_rules! stored_as {
    ($kind:ident { $($variant:ident $(($($inner:expr),*))? $({ $($field:ident: $value:expr),* })? => $word:expr),+ $(,)? }) => {{
        const fn is_listed(value: &$kind) {
            match value { $($kind::$variant { .. } => ()),+ }
        }
        $(
            let value = $kind::$variant $(($($inner),*))? $({ $($field: $value),* })?;
            is_listed(&value);
            both_ways(&value, json!($word));
        )+
    }};
}

fn both_ways<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T, stored: Value) {
    assert_eq!(serde_json::to_value(value).expect("a value is stored"), stored, "the stored form never changes");
    let back: T = serde_json::from_str(&stored.to_string()).expect("a stored value decodes");
    assert_eq!(back, *value);
}

#[test]
fn d3_words_inside_events_stay_as_they_are_stored() {
    let id = Uuid::from_u128(7);
    stored_as!(Plan { Free => "free", Pro => "pro" });
    stored_as!(Environment { Live => "live", Test => "test" });
    stored_as!(SessionEnd {
        SignedOut => "signed_out",
        Revoked => "revoked",
        Displaced => "displaced",
        PasswordChanged => "password_changed",
        ByStaff => "by_staff",
        AccountDeleted => "account_deleted",
    });
    stored_as!(NoticeKind {
        GenerationComplete => "generation_complete",
        LowCreditAlert => "low_credit_alert",
        BillingReceipts => "billing_receipts",
        Newsletter => "newsletter",
        Marketing => "marketing",
    });
    stored_as!(Channel { Mail => "mail", InApp => "in_app" });
    stored_as!(Language { En => "en", De => "de" });
    stored_as!(PasswordVia { Change => "change", Reset => "reset", Added => "added" });
    stored_as!(IdentityProvider { Google => "google" });
    stored_as!(TwoFactorEnd { Owner => "owner", Staff => "staff" });
    stored_as!(Role { Support => "support", Auditor => "auditor", Admin => "admin" });
    stored_as!(StaffAction {
        AccountViewed => "account_viewed",
        EmailChanged => "email_changed",
        TwoFactorResetRequested => "two_factor_reset_requested",
        TwoFactorDisabled => "two_factor_disabled",
        SessionEnded => "session_ended",
        ApiKeyRevoked => "api_key_revoked",
        RoleGranted => "role_granted",
        RoleWithdrawn => "role_withdrawn",
    });
    stored_as!(ForfeitReason { AccountDeleted => "account_deleted" });
    stored_as!(KeyClass { Profile => "profile", Billing => "billing" });
    stored_as!(GrantSource { Promotional => "promotional", Plan => "plan", Purchased => "purchased" });
    stored_as!(GrantReason {
        Unrecorded => json!({ "kind": "unrecorded" }),
        SignUpBonus => json!({ "kind": "sign_up_bonus" }),
        TestRefill => json!({ "kind": "test_refill" }),
        PlanCycle => json!({ "kind": "plan_cycle" }),
        Payment { payment_id: PaymentId(id) } => json!({ "kind": "payment", "payment_id": id }),
        Gift => json!({ "kind": "gift" }),
    });
    stored_as!(MediaType { Image => "image", Video => "video", Audio => "audio" });
    stored_as!(FailureReason {
        ProviderFailed => "provider_failed",
        Timeout => "timeout",
        PromptErased => "prompt_erased",
    });
    stored_as!(KeyScope {
        Generate => "generate",
        GenerationsRead => "generations:read",
        GenerationsWrite => "generations:write",
        ModelsRead => "models:read",
        AccountRead => "account:read",
    });
    stored_as!(LedgerAccount {
        Lot(LotId(id)) => format!("lot:{id}"),
        Held => "held",
        Debt => "debt",
        IssuedPurchased => "system:issued:purchased",
        IssuedPromotional => "system:issued:promotional",
        Consumed => "system:consumed",
        Breakage => "system:breakage",
        Forfeited => "system:forfeited",
        Adjustments => "system:adjustments",
    });
}

#[test]
fn d3_metadata_beside_events_stays_as_it_is_stored() {
    let id = Uuid::from_u128(7);
    stored_as!(Actor {
        Anonymous => "anonymous",
        Account(AccountId(id)) => format!("account:{id}"),
        ApiKey(ApiKeyId(id)) => format!("api_key:{id}"),
        Process("welcome".to_owned()) => "process:welcome",
        Operator => "operator",
    });
    let metadata = EventMetadata { actor: Actor::Operator, correlation_id: id, causation_id: Uuid::from_u128(8) };
    both_ways(
        &metadata,
        json!({
            "actor": "operator",
            "correlation_id": "00000000-0000-0000-0000-000000000007",
            "causation_id": "00000000-0000-0000-0000-000000000008",
        }),
    );
}
