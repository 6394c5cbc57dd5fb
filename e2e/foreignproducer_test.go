package e2e_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Events of other producers are consumed: any spacing and field order, Z or an offset, further fields, no keys, any codec.
func TestForeignProducersAreUnderstood(t *testing.T) {
	t.Parallel()
	for name, codec := range map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			records := foreignRecords(300)
			f.send(records, kgo.ProducerBatchCompression(codec), kgo.DisableIdempotentWrite(), kgo.RequiredAcks(kgo.LeaderAck()))
			f.drain()
			read := f.audit()
			if len(read.events) != len(records) {
				t.Errorf("%d of %d foreign events are readings, want all", len(read.events), len(records))
			}
		})
	}
}

// foreignRecords are valid events in many spellings.
func foreignRecords(count int) []*kgo.Record {
	now := time.Now().Truncate(time.Millisecond)
	east := time.FixedZone("", 5*3600+30*60)
	spellings := []string{
		`{ "customer_id" : "%s" , "heart_rate" : %d , "timestamp" : "%s" }`,
		"{\n\t\"timestamp\": \"%[3]s\",\n\t\"heart_rate\": %[2]d,\n\t\"customer_id\": \"%[1]s\"\n}\n",
		`{"device":"strap-7","battery":0.83,"customer_id":"%s","heart_rate":%d.0,"position":{"lat":48.1,"lon":[11.5]},"timestamp":"%s"}`,
		`{"heart_rate":%[2]de0,"timestamp":"%[3]s","customer_id":"%[1]s","note":"r\u00e9sum\u00e9 😀"}`,
	}
	stamps := []string{
		now.UTC().Format("2006-01-02T15:04:05.000Z"), now.In(east).Format("2006-01-02 15:04:05.000000-07:00"),
		now.UTC().Format("2006-01-02T15:04:05-00:00"), now.In(east).Format("2006-01-02T15:04:05.000000000Z07:00"),
	}
	var records []*kgo.Record
	for i := range count {
		customer := fmt.Sprintf("CUST_%05d", 1+i%97)
		value := fmt.Sprintf(spellings[i%4], customer, 30+i%200, stamps[i/4%4])
		record := &kgo.Record{Partition: int32(i % 3), Timestamp: now, Value: []byte(value)}
		if i%5 > 0 {
			record.Key = []byte(customer)
		}
		if i%7 == 0 {
			record.Headers = []kgo.RecordHeader{{Key: "content-type", Value: []byte("application/json")}}
		}
		records = append(records, record)
	}
	return records
}

// Events of aborted transactions are not stored, and the offsets that they and the markers take are accounted for.
func TestAbortedTransactionsAreAccountedFor(t *testing.T) {
	t.Parallel()
	proves(t, "P2")
	f := newFixture(t)
	producer := client(t, f.broker, kgo.TransactionalID(f.topic), kgo.DefaultProduceTopic(f.topic), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	aborted := 0
	for round := range 12 {
		if err := producer.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		records := foreignRecords(30)
		if err := producer.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
			t.Fatalf("produce in a transaction: %v", err)
		}
		commit := kgo.TransactionEndTry(round%3 != 1)
		if !commit {
			aborted += len(records)
		}
		if err := producer.EndTransaction(t.Context(), commit); err != nil {
			t.Fatalf("end transaction: %v", err)
		}
	}
	f.drain()
	f.audit()
	if skipped := value[int64](t, f.pool, `SELECT sum(skipped)::bigint FROM ingest_progress`); skipped <= int64(aborted) {
		t.Errorf("%d offsets skipped, want those of %d aborted events and of the markers", skipped, aborted)
	}
}
