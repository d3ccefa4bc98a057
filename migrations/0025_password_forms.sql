-- In which form a password was hashed: nfc_version is the version of the password whose hash is of its NFC form. Where it is not the version
-- that stands, the hash is of what was typed, byte for byte: it was set by a release before this one, which may still run beside it and raises
-- the version with every password that it sets.
alter table credentials.passwords add column nfc_version bigint;
