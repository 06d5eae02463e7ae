-- Checks the secret as a PostgreSQL password; null for secrets made before, which are no passwords.
ALTER TABLE token_secret ADD COLUMN scram TEXT;

-- How the ingress pools a service's database. The secret is what it proves there, encrypted with a key outside this file.
CREATE TABLE pool (
    service    TEXT PRIMARY KEY REFERENCES service (name) ON DELETE CASCADE,
    settings   TEXT NOT NULL,
    secret     BLOB,
    updated_at INTEGER NOT NULL
) WITHOUT ROWID;
