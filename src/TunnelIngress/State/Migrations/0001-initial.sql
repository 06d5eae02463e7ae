CREATE TABLE revision (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    value    INTEGER NOT NULL
);
INSERT INTO revision (only_row, value) VALUES (1, 0);

CREATE TABLE tunnel (
    name       TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE service (
    name       TEXT PRIMARY KEY,
    hostname   TEXT NOT NULL UNIQUE,
    tunnel     TEXT NOT NULL REFERENCES tunnel (name),
    created_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE token (
    client_id      TEXT PRIMARY KEY,
    name           TEXT NOT NULL,
    connect_tunnel TEXT REFERENCES tunnel (name),
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER,
    revoked_at     INTEGER
) WITHOUT ROWID;

CREATE TABLE token_service (
    client_id TEXT NOT NULL REFERENCES token (client_id),
    service   TEXT NOT NULL REFERENCES service (name) ON DELETE CASCADE,
    PRIMARY KEY (client_id, service)
) WITHOUT ROWID;

-- Several while a rotation overlaps; valid_until is set on all but the newest.
CREATE TABLE token_secret (
    client_id   TEXT NOT NULL REFERENCES token (client_id),
    version     INTEGER NOT NULL,
    hash        BLOB NOT NULL,
    valid_until INTEGER,
    PRIMARY KEY (client_id, version)
) WITHOUT ROWID;
