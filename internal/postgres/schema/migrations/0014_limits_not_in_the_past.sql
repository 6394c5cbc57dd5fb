-- Limits and cohorts take effect by the readings' own time. One that took effect in the past would change what a replay decides about
-- readings that are stored, so the database refuses it from every role. It is no ENABLE ALWAYS trigger: a restored backup and a replica
-- take over what there was.

CREATE FUNCTION refuse_limit_in_the_past() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    changes timestamptz := NEW.effective_from;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        changes := NEW.ends_at;
    END IF;
    IF changes < now() THEN
        RAISE EXCEPTION '% cannot change from %: that is past', TG_TABLE_NAME, changes USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER detection_limits_not_in_the_past BEFORE INSERT OR UPDATE ON detection_limits
    FOR EACH ROW EXECUTE FUNCTION refuse_limit_in_the_past();
CREATE TRIGGER cohort_members_not_in_the_past BEFORE INSERT ON cohort_members
    FOR EACH ROW EXECUTE FUNCTION refuse_limit_in_the_past();
