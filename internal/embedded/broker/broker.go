// Package broker runs the Kafka broker that `heartbeat up` and the tests start: franz-go's kfake, which speaks the real protocol
// over TCP, with its data on disk.
//
// It refuses to be a production broker: it keeps one replica, knows no authentication and listens on the loopback address
// alone. Start may be called concurrently, but a directory serves one broker at a time: Start locks it, and the kernel drops
// the lock when the process dies. The context bounds the start, not the life of the broker.
//
// A reading passes through it on the way from internal/kafka's producer to its consumer.
package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"heartbeat/internal/embedded/datadir"
	"heartbeat/internal/port"
)

const (
	defaultPartitions  = 3
	defaultRetainBytes = 256 << 20
	// segmentBytes keeps the pieces small in which the log gives disk and memory back.
	segmentBytes = 16 << 20
)

// Options say how to run the broker.
type Options struct {
	Dir       string // kept between runs; "" keeps everything in memory
	Port      int    // 0 is any free one
	PortAsked bool   // the port was asked for: refuse where it is taken, rather than use the next free one

	Partitions  int          // of topics that are created without a number; 0 is 3
	RetainBytes int64        // of all topics together, in equal shares for all partitions; 0 is 256 MiB
	Logger      *slog.Logger // nil logs nothing
}

// Broker is a running broker of a cluster of one. It listens on the loopback address alone, without authentication. Clients must create the
// topics they want: a misspelt name is an error, not a new topic.
//
// Acknowledged records survive the death of the process, because they are in the system's page cache by then; the death of
// the machine may cost the last seconds, as with Apache Kafka's defaults. A batch whose acknowledgement was lost when the
// process was killed may be stored a second time, because the broker has forgotten the producer's sequence numbers. A log
// starts over at offset 0 only when its topic is deleted. Compacted topics are not trimmed.
//
// The log is bounded in time by each topic's retention.ms, and in space by RetainBytes. Records are on disk alone, but memory
// holds an index entry of 80 bytes for each batch, and a restart after a crash reads the whole log. At 2,000 small events a
// second the default holds 40 minutes and takes 150 MB of memory; at 2 a second it holds days.
type Broker struct {
	Port int // what it listens on, which may not be the port in the options

	cluster *kfake.Cluster
	release func() error
	cancel  context.CancelFunc // ends the retention loop
	loops   sync.WaitGroup
	stop    func() error // once
}

// Start starts the broker with what Dir holds.
func Start(ctx context.Context, options Options) (*Broker, error) {
	b, err := start(ctx, options)
	if err != nil {
		return nil, fmt.Errorf("start broker: %w", err)
	}
	return b, nil
}

func start(ctx context.Context, options Options) (*Broker, error) {
	options.setDefaults()
	log := options.Logger.With("component", "broker")
	b := &Broker{release: func() error { return nil }}
	if options.Dir != "" {
		release, err := datadir.Lock(options.Dir)
		if err != nil {
			return nil, err
		}
		b.release = release
		if err := restrict(options.Dir); err != nil {
			return nil, errors.Join(fmt.Errorf("restrict access to the data: %w", err), release())
		}
	}
	if err := b.open(options, log); err != nil {
		return nil, errors.Join(err, b.release())
	}
	b.stop = sync.OnceValue(b.close)
	if err := b.keepBounded(ctx, options.RetainBytes, log); err != nil {
		return nil, errors.Join(err, b.stop())
	}
	if options.Port != 0 && b.Port != options.Port {
		log.Warn("port is taken, using the next free one", "wanted", options.Port, "port", b.Port)
	}
	log.Info("broker is ready", "port", b.Port, "data", options.Dir)
	return b, nil
}

func (o *Options) setDefaults() {
	if o.Partitions == 0 {
		o.Partitions = defaultPartitions
	}
	if o.RetainBytes == 0 {
		o.RetainBytes = defaultRetainBytes
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// open listens and loads what the directory holds.
func (b *Broker) open(options Options, log *slog.Logger) error {
	listener, err := port.Listen(options.Port, options.PortAsked)
	if err != nil {
		return err
	}
	b.Port = listener.Addr().(*net.TCPAddr).Port
	b.cluster, err = kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.ListenFn(func(string, string) (net.Listener, error) { return listener, nil }),
		kfake.DataDir(options.Dir),
		kfake.DefaultNumPartitions(options.Partitions),
		kfake.MaxVersions(versions()),
		kfake.BrokerConfigs(map[string]string{
			"log.segment.bytes": strconv.Itoa(segmentBytes),
			// kfake's own retention would empty an idle log, and an emptied log starts over at offset 0 when it is loaded
			// again. An endless interval switches it off; our retention keeps the last batch.
			"log.cleaner.backoff.ms": strconv.FormatInt(never.Milliseconds(), 10),
		}),
		kfake.WithLogger(clusterLog{log}),
	)
	if err != nil {
		listener.Close()
		return fmt.Errorf("open log in %s: %w", options.Dir, err)
	}
	if options.Dir == "" {
		return nil
	}
	debug.FreeOSMemory() // after a crash the whole log was read, to index it
	if err := forgetSequences(options.Dir); err != nil {
		b.cluster.Close()
		return err
	}
	return nil
}

// forgetSequences removes kfake's file of the sequence number of each idempotent producer at the last clean stop. The cluster
// has read it. After a crash the file would be stale, and a producer that lives on would get OUT_OF_ORDER_SEQUENCE_NUMBER.
func forgetSequences(dir string) error {
	err := os.Remove(filepath.Join(dir, "seq_windows.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// versions are those of a current broker, without two responses of kfake that Apache Kafka's tools fail on and can do
// without: DescribeTopicPartitions, and the settings in the response of CreateTopics from version 5 on.
func versions() *kversion.Versions {
	versions := kversion.Stable()
	versions.SetMaxKeyVersion(kmsg.DescribeTopicPartitions.Int16(), -1)
	versions.SetMaxKeyVersion(kmsg.CreateTopics.Int16(), 4)
	return versions
}

// Address returns host and port for clients.
func (b *Broker) Address() string { return port.Address(b.Port) }

// Stop ends all connections and closes the log. A second call waits for the first.
func (b *Broker) Stop(ctx context.Context) error {
	stopped := make(chan error, 1)
	go func() { stopped <- b.stop() }()
	select {
	case err := <-stopped:
		return err
	case <-ctx.Done():
		return fmt.Errorf("stop broker: %w", ctx.Err())
	}
}

func (b *Broker) close() error {
	if b.cancel != nil {
		b.cancel()
	}
	b.loops.Wait()
	b.cluster.Close()
	return b.release()
}
