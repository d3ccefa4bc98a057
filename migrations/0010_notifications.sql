-- What an account wants to be told, and what it was told inside the application.

-- The language of mails and the switches that were set, each with its time, and with the version of the text agreed to where turning
-- it on is a consent (V16). A switch that was never touched has no entry: its default is a policy of the program.
create table read_models_a.notification_preferences_v1 (
    account_id uuid  primary key,
    language   text  not null,
    choices    jsonb not null
);
select add_read_model('NotificationPreferences', 1, 'notification_preferences_v1');

-- Notices inside the application. No read model: they hold read marks, and a bound pushes the oldest out. Words and ids only, nothing
-- personal; deleted with the account.
create table notices (
    notice_id  uuid        primary key,
    account_id uuid        not null,
    topic      text        not null check (length(topic) between 1 and 60),
    about      uuid,
    created_at timestamptz not null,
    read_at    timestamptz
);
create index notices_page on notices (account_id, created_at desc, notice_id desc);
create index notices_unread on notices (account_id) where read_at is null;
-- Written in the order of their time, all but: a summary per block range finds the old ones.
create index notices_age on notices using brin (created_at);

grant select, insert, update, delete on notices to atelier_app;
