-- The people who use the console, their sessions, and who read whose data.
--
-- Users are rows and not roles of the database: a nurse needs no right to connect to it, and a hospital that signs people in
-- through its proxy keeps no password here at all. A user is disabled and never deleted, because alarms and limits keep the name.

CREATE TABLE console_users (
    name            text        COLLATE "C" NOT NULL PRIMARY KEY,
    role            text        COLLATE "C" NOT NULL,
    password_hash   text        COLLATE "C",             -- argon2id in PHC string format; null for a user who signs in through a proxy
    created_at      timestamptz NOT NULL DEFAULT now(),
    password_at     timestamptz,                         -- when the password was last set
    last_sign_in_at timestamptz,                         -- with the password
    disabled_at     timestamptz,
    CONSTRAINT console_users_name_wellformed CHECK (name ~ '^[a-z0-9][a-z0-9._@+-]{0,63}$'),
    CONSTRAINT console_users_name_not_reserved CHECK (name NOT IN ('local', 'token')), -- actors that are no users
    CONSTRAINT console_users_role_known CHECK (role IN ('viewer', 'operator', 'admin')),
    CONSTRAINT console_users_password_is_a_hash CHECK (password_hash LIKE '$argon2id$%'),
    CONSTRAINT console_users_password_has_a_time CHECK ((password_hash IS NULL) = (password_at IS NULL))
);

-- Sessions live in the database so that they survive a restart and hold for every console. Only a hash of what the cookie
-- carries is stored: who reads this table cannot sign in with it.
CREATE TABLE console_sessions (
    session_hash bytea       NOT NULL PRIMARY KEY,
    user_name    text        COLLATE "C" REFERENCES console_users, -- null for a session that was begun with the token
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL DEFAULT now(),       -- to the minute
    CONSTRAINT console_sessions_hash_is_sha256 CHECK (octet_length(session_hash) = 32)
);

CREATE INDEX idx_console_sessions_user ON console_sessions (user_name, created_at);
CREATE INDEX idx_console_sessions_expiry ON console_sessions (expires_at);

-- Who read one person's data, where --audit-reads is set. Append-only, like the history of alarms.
CREATE TABLE audited_reads (
    read_id bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now(),
    actor   text        COLLATE "C" NOT NULL,
    method  text        COLLATE "C" NOT NULL, -- how the actor signed in
    subject text        COLLATE "C" NOT NULL,
    route   text        COLLATE "C" NOT NULL,
    CONSTRAINT audited_reads_method_known CHECK (method IN ('password', 'token', 'proxy', 'local')),
    CONSTRAINT audited_reads_complete CHECK (actor <> '' AND subject <> '' AND route <> '')
);

CREATE INDEX idx_audited_reads_subject ON audited_reads (subject, at);
CREATE INDEX idx_audited_reads_actor ON audited_reads (actor, at);

CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER audited_reads_append_only BEFORE UPDATE OR DELETE ON audited_reads
    FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audited_reads_no_truncate BEFORE TRUNCATE ON audited_reads
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
ALTER TABLE audited_reads ENABLE ALWAYS TRIGGER audited_reads_append_only, ENABLE ALWAYS TRIGGER audited_reads_no_truncate;
