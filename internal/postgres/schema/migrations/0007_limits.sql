-- The limits by which readings are judged, and who belongs to which cohort.
--
-- Both are histories: a reading is judged by what was in force at its own time, so a replay decides the same. A row is never
-- changed or removed, except that a limit gets its end, once. Whoever makes a change lets it begin a few seconds later, so that
-- every consumer knows it in time.

CREATE TABLE detection_limits (
    limit_id       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- in the order in which they were made
    scope          text        COLLATE "C" NOT NULL,
    cohort         text        COLLATE "C", -- of scope cohort
    customer_id    text        COLLATE "C", -- of scope person
    low            smallint,                -- null leaves this side to earlier limits and wider scopes
    high           smallint,
    hours_from     smallint    NOT NULL DEFAULT 0, -- minutes since midnight; the same twice is the whole day
    hours_to       smallint    NOT NULL DEFAULT 0,
    hours_offset   smallint    NOT NULL DEFAULT 0, -- of that midnight from UTC's, in minutes eastwards
    author         text        NOT NULL,
    reason         text        NOT NULL,
    made_at        timestamptz NOT NULL DEFAULT now(),
    effective_from timestamptz NOT NULL,
    ends_at        timestamptz,
    ended_by       text,                    -- who ended it by hand, and the next two
    ended_at       timestamptz,
    end_reason     text,
    CONSTRAINT detection_limits_scope_known CHECK (
        (scope = 'fleet' AND cohort IS NULL AND customer_id IS NULL)
        OR (scope = 'cohort' AND cohort <> '' AND cohort IS NOT NULL AND customer_id IS NULL)
        OR (scope = 'person' AND cohort IS NULL AND customer_id IS NOT NULL)),
    CONSTRAINT detection_limits_something_set CHECK (low IS NOT NULL OR high IS NOT NULL),
    CONSTRAINT detection_limits_low_in_range CHECK (low BETWEEN 25 AND 60),
    CONSTRAINT detection_limits_high_in_range CHECK (high BETWEEN 100 AND 230),
    CONSTRAINT detection_limits_hours_in_day CHECK (
        hours_from BETWEEN 0 AND 1439 AND hours_to BETWEEN 0 AND 1439 AND (hours_from <> hours_to OR hours_from = 0)
        AND hours_offset BETWEEN -840 AND 840),
    CONSTRAINT detection_limits_author_and_reason CHECK (author <> '' AND reason <> ''),
    CONSTRAINT detection_limits_ends_after_start CHECK (ends_at >= effective_from), -- ended before it began: never in force
    CONSTRAINT detection_limits_ended_by_someone CHECK (
        (ended_at IS NULL) = (ended_by IS NULL) AND (ended_at IS NULL) = (end_reason IS NULL) AND (ended_at IS NULL OR ends_at IS NOT NULL))
);

-- Two limits of one scope whose hours overlap without being the same would leave the detector a guess, so it refuses them
-- both. The lock makes two such inserts at one moment wait for each other. An exclusion constraint would need an extension.
CREATE FUNCTION refuse_limit_overlap() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    other bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(concat_ws('/', 'detection_limits', NEW.scope, NEW.cohort, NEW.customer_id), 0));
    SELECT held.limit_id INTO other
      FROM detection_limits AS held
     WHERE coalesce(held.ends_at > held.effective_from, true)
       AND held.scope = NEW.scope AND held.cohort IS NOT DISTINCT FROM NEW.cohort AND held.customer_id IS NOT DISTINCT FROM NEW.customer_id
       AND held.effective_from < coalesce(NEW.ends_at, 'infinity') AND coalesce(held.ends_at, 'infinity') > NEW.effective_from
       AND (held.hours_from, held.hours_to, held.hours_offset) <> (NEW.hours_from, NEW.hours_to, NEW.hours_offset)
       AND held.hours_from <> held.hours_to AND NEW.hours_from <> NEW.hours_to
       -- Starts of the day in UTC minutes: two spans overlap when one starts inside the other.
       AND ((NEW.hours_from - NEW.hours_offset - held.hours_from + held.hours_offset + 4320) % 1440 < (held.hours_to - held.hours_from + 1440) % 1440
            OR (held.hours_from - held.hours_offset - NEW.hours_from + NEW.hours_offset + 4320) % 1440 < (NEW.hours_to - NEW.hours_from + 1440) % 1440)
     ORDER BY held.limit_id
     LIMIT 1;
    IF other IS NOT NULL THEN
        RAISE EXCEPTION 'hours overlap those of limit % without being the same', other
            USING ERRCODE = 'exclusion_violation', DETAIL = other;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER detection_limits_no_overlap BEFORE INSERT ON detection_limits
    FOR EACH ROW EXECUTE FUNCTION refuse_limit_overlap();

CREATE FUNCTION refuse_limit_change() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.ended_at IS NULL AND NEW.ended_at IS NOT NULL AND NEW.ends_at <= coalesce(OLD.ends_at, 'infinity')
           AND (to_jsonb(NEW) - ARRAY['ends_at', 'ended_at', 'ended_by', 'end_reason'])
             = (to_jsonb(OLD) - ARRAY['ends_at', 'ended_at', 'ended_by', 'end_reason']) THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER detection_limits_append_only BEFORE UPDATE OR DELETE ON detection_limits
    FOR EACH ROW EXECUTE FUNCTION refuse_limit_change();
CREATE TRIGGER detection_limits_no_truncate BEFORE TRUNCATE ON detection_limits
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_history_change();
ALTER TABLE detection_limits ENABLE ALWAYS TRIGGER detection_limits_no_overlap,
    ENABLE ALWAYS TRIGGER detection_limits_append_only, ENABLE ALWAYS TRIGGER detection_limits_no_truncate;

CREATE TABLE cohort_members (
    customer_id    text        COLLATE "C" NOT NULL,
    effective_from timestamptz NOT NULL,
    cohort         text        COLLATE "C" NOT NULL, -- empty: of none from here on
    author         text        NOT NULL,
    made_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (customer_id, effective_from)
);
CREATE TRIGGER cohort_members_append_only BEFORE UPDATE OR DELETE ON cohort_members
    FOR EACH ROW EXECUTE FUNCTION refuse_limit_change();
CREATE TRIGGER cohort_members_no_truncate BEFORE TRUNCATE ON cohort_members
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_history_change();
ALTER TABLE cohort_members ENABLE ALWAYS TRIGGER cohort_members_append_only, ENABLE ALWAYS TRIGGER cohort_members_no_truncate;
