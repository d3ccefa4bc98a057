-- Google's sign-in for frontends of another origin and for apps: where the browser goes back to, and the one-time code it goes back with
-- (A16, sec.O1, RFC 7636). A node of the release before reads neither: it ends such a journey as a sign-in on its own pages.

-- What a frontend asked for, sealed for the browser's token, of which only a digest is stored.
alter table credentials.sign_ins_elsewhere add column carried text check (length(carried) <= 8192);

-- Used once, within two minutes. Who was proven is sealed for the code itself, of which only a digest is stored: nothing here names an
-- account, and what a backup keeps of it cannot be opened.
create table credentials.sign_in_codes (
    digest     bytea       primary key check (octet_length(digest) = 32),
    carried    text        not null check (length(carried) <= 16384),
    expires_at timestamptz not null
);
create index sign_in_codes_expiry on credentials.sign_in_codes (expires_at);

grant select, insert, update, delete on credentials.sign_in_codes to atelier_app;
