-- A sign-up claims its username alone. Its address is claimed when it is proven, by the mail's link and something of that very sign-up; so
-- a stranger who signs up with an address keeps nobody from it (U26, sec.S4).

-- Whose address is unproven, by the address's keyed digest. `sign_up_token` is the keyed digest of the token that `signUp` returned.
create table credentials.unproven_addresses (
    account_id    uuid        primary key,
    key_version   smallint    not null,
    digest        bytea       not null check (octet_length(digest) = 32),
    sign_up_token bytea       check (octet_length(sign_up_token) = 32),
    since         timestamptz not null
);
create index unproven_addresses_by_address on credentials.unproven_addresses (key_version, digest, since);

-- When mails that anybody can ask for go to an address: one a minute, ten a day. A row is kept for a day after its mail.
create table credentials.address_mails (
    mail_id     text        primary key,
    key_version smallint    not null,
    digest      bytea       not null check (octet_length(digest) = 32),
    goes_at     timestamptz not null
);
create index address_mails_by_address on credentials.address_mails (key_version, digest, goes_at);
create index address_mails_by_time on credentials.address_mails (goes_at);

grant select, insert, update, delete on credentials.unproven_addresses, credentials.address_mails to atelier_app;

-- Accounts of earlier releases: an address whose last word in the log is not that it was proven is unproven. A sign-up that never was
-- proven gives its claim up; an account that staff gave another address keeps it. What is pending belongs to a request at work.
with unproven as (
    select c.account_id, c.key_version, c.digest, c.claimed_at,
           exists (select from events e where e.aggregate_type = 'Account' and e.aggregate_id = c.account_id::text
                     and e.event_type = 'EmailVerified') as was_proven
    from credentials.claims c
    where c.kind = 'email' and c.state = 'held'
      and exists (select from events e where e.aggregate_type = 'Account' and e.aggregate_id = c.account_id::text)
      and coalesce((select e.event_type from events e where e.aggregate_type = 'Account' and e.aggregate_id = c.account_id::text
                      and e.event_type in ('EmailVerified', 'EmailChanged') order by e.sequence desc limit 1), '') <> 'EmailVerified'
), noted as (
    insert into credentials.unproven_addresses (account_id, key_version, digest, since)
    select account_id, key_version, digest, claimed_at from unproven
    on conflict do nothing
)
delete from credentials.claims c using unproven u
where c.kind = 'email' and c.account_id = u.account_id and c.digest = u.digest and not u.was_proven;
