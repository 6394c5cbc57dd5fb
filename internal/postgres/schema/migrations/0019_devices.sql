-- What may send readings over HTTP, and whose.
--
-- Only the SHA-256 of a token is stored: who reads this table cannot send with it. A fast hash is enough, because a token is 256 random
-- bits. A device is revoked and never deleted, so that its name, which logs carry, never means another device.

CREATE TABLE devices (
    name           text             COLLATE "C" NOT NULL PRIMARY KEY,
    token_hash     bytea            NOT NULL UNIQUE,
    scope          text             COLLATE "C" NOT NULL, -- whose readings it may send
    customer_id    text             COLLATE "C",
    cohort         text             COLLATE "C",
    rate           double precision,                      -- readings a second; null: the gateway's default
    created_at     timestamptz      NOT NULL DEFAULT now(),
    rotated_at     timestamptz,
    previous_hash  bytea,                                 -- of the token before the rotation, valid until previous_until
    previous_until timestamptz,
    revoked_at     timestamptz,
    CONSTRAINT devices_name_wellformed CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,63}$'),
    CONSTRAINT devices_hashes_are_sha256 CHECK (octet_length(token_hash) = 32 AND octet_length(previous_hash) = 32),
    CONSTRAINT devices_scope_complete CHECK (
        CASE scope WHEN 'customer' THEN customer_id ~ '^CUST_([0-9]{5}|[1-9][0-9]{5,8})$' AND customer_id IS NOT NULL AND cohort IS NULL
                   WHEN 'cohort'   THEN customer_id IS NULL AND cohort <> '' AND cohort IS NOT NULL
                   WHEN 'all'      THEN customer_id IS NULL AND cohort IS NULL
                   ELSE false END),
    CONSTRAINT devices_rate_possible CHECK (rate > 0 AND rate <= 1000000),
    CONSTRAINT devices_previous_complete CHECK ((previous_hash IS NULL) = (previous_until IS NULL)),
    CONSTRAINT devices_revoked_has_one_token CHECK (revoked_at IS NULL OR previous_hash IS NULL)
);
