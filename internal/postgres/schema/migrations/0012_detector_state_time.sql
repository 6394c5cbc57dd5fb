-- When a state was the newest: the time used of the latest reading in it, NULL where that has no Kafka timestamp. After a change of the
-- number of partitions the owner of the former one may still store a state of the customer, which must not replace a newer one.

ALTER TABLE detector_states ADD COLUMN time_used timestamptz;
