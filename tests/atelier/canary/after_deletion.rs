//! What is left of somebody whose account is deleted: nothing, in no place, also when every read model is built anew (E1, E3).

use std::path::Path;

use serde_json::{Value, json};
use sqlx::PgConnection;

use super::bystander;
use super::every_text::{self, Own};
use super::journey::{self, Secrets};
use super::search::Search;
use super::{CONTROL, IDEMPOTENCY_KEY, MARK, start, write_out};
use crate::harness::process::{Home, until};
use crate::harness::visitor::Visitor;

/// The read models, by account: how many rows are this one's, and a digest of everybody else's.
async fn read_models(admin: &mut PgConnection, account: &str) -> Vec<(String, i64, String)> {
    let tables: Vec<(String, String)> = sqlx::query_as(
        "select t.table_name, min(c.column_name::text) from read_model_tables t \
         join information_schema.columns c on c.table_schema = 'read_models_a' and c.table_name = t.table_name \
         where c.column_name in ('account_id', 'creator_id') group by 1 order by 1",
    )
    .fetch_all(&mut *admin)
    .await
    .expect("the catalogue answers");
    assert!(tables.len() >= 8, "{tables:?}");
    let mut found = Vec::new();
    for (table, column) in tables {
        // Of the deleted one nothing may be in either half; of the others what is served counts.
        let sql = format!(
            "select (select count(*) from read_models_a.{table} where {column}::text = $1) \
                  + (select count(*) from read_models_b.{table} where {column}::text = $1), \
             coalesce((select md5(string_agg(r::text, ';' order by r::text)) from read_models.{table} r where {column}::text <> $1), '')"
        );
        let (mine, others) = sqlx::query_as(&sql).bind(account).fetch_one(&mut *admin).await.expect("rows");
        found.push((table, mine, others));
    }
    found
}

/// Whether everything that follows the log has reached its end.
async fn caught_up(admin: &mut PgConnection) -> bool {
    let reached =
        "select coalesce(min(position), 0) = (select max(position) from events) from checkpoints where serving";
    sqlx::query_scalar(reached).fetch_one(admin).await.expect("the checkpoints answer")
}

/// A face, a second factor's seed, a device, a copy of everything: what the journey itself leaves out.
async fn furnishes(visitor: &Visitor, session: &str, mailbox: &Path) {
    let upload = "mutation { requestAvatarUpload { upload { url } userErrors { code } } }";
    let place = visitor.graphql(Some(session), upload, json!({})).await["upload"]["url"].take();
    let place = place.as_str().expect("a place").to_owned();
    let path = place.strip_prefix(&visitor.url).unwrap_or(&place).to_owned();
    let put = visitor.request("PUT", &path).body(crate::accounts::avatars::picture(9)).send().await;
    assert!(put.expect("the process answers").status().is_success());
    let enrol = "mutation { enrolTwoFactor { secret userErrors { code } } }";
    visitor.graphql(Some(session), enrol, json!({})).await;
    let export = "mutation { requestDataExport { exportId userErrors { code } } }";
    visitor.graphql(Some(session), export, json!({})).await;
    until("a copy of everything, and both mails about it", async || {
        let entries = std::fs::read_dir(mailbox).ok()?;
        let mails: Vec<String> = entries.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok()).collect();
        let said = |subject: &str| mails.iter().any(|mail| mail.contains(subject));
        (said("A copy of your data was asked for") && said("The copy of your data is ready")).then_some(())
    })
    .await;
}

/// Deletes the account and waits for its last mail; its id.
async fn leaves(visitor: &Visitor, secrets: &Secrets, mailbox: &Path) -> String {
    let session = secrets.session();
    let me = visitor.graphql(Some(session), "{ me { id } }", json!({})).await;
    let offer = "mutation { requestAccountDeletion { token userErrors { code } } }";
    let offered = visitor.graphql(Some(session), offer, json!({})).await;
    let confirm = "mutation($input: ConfirmAccountDeletionInput!) { confirmAccountDeletion(input: $input) { userErrors { code } } }";
    let input = json!({ "token": offered["token"], "username": secrets.username() });
    visitor.graphql(Some(session), confirm, json!({ "input": input })).await;
    until("the last mail", async || {
        let mut mails =
            std::fs::read_dir(mailbox).ok()?.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok());
        mails.any(|mail| mail.contains("Your account is deleted")).then_some(())
    })
    .await;
    let hex = me["id"].as_str().and_then(|id| id.strip_prefix("acc_")).expect("an id");
    uuid::Uuid::parse_str(hex).expect("a UUID").to_string()
}

/// Every row of every table as a dump writes it: what the files hold compressed is plain here.
async fn dumped(admin: &mut PgConnection) -> String {
    let tables = "select format('%I.%I', schemaname, tablename) from pg_tables \
                  where schemaname not in ('pg_catalog', 'information_schema') order by 1";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut *admin).await.expect("the catalogue answers");
    assert!(tables.len() > 40, "{tables:?}");
    let mut dump = String::new();
    for table in tables {
        let rows = format!("select coalesce(string_agg(t::text, E'\\n'), '') from {table} t");
        let rows: String = sqlx::query_scalar(&rows).fetch_one(&mut *admin).await.expect("rows");
        dump.push_str(&rows);
    }
    dump
}

/// The files under a folder whose path names the account.
fn files_of(folder: &Path, account: &str) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("our own folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.display().to_string().contains(account) {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn e1_e3_of_a_deleted_account_nothing_is_found_anywhere_and_no_rebuild_brings_it_back() {
    let home = Home::open().await;
    let (served, visitor) = start(&home).await;
    let (mailbox, media, keys) = (home.data().join("mailbox"), home.data().join("media"), home.data().join("keys"));
    let (secrets, _) = journey::run(&visitor, &mailbox).await;
    furnishes(&visitor, secrets.session(), &mailbox).await;
    let somebody = bystander::somebody_else(&visitor, &mailbox).await;
    let own = Own { session: secrets.session(), key: secrets.api_key(), username: secrets.username() };
    let (fields, parameters) = every_text::sends(&visitor, &own).await;
    assert!(fields > 80 && parameters > 30, "{fields} fields, {parameters} parameters: the documents were not read");
    let search = Search::of(secrets.all().chain([("a planted text", MARK), ("an idempotency key", IDEMPOTENCY_KEY)]));
    assert!(!search.finds_under(&mailbox).1.is_empty(), "the search would find the mails");

    let before = somebody.looks(&visitor).await;
    let account = leaves(&visitor, &secrets, &mailbox).await;
    let mut admin = home.superuser().await.expect("PostgreSQL runs");
    let followed = until("the read models to forget", async || {
        if !caught_up(&mut admin).await {
            return None;
        }
        let rows = read_models(&mut admin, &account).await;
        rows.iter().all(|(_, mine, _)| *mine == 0).then_some(rows)
    })
    .await;
    assert!(
        followed.iter().filter(|(_, _, others)| !others.is_empty()).count() >= 6,
        "somebody else is there: {followed:?}"
    );
    let names: Vec<String> = sqlx::query_scalar("select distinct name from read_model_tables order by name")
        .fetch_all(&mut admin)
        .await
        .expect("names");
    drop(admin);
    let mut ended = vec![served.stop("INT").await];

    // E3: every read model from the first event.
    assert!(names.len() >= 8, "{names:?}");
    for name in &names {
        ended.push(home.run(&["projections", "rebuild", name]).await);
    }
    let (served, visitor) = start(&home).await;
    let mut admin = home.superuser().await.expect("PostgreSQL runs");
    assert_eq!(read_models(&mut admin, &account).await, followed, "E3: nobody comes back, nobody else changes");
    assert_eq!(somebody.looks(&visitor).await, before);
    let gone = "query($name: String!) { creator(username: $name) { id } }";
    assert_eq!(visitor.graphql(None, gone, json!({ "name": secrets.username() })).await, Value::Null);
    write_out(&mut admin).await;
    let dump = dumped(&mut admin).await;
    drop(admin);
    ended.push(served.stop("INT").await);
    ended.push(home.run(&["doctor"]).await);

    // E1: every place.
    let logged: String = ended.iter().map(|end| format!("{}{}", end.logged, end.said)).collect();
    let mut finds = search.finds("the log", logged.as_bytes());
    finds.extend(search.finds("a dump", dump.as_bytes()));
    assert!(!Search::of([("the control", CONTROL)]).finds("a dump", dump.as_bytes()).is_empty(), "the dump has rows");
    for folder in [home.postgres(), keys.clone(), media.clone(), mailbox.clone()] {
        let (files, found) = search.finds_under(&folder);
        assert!(files > 0, "{} is empty", folder.display());
        finds.extend(found);
    }
    assert!(finds.is_empty(), "{} finds\n{}", finds.len(), finds.join("\n"));
    assert_eq!(files_of(&media, &account), [""; 0], "pictures and faces");
    let keys = files_of(&keys, &account);
    assert!(!keys.is_empty() && keys.iter().all(|file| is_tombstone(file)), "{keys:?}");
}

/// Whether what is left of a key says only that it is gone.
fn is_tombstone(file: &str) -> bool {
    let left = std::fs::read(file).expect("a file");
    let left: Value = serde_json::from_slice(&left).expect("JSON of ours");
    left["profile"] == json!("shredded") && left["billing"] == json!("shredded")
}
