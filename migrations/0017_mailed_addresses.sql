-- Which address a link was mailed to, as a digest of its sealed form: a link proves that one and no later one (U26, A13). Links of before
-- have none and end within a day.
alter table credentials.mail_tokens add column address bytea check (octet_length(address) = 32);
