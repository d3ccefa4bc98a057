-- Mailboxes that had their sign-up bonus (U19): keyed digests, without an account beside them. ends_at: when the mark is forgotten; none while
-- its account lives. holder: a keyed digest of the grant that is on its way; none once it was made.
create table credentials.bonus_marks (
    key_version smallint    not null,
    digest      bytea       not null check (octet_length(digest) = 32),
    holder      bytea       check (octet_length(holder) = 32),
    ends_at     timestamptz,
    primary key (key_version, digest)
);
create index bonus_marks_ends on credentials.bonus_marks (ends_at) where ends_at is not null;

grant select, insert, update, delete on credentials.bonus_marks to atelier_app;
