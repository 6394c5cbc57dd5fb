-- What a customer's latest device says of itself, where its readings carry device_id, battery, contact or steps.

ALTER TABLE customer_state
    ADD COLUMN device_id text             COLLATE "C", -- empty: the device sends no id; null: the readings say nothing of a device
    ADD COLUMN battery   double precision,             -- share of the charge, 0 to 1
    ADD COLUMN contact   boolean,                      -- with the skin
    ADD COLUMN steps     bigint;
