-- A destination is called ten times a minute at most, by all notifiers together and with the attempts that fail.

ALTER TABLE notification_destinations
    ADD COLUMN calls timestamptz[] NOT NULL DEFAULT '{}'; -- the times of the last minute's attempts
