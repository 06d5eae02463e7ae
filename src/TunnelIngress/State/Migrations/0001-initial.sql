-- Times are Unix times in milliseconds, UTC. Foreign keys hold the rules on removal; IStateStore documents them.

-- One row. Every mutation counts it up in its own transaction; running ingresses watch it.
CREATE TABLE revision (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    value    INTEGER NOT NULL
) STRICT;
INSERT INTO revision (only_row, value) VALUES (1, 1);

CREATE TABLE tunnels (
    name       TEXT    NOT NULL PRIMARY KEY,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE services (
    name       TEXT    NOT NULL PRIMARY KEY,
    hostname   TEXT    NOT NULL UNIQUE,
    tunnel     TEXT    NOT NULL REFERENCES tunnels (name) ON DELETE RESTRICT,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX services_by_tunnel ON services (tunnel);

-- connect_tunnel set: a connector's token. Not set: an application's, for the services in token_services.
CREATE TABLE tokens (
    client_id      TEXT    NOT NULL PRIMARY KEY,
    name           TEXT    NOT NULL,
    connect_tunnel TEXT    REFERENCES tunnels (name) ON DELETE CASCADE,
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER,
    revoked_at     INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_by_tunnel ON tokens (connect_tunnel);

CREATE TABLE token_services (
    client_id TEXT NOT NULL REFERENCES tokens (client_id) ON DELETE CASCADE,
    service   TEXT NOT NULL REFERENCES services (name) ON DELETE CASCADE,
    PRIMARY KEY (client_id, service)
) STRICT, WITHOUT ROWID;
CREATE INDEX token_services_by_service ON token_services (service);

-- valid_until is null for the current version only.
CREATE TABLE token_secrets (
    client_id   TEXT    NOT NULL REFERENCES tokens (client_id) ON DELETE CASCADE,
    version     INTEGER NOT NULL CHECK (version > 0),
    hash        BLOB    NOT NULL CHECK (length(hash) = 32),
    created_at  INTEGER NOT NULL,
    valid_until INTEGER,
    PRIMARY KEY (client_id, version)
) STRICT, WITHOUT ROWID;
