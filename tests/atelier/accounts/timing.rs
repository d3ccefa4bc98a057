//! That a sign-in's time does not tell whether an address is known (sec.S4). `make soak` takes 500 samples of each and compares the
//! medians; `make test` takes a few and looks at the answers alone, because time on a busy machine asserts nothing.

use std::time::{Duration, Instant};

use super::sign_in;
use crate::crash::tell;
use crate::harness::TestStudio;

/// How far apart the medians may be (sec.S4).
const APART: Duration = Duration::from_millis(5);

fn median(samples: &mut [Duration]) -> Duration {
    samples.sort_unstable();
    samples[samples.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_a_known_and_an_unknown_address_take_the_same_answer_and_the_same_time() {
    let soak = std::env::var("ATELIER_SOAK_SIGN_INS").ok().and_then(|samples| samples.parse::<usize>().ok());
    let studio = TestStudio::start().await;
    let ada = studio.newcomer("ada").await;
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for sample in 0..soak.unwrap_or(10) {
        // What was tried before slows nobody down: that is another rule (U35).
        sqlx::query("delete from credentials.tries").execute(&studio.database.pool).await.expect("the rows answer");
        let stranger = format!("stranger{sample}@example.com");
        let mut answers = Vec::new();
        // By turns, so that what else the machine does meets both.
        let mut pair = [(ada.email.as_str(), &mut known), (stranger.as_str(), &mut unknown)];
        if sample % 2 == 1 {
            pair.reverse();
        }
        for (address, times) in pair {
            let begun = Instant::now();
            answers.push(sign_in(&studio, &[], address, "wrong-horse-1").await);
            times.push(begun.elapsed());
        }
        assert_eq!(answers[0], answers[1], "the same answer");
    }
    assert_eq!((known.len(), unknown.len()), (soak.unwrap_or(10), soak.unwrap_or(10)));
    let (known, unknown) = (median(&mut known), median(&mut unknown));
    tell(&format!("sign-in, median: {known:?} with a known address, {unknown:?} with an unknown one"));
    if soak.is_some() {
        assert!(known.abs_diff(unknown) < APART, "{known:?} and {unknown:?}");
    }
    studio.stop().await;
}
