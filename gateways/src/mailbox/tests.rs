//! The mailbox on a real folder: round trips, repeats, bounds, refused names.

use super::*;

fn mail(id: &str, second: i64) -> Mail {
    Mail {
        message_id: id.to_owned(),
        account: AccountId(uuid::Uuid::nil()),
        last: false,
        to: "ada@example.com".to_owned(),
        subject: format!("Hello {id}"),
        text: "Follow https://localhost/verify?token=abc\n".to_owned(),
        html: "<p>Follow it</p>".to_owned(),
        unsubscribe: None,
        date: DateTime::from_timestamp(1_700_000_000 + second, 5_000_000).unwrap(),
    }
}

fn mailbox() -> (tempfile::TempDir, Mailbox) {
    let temp = tempfile::tempdir().unwrap();
    let mailbox = Mailbox::open(&temp.path().join("data/mailbox")).unwrap();
    (temp, mailbox)
}

#[tokio::test]
async fn a_mail_is_listed_and_read_newest_first() {
    let (_temp, mailbox) = mailbox();
    assert!(mailbox.list(10).await.unwrap().is_empty());
    for (id, second) in [("b", 2), ("c", 3), ("a", 1)] {
        mailbox.send(mail(id, second)).await.unwrap();
    }
    let listed = mailbox.list(2).await.unwrap();
    let subjects: Vec<_> = listed.iter().map(|mail| mail.subject.as_str()).collect();
    assert_eq!(subjects, ["Hello c", "Hello b"]);
    assert_eq!(listed[0].file, "20231114T221323005Z-c.eml");
    assert_eq!(listed[0].to, "ada@example.com");
    assert_eq!(listed[0].date, mail("c", 3).date);
    let read = mailbox.read(&listed[0].file).await.unwrap().unwrap();
    assert_eq!(read.text, "Follow https://localhost/verify?token=abc\n");
    assert_eq!(read.to, "ada@example.com");
}

#[tokio::test]
async fn the_same_message_again_leaves_one_file() {
    let (temp, mailbox) = mailbox();
    for second in [1, 1, 9] {
        mailbox.send(mail("outbox-7", second)).await.unwrap();
    }
    let again = Mailbox::open(&temp.path().join("data/mailbox")).unwrap();
    again.send(mail("outbox-7", 20)).await.unwrap();
    assert_eq!(mailbox.list(10).await.unwrap().len(), 1);
    mailbox.send(mail("outbox-77", 1)).await.unwrap();
    assert_eq!(mailbox.list(10).await.unwrap().len(), 2, "another id that ends alike is another mail");
}

#[tokio::test]
async fn the_same_message_many_times_at_once_leaves_one_file() {
    let (_temp, mailbox) = mailbox();
    let sends = (0..16).map(|second| {
        let mailbox = mailbox.clone();
        tokio::spawn(async move { mailbox.send(mail("once", second)).await })
    });
    for sent in futures::future::join_all(sends).await {
        sent.unwrap().unwrap();
    }
    assert_eq!(mailbox.list(100).await.unwrap().len(), 1);
}

#[tokio::test]
async fn no_file_name_holds_an_address_or_leaves_the_folder() {
    let (temp, mailbox) = mailbox();
    for id in ["<ada@example.com>", "../../up", "a/b", "ada@example.com", "..", "", &"x".repeat(300)] {
        mailbox.send(mail(id, 1)).await.unwrap();
    }
    let listed = mailbox.list(100).await.unwrap();
    assert_eq!(listed.len(), 7);
    assert!(listed.iter().all(|mail| !mail.file.contains(['@', '/']) && !mail.file.contains("example")));
    assert_eq!(fs::read_dir(temp.path().join("data/mailbox")).unwrap().count(), 7);
}

#[tokio::test]
async fn a_header_injection_leaves_no_file() {
    let (_temp, mailbox) = mailbox();
    let bad = Mail { subject: "Hi\r\nBcc: eve@example.com".to_owned(), ..mail("m", 1) };
    let error = mailbox.send(bad).await.unwrap_err();
    assert!(!error.to_string().contains("eve@"), "an error holds nothing of the mail");
    let bad = Mail { to: "ada@example.com\r\nBcc: eve@example.com".to_owned(), ..mail("m", 1) };
    assert!(mailbox.send(bad).await.is_err());
    assert!(mailbox.list(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn only_a_listed_name_is_read() {
    let (temp, mailbox) = mailbox();
    mailbox.send(mail("m", 1)).await.unwrap();
    let good = mailbox.list(1).await.unwrap().remove(0).file;
    let folder = temp.path().join("data/mailbox");
    fs::copy(folder.join(&good), temp.path().join("data").join(&good)).unwrap();
    fs::copy(folder.join(&good), folder.join("notes.eml")).unwrap();
    fs::create_dir(folder.join("20231114T221323005Z-folder.eml")).unwrap();
    assert!(mailbox.read(&good).await.unwrap().is_some());
    let absolute = folder.join(&good).display().to_string();
    let refused = [
        "",
        ".",
        "..",
        "notes.eml",
        "20231114T221323005Z-folder.eml",
        "20231114T221323005Z-none.eml",
        "20231314T221323005Z-m.eml",
        &format!("../{good}"),
        &format!("./{good}"),
        &format!("../mailbox/{good}"),
        &format!("{good}/"),
        &format!("{good}\0"),
        &good.replace(".eml", ".EML"),
        &good.replace(".eml", ""),
        &good.replace("-m", "-%6d"),
        &good.replace("-m", "-../m"),
        absolute.as_str(),
    ];
    for name in refused {
        assert!(mailbox.read(name).await.unwrap().is_none(), "{name:?}");
    }
    assert_eq!(mailbox.list(10).await.unwrap().len(), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn the_folder_is_private_and_no_link_in_it_is_followed() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let (temp, mailbox) = mailbox();
    let folder = temp.path().join("data/mailbox");
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    mailbox.send(mail("m", 1)).await.unwrap();
    let good = mailbox.list(1).await.unwrap().remove(0).file;
    symlink(folder.join(&good), folder.join("20231114T221323005Z-link.eml")).unwrap();
    assert!(mailbox.read("20231114T221323005Z-link.eml").await.unwrap().is_none());
    assert_eq!(mailbox.list(10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_killed_writers_staged_file_is_never_listed_and_is_swept() {
    let (temp, mailbox) = mailbox();
    let folder = temp.path().join("data/mailbox");
    fs::write(folder.join(".20231114T221323005Z-m.eml.1.tmp"), b"half").unwrap();
    assert!(mailbox.list(10).await.unwrap().is_empty());
    Mailbox::open(&folder).unwrap();
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

#[tokio::test]
async fn the_oldest_mails_make_room() {
    let (temp, mailbox) = mailbox();
    let folder = temp.path().join("data/mailbox");
    let bytes = message::encode(&mail("seed", 0)).unwrap();
    for second in 0..MAX_MAILS {
        let date = mail("x", second as i64).date;
        fs::write(folder.join(format!("{}-old{second}.eml", date.format(STAMP))), &bytes).unwrap();
    }
    mailbox.send(mail("newest", 100_000)).await.unwrap();
    let listed = mailbox.list(usize::MAX).await.unwrap();
    assert_eq!(listed.len(), MAX_MAILS);
    assert!(listed[0].file.ends_with("-newest.eml"));
    assert!(listed.last().is_some_and(|oldest| oldest.file.ends_with("-old1.eml")));
}

#[tokio::test]
async fn e1_an_account_is_forgotten_with_its_mails_and_the_last_one_has_no_address() {
    let (_temp, mailbox) = mailbox();
    let (ada, ben) = (AccountId(uuid::Uuid::from_u128(1)), AccountId(uuid::Uuid::from_u128(2)));
    let to = |address: &str, account, id: &str| Mail { to: address.to_owned(), account, ..mail(id, 1) };
    for mail in [
        to("ada@example.com", ada, "now"),
        to("ada@before.example", ada, "before"),
        to("ada@example.com", ben, "hers-too"),
        to("ben@example.com", ben, "his"),
    ] {
        mailbox.send(mail).await.unwrap();
    }
    mailbox.forget(ada, Some("ada@example.com")).await.unwrap();
    mailbox.send(Mail { last: true, ..to("ada@example.com", ada, "last") }).await.unwrap();
    let left: Vec<(String, String)> =
        mailbox.list(10).await.unwrap().into_iter().map(|mail| (mail.subject, mail.to)).collect();
    let expected = [("Hello last", "deleted@atelier.localhost"), ("Hello his", "ben@example.com")];
    assert_eq!(left, expected.map(|(subject, to)| (subject.to_owned(), to.to_owned())));
    mailbox.forget(ada, None).await.unwrap();
    assert_eq!(mailbox.list(10).await.unwrap().len(), 1);
}
