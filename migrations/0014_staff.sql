-- Staff: who has roles, the link that keeps a second factor on, and every account's own history (A13, U36, sec.A2).

-- The roles an account has since a place in its stream. Found by `staff list` and by whoever asks how many admins are left; what an
-- account may do is decided by its own state. A few rows: one for each account that has or had a role.
create table credentials.staff_roles (
    account_id uuid   primary key,
    roles      text[] not null check (roles <@ array['support', 'auditor', 'admin']),
    sequence   bigint not null
);
grant select, insert, update, delete on credentials.staff_roles to atelier_app;

alter table credentials.mail_tokens
    drop constraint mail_tokens_purpose_check,
    add constraint mail_tokens_purpose_check check (purpose in ('verify_email', 'reset_password', 'keep_two_factor'));

-- What happened to an account's security, line by line, in the order of its stream. reason is sealed. staff: who of them did it, which
-- auditors see and the owner does not.
create table read_models_a.account_history_v1 (
    entry_id   uuid        primary key,
    account_id uuid        not null,
    sequence   bigint      not null,
    at         timestamptz not null,
    kind       text        not null,
    actor      text        not null,
    staff      uuid,
    about      uuid,
    detail     text,
    reason     text
);
create index account_history_v1_page on read_models_a.account_history_v1 (account_id, sequence desc);
select add_read_model('AccountHistory', 1, 'account_history_v1');
