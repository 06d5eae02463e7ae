-- Services whose hostname speaks HTTP, and how the ingress speaks it with their target.
CREATE TABLE web (
    service      TEXT PRIMARY KEY REFERENCES service (name) ON DELETE CASCADE,
    tls          INTEGER NOT NULL CHECK (tls IN (0, 1)),
    is_public    INTEGER NOT NULL CHECK (is_public IN (0, 1)),
    host_header  TEXT,
    verify       INTEGER NOT NULL CHECK (verify IN (0, 1)),
    ca           TEXT,
    server_name  TEXT,
    idle_seconds INTEGER NOT NULL CHECK (idle_seconds > 0)
) WITHOUT ROWID;
