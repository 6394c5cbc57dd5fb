-- The pace at which a receiver wants messages, and an index for lists of messages.
--
-- Why the time is the destination's: a receiver that asks for a pause means all messages, not the one that it answered.

ALTER TABLE notification_destinations
    ADD COLUMN not_before timestamptz; -- Retry-After of its latest refusal

CREATE INDEX idx_deliveries_listed ON deliveries (created_at, sequence); -- of all destinations, newest first; the oldest are dropped
