//! Mail by SMTP against a real mail server: what arrives, what is tried again, what ends, and what never leaves (V12, A33).

use std::path::Path;

use atelier_commands::ports::{GatewayError, Mail, Mailer};
use atelier_commands::process::{Work, enqueue};
use atelier_domain::AccountId;
use atelier_gateways::Smtp;
use chrono::DateTime;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::as_atelier;
use crate::harness::TestStudio;
use crate::harness::peers::Peer;
use crate::harness::process::until;
use crate::harness::studio::PASSWORD;

const FROM: &str = "Größe & Söhne <post@studio.example>";

/// A mail server and what it has been sent.
struct Post {
    folder: TempDir,
    peer: Peer,
}

impl Post {
    async fn open(more: &[&str]) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let path = folder.path().to_str().expect("a plain name").to_owned();
        let peer = Peer::start("smtp.py", &[&[path.as_str()], more].concat()).await;
        Self { folder, peer }
    }

    fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.peer.port)
    }

    fn smtp(&self) -> Smtp {
        Smtp::open(&self.url(), FROM).expect("settings that can be used")
    }

    /// What it says to the next messages, one line for each.
    fn answers(&self, lines: &str) {
        std::fs::write(self.folder.path().join("answers"), lines).expect("our own folder");
    }

    fn all_answers_given(&self) -> bool {
        std::fs::read_to_string(self.folder.path().join("answers")).is_ok_and(|rest| rest.is_empty())
    }

    /// Every message it kept, oldest first.
    fn kept(&self) -> Vec<Value> {
        let mut files: Vec<_> = std::fs::read_dir(self.folder.path())
            .expect("our own folder")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "json"))
            .collect();
        files.sort();
        let read = |path: &std::path::PathBuf| {
            serde_json::from_slice(&std::fs::read(path).expect("a whole file")).expect("JSON of ours")
        };
        files.iter().map(read).collect()
    }
}

fn mail(id: &str) -> Mail {
    Mail {
        message_id: id.to_owned(),
        account: AccountId(Uuid::nil()),
        last: false,
        to: "ada@example.com".to_owned(),
        subject: "Hello".to_owned(),
        text: "One line.\n".to_owned(),
        html: "<p>One line.</p>\n".to_owned(),
        unsubscribe: None,
        date: DateTime::from_timestamp(1_700_000_000, 0).expect("an instant"),
    }
}

/// A piece of work on its own row.
async fn row(studio: &TestStudio, id: &str) -> Option<(String, i32, Option<String>)> {
    sqlx::query_as("select state, attempts, last_error from process_work where id = $1")
        .bind(id)
        .fetch_optional(&studio.database.pool)
        .await
        .expect("the work list answers")
}

/// What was put off is due now.
async fn hurry(studio: &TestStudio) {
    let due = "update process_work set due_at = now() where lane = 'message' and state <> 'dead' and due_at > now()";
    sqlx::query(due).execute(&studio.database.pool).await.expect("the work list answers");
}

/// A studio that mails by this server, with one account; its verification mail has arrived.
async fn studio_with(post: &Post) -> (TestStudio, AccountId) {
    let studio = TestStudio::start_mailing(Some(post.smtp()), Some("https://studio.example")).await;
    let email = studio.signed_up("ada").await;
    until("the verification mail", async || (post.kept().len() == 1).then_some(())).await;
    let ada = studio.prove(email).await;
    let account = studio.account(&ada).await;
    studio.drain().await;
    (studio, account)
}

#[tokio::test(flavor = "multi_thread")]
async fn v12_a_mail_arrives_whole_with_both_halves_and_its_own_id() {
    let post = Post::open(&[]).await;
    let (studio, _) = studio_with(&post).await;
    let arrived = post.kept().remove(0);
    assert_eq!(arrived["recipients"], json!(["ada@example.com"]));
    assert_eq!(arrived["sender"], "post@studio.example");
    assert_eq!(arrived["type"], "multipart/alternative");
    let header = |name: &str| arrived["headers"][name].as_str().unwrap_or_default().to_owned();
    assert_eq!(header("subject"), "Verify your email address");
    assert_eq!(header("to"), "ada@example.com");
    assert!(
        header("from").contains("Größe & Söhne") && header("from").contains("<post@studio.example>"),
        "{}",
        header("from")
    );
    assert!(header("message-id").ends_with("@studio.example>"), "{}", header("message-id"));
    assert!(!header("date").is_empty() && header("list-unsubscribe").is_empty(), "nobody unsubscribes from this one");
    let (text, html) = (arrived["text"].as_str().expect("text"), arrived["html"].as_str().expect("HTML"));
    assert!(text.contains("https://studio.example/verify-email?token=atm_"), "{text}");
    assert!(html.contains("<html lang=\"en\">") && html.contains("atm_"), "{html}");
    assert!(arrived["longest_line"].as_i64().expect("a length") <= 998, "RFC 5322");
    assert_eq!(studio.node.mailbox.list(10).await.expect("a folder").len(), 0, "the mailbox is for development");
    assert_eq!(studio.get("/mailbox", None).await.status.as_u16(), 404);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a33_a_refusal_of_the_moment_is_tried_again_and_delivers_once() {
    let post = Post::open(&[]).await;
    let (studio, account) = studio_with(&post).await;
    post.answers("data 451 later\nrcpt 450 busy\nrcpt 535 your sign-in is not good\n");
    let id = "signUp:test:0";
    enqueue(&studio.database.pool, id, &Work::SendAlreadyRegisteredMail { account }).await.expect("work is enqueued");
    until("three vain tries", async || {
        hurry(&studio).await;
        post.all_answers_given().then_some(())
    })
    .await;
    until("the fourth", async || {
        hurry(&studio).await;
        row(&studio, id).await.is_none().then_some(())
    })
    .await;
    let kept = post.kept();
    assert_eq!(kept.len(), 2, "once");
    assert_eq!(kept[1]["headers"]["subject"], "You already have an account");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a33_a_refusal_for_good_ends_as_a_record_that_operators_see_and_that_names_nobody() {
    let post = Post::open(&[]).await;
    let (studio, account) = studio_with(&post).await;
    for (n, answer) in
        ["data 550 ada@example.com is nobody here", "mail 550 5.7.1 this sender is not welcome"].iter().enumerate()
    {
        post.answers(&format!("{answer}\n"));
        let id = format!("signUp:test:{n}");
        enqueue(&studio.database.pool, &id, &Work::SendAlreadyRegisteredMail { account })
            .await
            .expect("work is enqueued");
        let dead = until("the record", async || row(&studio, &id).await.filter(|(state, ..)| state == "dead")).await;
        let (_, attempts, said) = dead;
        let said = said.expect("a reason");
        assert!(attempts == 1 && said.contains("550") && !said.contains("ada"), "{attempts}: {said}");
        assert_eq!(studio.get("/health/ready", None).await.json()["work"]["dead"], n + 1);
    }
    assert_eq!(post.kept().len(), 1);
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_recipient_is_the_address_s_fault_and_leaves_no_record() {
    let post = Post::open(&[]).await;
    let (studio, account) = studio_with(&post).await;
    for (n, answer) in [
        "550 ada@example.com is nobody here",
        "550 5.1.1 no such user",
        "553 not a mailbox",
        "554 5.7.1 refused",
        "552 full",
        "501 what?",
        "556 no mail",
    ]
    .iter()
    .enumerate()
    {
        post.answers(&format!("rcpt {answer}\n"));
        let id = format!("signUp:test:{n}");
        enqueue(&studio.database.pool, &id, &Work::SendAlreadyRegisteredMail { account })
            .await
            .expect("work is enqueued");
        until(answer, async || (post.all_answers_given() && row(&studio, &id).await.is_none()).then_some(())).await;
    }
    let ready = studio.get("/health/ready", None).await.json();
    assert_eq!((&ready["work"]["dead"], &ready["work"]["stuck"]), (&json!(0), &json!(0)), "{ready}");
    assert_eq!(post.kept().len(), 1, "none was taken");
    let smtp = post.smtp();
    post.answers("rcpt 550 ada@example.com is nobody here\n");
    let refused = smtp.send(mail("1")).await.expect_err("refused");
    assert!(
        matches!(&refused, GatewayError::Recipient(said) if said.contains("550") && !said.contains("ada")),
        "{refused:?}"
    );
    // The next mail goes out all the same.
    smtp.send(mail("2")).await.expect("it is taken");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a33_a_connection_cut_after_the_text_delivers_again_under_the_same_id() {
    let post = Post::open(&[]).await;
    let (studio, account) = studio_with(&post).await;
    post.answers("cut\n");
    let id = "signUp:test:0";
    enqueue(&studio.database.pool, id, &Work::SendAlreadyRegisteredMail { account }).await.expect("work is enqueued");
    until("the second delivery", async || {
        hurry(&studio).await;
        row(&studio, id).await.is_none().then_some(())
    })
    .await;
    let ids: Vec<_> = post.kept().iter().map(|mail| mail["headers"]["message-id"].clone()).collect();
    assert_eq!(ids.len(), 3, "it was taken, and nobody heard so");
    assert!(ids[1] == ids[2] && ids[0] != ids[1], "whoever drops repeats shows one: {ids:?}");
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn v12_nothing_that_is_written_becomes_a_header_and_every_letter_arrives() {
    let post = Post::open(&[]).await;
    let smtp = post.smtp();
    for bad in ["x\r\nBcc: eve@example.com", "x\nBcc: eve@example.com", "x\rBcc: eve@example.com", "x\0"] {
        for mail in [
            Mail { subject: bad.to_owned(), ..mail("1") },
            Mail { to: format!("{bad}@example.com"), ..mail("2") },
            Mail { message_id: bad.to_owned(), ..mail("3") },
            Mail { unsubscribe: Some(bad.to_owned()), ..mail("4") },
        ] {
            assert!(matches!(smtp.send(mail).await, Err(GatewayError::Refused(_))), "{bad:?}");
        }
    }
    let text = format!("Grüße, 你好 🎨\n.\n.leading dot\n{}\nBcc: eve@example.com\n", "x".repeat(3_000));
    let whole = Mail {
        to: "jürgen@example.com".to_owned(),
        subject: format!("Größe, 你好 🎨 {}", "sehr lang ".repeat(20)),
        html: format!("<p>{text}</p>\n"),
        text: text.clone(),
        unsubscribe: Some("https://studio.example/unsubscribe?token=newsletter.abc".to_owned()),
        ..mail("Welcome:1:0")
    };
    smtp.send(whole.clone()).await.expect("it is taken");
    let kept = post.kept();
    assert_eq!(kept.len(), 1, "none of the others left");
    assert_eq!(kept[0]["recipients"], json!(["jürgen@example.com"]));
    assert_eq!(kept[0]["headers"]["subject"].as_str().expect("a subject").trim(), whole.subject.trim());
    assert_eq!(kept[0]["text"].as_str().expect("text").replace("\r\n", "\n"), text);
    assert_eq!(kept[0]["html"].as_str().expect("HTML").replace("\r\n", "\n"), whole.html);
    assert_eq!(kept[0]["headers"]["list-unsubscribe"], "<https://studio.example/unsubscribe?token=newsletter.abc>");
    assert_eq!(kept[0]["headers"]["list-unsubscribe-post"], "List-Unsubscribe=One-Click", "RFC 8058");
    assert!(!kept[0]["names"].as_array().expect("names").contains(&json!("bcc")));
}

#[tokio::test(flavor = "multi_thread")]
async fn v12_without_the_security_that_is_asked_for_nothing_is_said() {
    let post = Post::open(&["--ascii"]).await;
    let open = |url: &str| Smtp::open(url, FROM).expect("settings that can be used");
    let insecure = open(&format!("{}?tls=required", post.url())).send(mail("1")).await;
    assert!(matches!(&insecure, Err(GatewayError::Unavailable(_))), "{insecure:?}");
    let signed_in = open(&format!("smtp://ada:s3cret-word@127.0.0.1:{}", post.peer.port));
    let unwanted = signed_in.send(mail("2")).await.expect_err("it offers no sign-in over an open line");
    assert!(matches!(&unwanted, GatewayError::Unavailable(said) if !said.contains("s3cret")), "{unwanted:?}");
    let beyond = open(&post.url()).send(Mail { to: "jürgen@example.com".to_owned(), ..mail("3") }).await;
    assert!(matches!(&beyond, Err(GatewayError::Recipient(_))), "it never will: {beyond:?}");
    assert_eq!(post.kept().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_server_that_is_away_delays_mails_and_nothing_else() {
    let gone = Post::open(&[]).await;
    let smtp = gone.smtp();
    drop(gone);
    let away = until("its end", async || smtp.send(mail("1")).await.err()).await;
    assert!(matches!(&away, GatewayError::Unavailable(_)), "{away:?}");
    let studio = TestStudio::start_mailing(Some(smtp), None).await;
    let ada = studio.proven("ada").await;
    assert!(!ada.token.is_empty(), "{PASSWORD} signs in all the same");
    studio.signed_up("ben").await;
    let waits = "select count(*) from process_work where lane = 'message' and state = 'waiting' and attempts > 0";
    until("a try", async || {
        let waiting: i64 = sqlx::query_scalar(waits).fetch_one(&studio.database.pool).await.expect("an answer");
        (waiting >= 1).then_some(())
    })
    .await;
    studio.stop().await;
}

fn doctor(data: &Path, database: &str, smtp: &str) -> String {
    let mut command = as_atelier::command(&["doctor"]);
    command.env("DATABASE_URL", database).env("ATELIER_DATA", data).env("ATELIER_SMTP_URL", smtp);
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!said.contains("s3cret") && !String::from_utf8_lossy(&output.stderr).contains("s3cret"), "{said}");
    said.lines().find(|line| line.contains("mail: ")).expect("a finding").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_says_whether_the_mail_server_answers() {
    let post = Post::open(&[]).await;
    let studio = TestStudio::start().await;
    let look = |smtp: &str| doctor(studio.data.path(), &studio.database.url, smtp);
    let (well, gone) = (post.url(), format!("smtp://ada:s3cret@127.0.0.1:{}", post.peer.port));
    assert!(look(&well).starts_with("ok"), "{}", look(&well));
    for bad in [gone.as_str(), "smtps://127.0.0.1:1", "s3cret", "smtp://u:s3cret@h?tls=maybe"] {
        assert!(look(bad).starts_with("WRONG"), "{bad}: {}", look(bad));
    }
    studio.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_work_of_another_account_is_no_mail() {
    let post = Post::open(&[]).await;
    let (studio, _) = studio_with(&post).await;
    let nobody = AccountId(Uuid::from_u128(7));
    let work = Work::SendAlreadyRegisteredMail { account: nobody };
    enqueue(&studio.database.pool, "signUp:test:9", &work).await.expect("work is enqueued");
    studio.drain().await;
    assert_eq!(post.kept().len(), 1, "nobody has no address");
    studio.stop().await;
}
