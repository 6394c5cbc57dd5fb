"""Reads a topic from its start with kafka-python and prints each record's value on a line."""

import sys

from kafka import KafkaConsumer, TopicPartition

broker, topic, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
consumer = KafkaConsumer(bootstrap_servers=broker, consumer_timeout_ms=30000, enable_auto_commit=False)
partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic)]
consumer.assign(partitions)
consumer.seek_to_beginning(*partitions)
for record in consumer:
    sys.stdout.buffer.write(record.value + b"\n")
    count -= 1
    if count == 0:
        break
consumer.close()
