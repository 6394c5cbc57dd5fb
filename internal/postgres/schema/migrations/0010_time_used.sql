-- The time by which a customer's reading is newer than another: the earlier of its own time and its Kafka timestamp. A device
-- whose clock was ahead for a moment must not hide its later readings. NULL in rows of earlier versions, where the event's time
-- stands for it.

ALTER TABLE customer_state ADD COLUMN time_used timestamptz;

-- Whoever takes a partition over replays a part of the log for the detector, without what became a dead letter.
CREATE INDEX idx_dead_letters_offset ON dead_letters (kafka_topic, kafka_partition, kafka_offset);
