package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"heartbeat/internal/backoff"
)

// Config names the cluster and the topic, the credentials, and how hard to try to connect.
type Config struct {
	Brokers  []string // seed addresses, host:port
	Topic    string
	ClientID string // the client's name in the brokers' logs and metrics
	Logger   *slog.Logger
	Registry prometheus.Registerer // gets the metrics of producer, consumer and follower; nil: none

	Security Security

	Attempts      int           // tries to connect before giving up, 10 when zero
	RetryInterval time.Duration // between two tries, 5 s when zero

	// Dial replaces TCP, for tests on a virtual network. Nil dials TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

const (
	defaultClientID      = "heartbeat"
	defaultAttempts      = 10
	defaultRetryInterval = 5 * time.Second

	// A broker that neither accepts nor refuses must not make an attempt much longer than the interval.
	dialTimeout    = 5 * time.Second
	attemptTimeout = 10 * time.Second

	// The shortest time between two metadata requests, once a leader has moved or a broker has restarted.
	metadataMinAge = time.Second

	// MetadataAge is how soon readers notice added partitions.
	MetadataAge = 15 * time.Second
)

// Client is a connection to the cluster that has answered at least once. It may be shared.
type Client struct {
	kgo    *kgo.Client
	admin  *kadm.Client
	config Config
	log    *slog.Logger
}

// Connect connects to the cluster, with as many attempts as the config says and a log line for each failure. The error
// names the address and what to do.
func Connect(ctx context.Context, config Config) (*Client, error) {
	return ConnectAs(ctx, config, "")
}

// Config returns the client's settings, with their defaults.
func (c *Client) Config() Config { return c.config }

// Library returns the library's client, for the packages below this one.
func (c *Client) Library() *kgo.Client { return c.kgo }

// Admin returns the library's client for administration, for the packages below this one.
func (c *Client) Admin() *kadm.Client { return c.admin }

// Close ends the connection.
func (c *Client) Close() { c.kgo.Close() }

// Brokers returns the addresses that the cluster's brokers advertise: clients connect to these after the first response.
func (c *Client) Brokers(ctx context.Context) ([]string, error) {
	brokers, err := c.admin.ListBrokers(ctx)
	if err != nil {
		return nil, fmt.Errorf("list brokers: %w", err)
	}
	var addresses []string
	for _, broker := range brokers {
		addresses = append(addresses, net.JoinHostPort(broker.Host, strconv.Itoa(int(broker.Port))))
	}
	return addresses, nil
}

// ConnectAs is Connect with further options of the library. Its metrics carry the role; without a role there are none.
func ConnectAs(ctx context.Context, config Config, role string, options ...kgo.Opt) (*Client, error) {
	config = config.withDefaults()
	options = append(options, config.metrics(role)...)
	log := config.Logger.With("component", "kafka")
	clientLog, filter := newClientLog(log)
	filter.muted.Store(true) // awaitBroker logs its attempts itself
	client, err := config.newClient(clientLog, options)
	if err != nil {
		return nil, err
	}
	c := &Client{kgo: client, admin: kadm.NewClient(client), config: config, log: log}
	if err := c.awaitBroker(ctx); err != nil {
		client.Close()
		return nil, err
	}
	filter.muted.Store(false)
	return c, nil
}

// Open returns a client of the library that has not tried to connect yet. Its metrics carry the role; without a role there
// are none.
func (c Config) Open(role string, options ...kgo.Opt) (*kgo.Client, error) {
	c = c.withDefaults()
	clientLog, _ := newClientLog(c.Logger.With("component", "kafka"))
	return c.newClient(clientLog, append(options, c.metrics(role)...))
}

// Check refuses settings of which no client could be made, and files that they name and that cannot be read.
func (c Config) Check() error {
	_, err := c.securityOptions()
	return err
}

func (c Config) securityOptions() ([]kgo.Opt, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("set up Kafka client: %w", err)
	}
	options, err := c.Security.options()
	if err != nil {
		return nil, fmt.Errorf("set up Kafka client: %w", err)
	}
	return options, nil
}

func (c Config) newClient(log kgo.Logger, options []kgo.Opt) (*kgo.Client, error) {
	security, err := c.securityOptions()
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(slices.Concat(c.options(log), security, options)...)
	if err != nil {
		return nil, fmt.Errorf("set up Kafka client for %s: %w", c.address(), err)
	}
	return client, nil
}

// awaitBroker tries until a broker answers, the attempts are used up or ctx ends.
func (c *Client) awaitBroker(ctx context.Context) error {
	attempts := c.config.Attempts
	for attempt := 1; ; attempt++ {
		err := c.ping(ctx)
		if err == nil {
			c.log.Info("connected to broker", "address", c.config.address())
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("connect to Kafka at %s: %w", c.config.address(), context.Cause(ctx))
		}
		if advice := finalErrorAdvice(err); advice != "" {
			return fmt.Errorf("connect to Kafka at %s: %w; %s", c.config.address(), err, advice)
		}
		c.log.Warn("broker not reachable", "attempt", fmt.Sprintf("%d of %d", attempt, attempts),
			"address", c.config.address(), "cause", err)
		if attempt == attempts {
			return fmt.Errorf("connect to Kafka at %s: no answer in %d attempts: %w; %s",
				c.config.address(), attempts, err, c.config.Security.silenceAdvice(err))
		}
		if err := backoff.Sleep(ctx, c.config.RetryInterval); err != nil {
			return fmt.Errorf("connect to Kafka at %s: %w", c.config.address(), err)
		}
	}
}

func (c *Client) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	return c.kgo.Ping(ctx)
}

func (c Config) withDefaults() Config {
	if c.ClientID == "" {
		c.ClientID = defaultClientID
	}
	if c.Attempts == 0 {
		c.Attempts = defaultAttempts
	}
	if c.RetryInterval == 0 {
		c.RetryInterval = defaultRetryInterval
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// options are common to all clients of this package.
func (c Config) options(log kgo.Logger) []kgo.Opt {
	options := []kgo.Opt{
		kgo.SeedBrokers(c.Addresses()...),
		kgo.ClientID(c.ClientID),
		kgo.WithLogger(log),
		kgo.MetadataMinAge(metadataMinAge),
		// A broker that restarts behind a proxy accepts connections and closes them. The library takes that for bad
		// credentials and fails what is buffered; connect has already found wrong addresses and passwords.
		kgo.AlwaysRetryEOF(),
	}
	if c.Dial != nil {
		return append(options, kgo.Dialer(c.Dial))
	}
	return append(options, kgo.DialTimeout(dialTimeout))
}

func (c Config) address() string { return strings.Join(c.Addresses(), ",") }

// Addresses are the seed addresses of a list that may have blanks around its commas.
func (c Config) Addresses() []string {
	brokers := make([]string, len(c.Brokers))
	for i, broker := range c.Brokers {
		brokers[i] = strings.TrimSpace(broker)
	}
	return brokers
}

// topicName is Kafka's own rule; for other names a broker only says INVALID_TOPIC_EXCEPTION.
var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

// Validate refuses impossible addresses and topic names before any connection is tried.
func (c Config) Validate() error {
	if len(c.Brokers) == 0 {
		return errors.New("KAFKA_BOOTSTRAP_SERVERS: want at least one host:port")
	}
	if strings.Contains(c.address(), "@") { // not shown: what is before it may be a password
		return errors.New("KAFKA_BOOTSTRAP_SERVERS: want host:port without user and password, which belong into KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD")
	}
	for i, broker := range c.Addresses() {
		if broker == "" {
			return fmt.Errorf("KAFKA_BOOTSTRAP_SERVERS %q: address %d is empty, want host:port, several with commas between them", c.address(), i+1)
		}
		host, port, err := net.SplitHostPort(broker)
		_, portErr := strconv.ParseUint(port, 10, 16)
		if err != nil || portErr != nil || host == "" {
			return fmt.Errorf("KAFKA_BOOTSTRAP_SERVERS %q: want host:port, several with commas between them", c.address())
		}
	}
	if !topicName.MatchString(c.Topic) || c.Topic == "." || c.Topic == ".." {
		return fmt.Errorf("KAFKA_TOPIC %q: want 1 to 249 letters, digits, dots, underscores or dashes", c.Topic)
	}
	return c.Security.validate()
}
