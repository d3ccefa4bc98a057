//! The provider's word, wrong in one thing at a time: each is refused. A right provider cannot be made to lie, so this one is ours
//! (sec.O1).

use super::{World, parameter};

#[tokio::test(flavor = "multi_thread")]
async fn sec_o1_a_word_that_is_wrong_in_anything_is_refused() {
    let world = World::lying().await;
    let come_back = async |lie: &str| {
        let mut browser = world.browser();
        let address = browser.leave().await;
        let (state, nonce) = (parameter(&address, "state"), parameter(&address, "nonce"));
        browser.get(&format!("/auth/google/callback?state={state}&code={lie}.{nonce}")).await
    };
    let honest = come_back("honest").await;
    assert!(honest.text.contains("Open my account"), "the control: {}", honest.text);
    for lie in [
        "nonce",
        "no-nonce",
        "iss",
        "aud",
        "more-aud",
        "none",
        "hs256-secret",
        "hs256-public-key",
        "expired",
        "kid",
        "signature",
        "no-token",
        "foreign-azp",
        "not-yet",
        "from-the-future",
        "from-the-past",
        "no-subject",
        "blank-subject",
        "endless-subject",
    ] {
        let page = come_back(lie).await;
        assert_eq!(page.status.as_u16(), 400, "{lie}: {}", page.text);
        assert!(page.text.contains("not valid any more"), "{lie}: in the same words: {}", page.text);
    }
    // What a right provider may say, and a clock that is a little off.
    for word in ["own-azp", "skewed"] {
        let page = come_back(word).await;
        assert!(page.text.contains("Open my account"), "{word}: {}", page.text);
    }
    // What is no word at all: too much of it, or one that sends us elsewhere.
    for fault in ["large", "redirect"] {
        let page = come_back(fault).await;
        assert!(!page.text.contains("Open my account"), "{fault}: {}", page.text);
    }
    world.studio.stop().await;
}
