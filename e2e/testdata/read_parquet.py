"""read_parquet.py DIRECTORY DOCUMENT prints what DuckDB and pandas make of an export, as JSON: count and sums of its readings, and the
answers to the queries of the document. It runs beside the directory, as the queries expect."""

import json
import re
import sys

import duckdb
import pandas

directory = sys.argv[1]

database = duckdb.connect()
database.sql(f"CREATE VIEW readings AS FROM read_parquet('{directory}/**/*.parquet', hive_partitioning=true)")
columns = dict(database.sql("SELECT column_name, column_type FROM (DESCRIBE readings)").fetchall())
count, customers, rates, micros, partitions, offsets, days = database.sql("""
SELECT count(*), count(DISTINCT customer_id), sum(heart_rate), sum(epoch_us("timestamp")), sum(kafka_partition), sum(kafka_offset),
       count(DISTINCT "date") FILTER (WHERE "date" = ("timestamp" AT TIME ZONE 'UTC')::date)
  FROM readings""").fetchall()[0]
classes = dict(database.sql("SELECT class, count(*) FROM readings GROUP BY class").fetchall())
from_duckdb = dict(count=count, customers=customers, rates=int(rates), micros=int(micros), partitions=int(partitions), offsets=int(offsets), days=days, classes=classes)

frame = pandas.read_parquet(directory)
times = frame["timestamp"]
from_pandas = dict(
    count=len(frame),
    customers=frame["customer_id"].nunique(),
    rates=int(frame["heart_rate"].sum()),
    micros=sum((times - pandas.Timestamp(0, tz="UTC")) // pandas.Timedelta(microseconds=1)),
    partitions=int(frame["kafka_partition"].sum()),
    offsets=int(frame["kafka_offset"].sum()),
    days=int(frame["date"][frame["date"].astype(str) == times.dt.strftime("%Y-%m-%d")].nunique()),
    classes={str(name): int(n) for name, n in frame["class"].value_counts().items()},
)

document = open(sys.argv[2]).read()
document = document[document.index("### Parquet") :]
query, expression = (re.search(f"```{language}\n(.*?)```", document, re.S)[1] for language in ("sql", "python"))
from_duckdb["means"] = {name: [count, round(mean, 6)] for name, count, mean in duckdb.sql(query).fetchall()}
from_pandas["means"] = {str(row.Index): [row.count_, round(row.mean_, 6)] for row in eval(expression).add_suffix("_").itertuples()}

json.dump({"duckdb": from_duckdb, "pandas": from_pandas, "time": [columns["timestamp"], str(times.dt.tz)]}, sys.stdout, default=int)
