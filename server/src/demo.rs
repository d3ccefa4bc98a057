//! The demo studio: a handful of creators with finished generations, and an account to play with. Made through real commands,
//! under fixed idempotency keys, so that a start that was interrupted goes on where it stopped.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use atelier_commands::command_path::Target;
use atelier_commands::use_cases::{
    Accepted, AssignPlan, CreateApiKey, Entrance, GrantCredits, RequestGeneration, SignIn, SignUp, UpdateProfile,
    VerifyEmail,
};
use atelier_commands::{CommandContext, CommandError, Origin, RefusalCode, UseCaseError, WriteSide};
use atelier_domain::account::{Account, AccountCommand, Status};
use atelier_domain::credit_ledger::{CreditLedger, GrantReason};
use atelier_domain::policy::plan::Plan;
use atelier_domain::text::{Email, Username};
use atelier_domain::{AccountId, Actor, Credits, Environment, LedgerId, LotId};
use atelier_vault::credential_rows::{claims, passwords, unproven_addresses};
use atelier_vault::{IndexKind, KeyStoreError};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::demo_content::{CREATORS, Creator, DEMO, PASSWORD, SIZES};
use crate::node::Node;

/// What the demo account can spend once everything is made.
const DEMO_CREDITS: i64 = 50_000;
/// How long each step of the demo may wait for the studio's own background work.
const PATIENCE: Duration = Duration::from_secs(120);

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Makes the demo studio if this data folder has none, and prints how to use it.
///
/// # Errors
/// When the studio refuses or does not answer; the next start goes on from there.
pub async fn ready(node: &Node, data: &Path) -> Outcome<()> {
    let file = data.join("demo.env");
    let url = &node.studio.write.public_url;
    let key = match fs::read_to_string(&file) {
        Ok(known) => value(&known, "ATELIER_API_KEY")
            .ok_or("demo.env has no ATELIER_API_KEY; remove the file to make a new one")?,
        Err(_) => {
            say("Filling in the demo studio; this takes a few seconds, the first time only ...")?;
            make(node).await?
        }
    };
    // Written anew at each start: the address may have changed. The mailbox is named by its full path.
    let mailbox = fs::canonicalize(data.join("mailbox"))?;
    let text = format!(
        "ATELIER_URL={url}\nATELIER_API_KEY={key}\nATELIER_EMAIL={}\nATELIER_PASSWORD={PASSWORD}\nATELIER_MAILBOX={}\n",
        DEMO.email(),
        mailbox.display()
    );
    write_private(&file, &text)?;
    say(&format!(
        "\n  atelier is ready.\n\n  GraphiQL   {url}/\n  Mailbox    {url}/mailbox\n  Sign in    {}  {PASSWORD}\n  Written to {}\n\n  \
         curl --request POST --url {url}/v1/generate \\\n    --header \"Authorization: Bearer {key}\" \\\n    \
         --header \"Content-Type: application/json\" \\\n    --data '{{\"prompt\": \"A calm ocean at dawn\", \"model\": \"z-image-turbo\"}}'\n\n  \
         Ctrl-C stops it; everything is kept in {}.\n",
        DEMO.email(),
        file.display(),
        data.display()
    ))
}

fn value(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
}

fn say(text: &str) -> Outcome<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

fn write_private(file: &Path, text: &str) -> Outcome<()> {
    let draft = file.with_extension("draft");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?.write_all(text.as_bytes())?;
    Ok(fs::rename(draft, file)?)
}

/// Makes everything, and returns the demo account's API key.
async fn make(node: &Node) -> Outcome<String> {
    let context = node.studio.write.request_context(Actor::Operator);
    for creator in CREATORS.iter().chain([&DEMO]) {
        let account = sign_up(node, &context, creator).await?;
        let gift = i64::try_from(creator.prompts.len()).unwrap_or(0) * 800;
        grant(node, &context, account, "gift", GrantReason::Gift, gift).await?;
        if creator.username == DEMO.username {
            AssignPlan { account, plan: Plan::Pro }.run(&node.studio.write, &context).await?;
        }
        let profile = UpdateProfile {
            account,
            display_name: Some(creator.display_name.to_owned()),
            bio: Some(creator.bio.to_owned()),
        };
        profile.run(&node.studio.write, &context).await?;
        paint(node, &context, account, creator).await?;
    }
    settle(node).await?;
    let demo = sign_in(node, &context, &DEMO).await?;
    let ledger = node.studio.write.path.load::<CreditLedger>(&LedgerId::live(demo).to_string()).await?;
    let missing = DEMO_CREDITS - ledger.state.available(node.studio.write.now()).get();
    grant(node, &context, demo, "plan", GrantReason::PlanCycle, missing).await?;
    let key = CreateApiKey {
        account: demo,
        label: Some("Demo".to_owned()),
        environment: Environment::Live,
        scopes: None,
        expires_at: None,
        daily_cap: None,
        total_cap: None,
        idempotency_key: None,
    };
    let created = key.run(&node.studio.write, &context).await?;
    settle(node).await?;
    Ok(created.secret.ok_or("a new API key has its secret")?.expose().to_owned())
}

async fn sign_up(node: &Node, context: &CommandContext, creator: &Creator) -> Outcome<AccountId> {
    let write = &node.studio.write;
    let sign_up = SignUp {
        email: creator.email(),
        password: PASSWORD.to_owned(),
        username: creator.username.to_owned(),
        minimum_age: 18,
        origin: Origin::default(),
    };
    match sign_up.run(write, context).await {
        Ok(_) => {}
        // An earlier start came this far, or almost.
        Err(CommandError::Refused(refusal)) if refusal.code == RefusalCode::UsernameTaken => {
            finish_sign_up(node, context, creator).await?;
        }
        Err(error) => return Err(error.into()),
    }
    let Some(account) = account_of(write, creator).await? else { return Err("a demo address is nobody's".into()) };
    let opened = write.path.load::<Account>(&account.to_string()).await?;
    if !opened.state.email_verified() {
        let token = token_from_mailbox(node, &creator.email()).await?;
        VerifyEmail { token, password: Some(PASSWORD.to_owned()), ..VerifyEmail::default() }
            .run(write, context)
            .await?;
    }
    Ok(account)
}

/// The account of a creator's address: the one that has proven it, or the sign-up with the creator's own username.
async fn account_of(write: &WriteSide, creator: &Creator) -> Outcome<Option<AccountId>> {
    let index = |kind, text: &str| write.blind_index.digest(kind, text);
    let by_email = index(IndexKind::Email, &Email::parse(&creator.email())?.folded());
    if let Some(claim) = claims::find(&write.pool, &by_email).await? {
        return Ok(Some(claim.account));
    }
    let by_username = index(IndexKind::Username, Username::parse(creator.username)?.as_ref());
    let Some(claim) = claims::find(&write.pool, &by_username).await? else { return Ok(None) };
    let waiting = unproven_addresses::of(&write.pool, &by_email, None, 1_000).await?;
    Ok(waiting.into_iter().map(|unproven| unproven.account).find(|account| *account == claim.account))
}

/// Opens the account of a sign-up that a killed start had begun: its names are claimed, and nobody else could have them for the
/// next ten minutes. An account that is open, be it a stranger's, is left alone.
async fn finish_sign_up(node: &Node, context: &CommandContext, creator: &Creator) -> Outcome<()> {
    let write = &node.studio.write;
    let (email, username) = (Email::parse(&creator.email())?, Username::parse(creator.username)?);
    let Some(account) = account_of(write, creator).await? else { return Ok(()) };
    if write.path.load::<Account>(&account.to_string()).await?.state.status() != Status::New {
        return Ok(());
    }
    passwords::set(&write.pool, account, &write.passwords.hash(PASSWORD).await?, write.now()).await?;
    match write.vault.store().create(account).await {
        Ok(()) | Err(KeyStoreError::AlreadyExists) => {}
        Err(error) => return Err(error.into()),
    }
    let target = Target { id: account.to_string(), subject: account };
    let open = |_| AccountCommand::Open {
        email: email.clone(),
        username: username.clone(),
        minimum_age: 18,
        vouched_by: None,
    };
    write.path.execute::<Account>(&target, context, None, open).await?;
    Ok(())
}

/// Signs in to learn the account's id, as a person would, and out again.
async fn sign_in(node: &Node, context: &CommandContext, creator: &Creator) -> Outcome<AccountId> {
    let sign_in = SignIn { email: creator.email(), password: PASSWORD.to_owned(), origin: Origin::default() };
    let Entrance::Open(signed_in) = sign_in.run(&node.studio.write, context).await? else {
        return Err("the demo's creator has turned two-factor authentication on".into());
    };
    let out = atelier_commands::use_cases::RevokeSession {
        account: signed_in.account,
        session: signed_in.session,
        reason: atelier_domain::account::SessionEnd::SignedOut,
    };
    out.run(&node.studio.write, context).await?;
    Ok(signed_in.account)
}

async fn token_from_mailbox(node: &Node, address: &str) -> Outcome<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        for mail in node.mailbox.list(1_000).await?.into_iter().filter(|mail| mail.to == address) {
            let Some(mail) = node.mailbox.read(&mail.file).await? else { continue };
            if let Some((_, token)) = mail.text.split_once("/verify-email?token=") {
                return Ok(token.lines().next().unwrap_or_default().trim().to_owned());
            }
        }
        if Instant::now() >= deadline {
            return Err("the verification mail did not arrive".into());
        }
        sleep(Duration::from_millis(50)).await;
    }
}

async fn grant(
    node: &Node,
    context: &CommandContext,
    account: AccountId,
    what: &str,
    reason: GrantReason,
    amount: i64,
) -> Outcome<()> {
    if amount <= 0 {
        return Ok(());
    }
    let ledger = LedgerId::live(account);
    // The amount is part of the id: the same gift again grants nothing.
    let lot = LotId(Uuid::new_v5(&account.0, format!("demo {what} {amount}").as_bytes()));
    let grant = GrantCredits { ledger, lot, reason, amount: Credits::new(amount), expires_at: None };
    grant.run(&node.studio.write, context).await?;
    Ok(())
}

async fn paint(node: &Node, context: &CommandContext, account: AccountId, creator: &Creator) -> Outcome<()> {
    for (number, (model, prompt)) in creator.prompts.iter().enumerate() {
        let (width, height) = SIZES[(number + creator.username.len()) % SIZES.len()];
        let request = RequestGeneration {
            account,
            environment: Environment::Live,
            api_key: None,
            prompt: (*prompt).to_owned(),
            model: (*model).to_owned(),
            width: Some(width),
            height: Some(height),
            num_images: None,
            seed: Some(number as u64 + 1),
            max_credits: None,
            publish: None,
            idempotency_key: Some(format!("demo-{}-{number}", creator.username)),
        };
        match patiently(node, context, &request).await {
            Ok(_) => {}
            // A start was killed between hold and job, and the id was closed since: the picture is asked for under another key.
            Err(CommandError::Refused(refusal)) if refusal.code == RefusalCode::AlreadyEnded => {
                let again = format!("demo-{}-{number}-again", creator.username);
                let request = RequestGeneration { idempotency_key: Some(again), ..request };
                patiently(node, context, &request).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Asks again while as many are at work as may be at once.
async fn patiently(
    node: &Node,
    context: &CommandContext,
    request: &RequestGeneration,
) -> Result<Accepted, UseCaseError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match request.clone().run(&node.studio.write, context).await {
            Err(CommandError::Refused(refusal))
                if refusal.code == RefusalCode::ConcurrencyLimit && Instant::now() < deadline =>
            {
                sleep(Duration::from_millis(50)).await;
            }
            answered => return answered,
        }
    }
}

/// Waits until the studio has nothing left to do, for as long as it gets on: a slow machine may take its time.
async fn settle(node: &Node) -> Outcome<()> {
    let store = node.studio.write.path.store();
    let (mut head, mut deadline) = (store.head().await?, Instant::now() + PATIENCE);
    while !node.studio.at_rest().await? {
        let now = store.head().await?;
        if now != head {
            (head, deadline) = (now, Instant::now() + PATIENCE);
        }
        if Instant::now() >= deadline {
            return Err("the demo studio's background work did not end in time".into());
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
