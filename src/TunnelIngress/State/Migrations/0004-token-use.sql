-- When and from where each secret was last used. Beside the token, so that its uses are no change of the state.
CREATE TABLE token_use (
    client_id TEXT NOT NULL REFERENCES token (client_id) ON DELETE CASCADE,
    version   INTEGER NOT NULL,
    used_at   INTEGER NOT NULL,
    used_from TEXT NOT NULL,
    PRIMARY KEY (client_id, version)
) WITHOUT ROWID;
