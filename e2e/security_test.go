package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"heartbeat/internal/kafka"
	"heartbeat/internal/port"
	"heartbeat/internal/testkit/apachekafka"
	"heartbeat/internal/testkit/certificates"
	"heartbeat/internal/testkit/freeport"
)

const saslPassword = "a secret, with = and 'quotes'"

// secureKafka runs an Apache Kafka whose clients must sign in over TLS and may do only what an ACL allows. It returns the
// way in, and the address inside, where everything is allowed.
func secureKafka(t *testing.T) (config kafka.Config, certificates, inner string) {
	t.Helper()
	certificates = t.TempDir()
	ours, other := newAuthority(t), newAuthority(t)
	certificate, key, err := ours.Issue(port.Host)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"server.pem": append(key, certificate...), "ca.pem": ours.PEM(), "other.pem": other.PEM(), "password": []byte(saslPassword + "\n"),
	} {
		if err := os.WriteFile(filepath.Join(certificates, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cluster := ownApache(t, apachekafka.Options{Properties: map[string]string{
		"listener.security.protocol.map":                      "CLIENT:SASL_SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"listener.name.client.sasl.enabled.mechanisms":        "SCRAM-SHA-512",
		"listener.name.client.scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
		"listener.name.client.ssl.keystore.type":              "PEM",
		"listener.name.client.ssl.keystore.location":          filepath.Join(certificates, "server.pem"),
		"authorizer.class.name":                               "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users":                                         "User:ANONYMOUS", // the node itself, and we, on the inner listeners
	}})
	return kafka.Config{
		Brokers: []string{cluster.address()}, Topic: "heartbeat-events", Attempts: 3, RetryInterval: 100 * time.Millisecond,
		Security: kafka.Security{
			Protocol: "SASL_SSL", CAFile: filepath.Join(certificates, "ca.pem"),
			User: "heartbeat", PasswordFile: filepath.Join(certificates, "password"),
		},
	}, certificates, cluster.Node(1).Inner()
}

func newAuthority(t *testing.T) *certificates.Authority {
	t.Helper()
	a, err := certificates.New()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func addUser(t *testing.T, admin *kadm.Client, user string) {
	t.Helper()
	changes, err := admin.AlterUserSCRAMs(t.Context(), nil, []kadm.UpsertSCRAM{
		{User: user, Mechanism: kadm.ScramSha512, Iterations: 4096, Password: saslPassword},
	})
	if err == nil {
		err = changes.Error()
	}
	if err != nil {
		t.Fatalf("add user %s: %v", user, err)
	}
}

func allow(t *testing.T, admin *kadm.Client, user string, rights *kadm.ACLBuilder) {
	t.Helper()
	results, err := admin.CreateACLs(t.Context(), rights.ResourcePatternType(kadm.ACLPatternLiteral).Allow("User:"+user).AllowHosts("*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, result := range results {
		if result.Err != nil {
			t.Fatalf("allow %s: %v", user, result.Err)
		}
	}
}

// A client that cannot authenticate, or cannot authenticate the broker, fails at once with the reason.
func TestApacheSecuredKafka(t *testing.T) {
	apacheOnly(t)
	t.Parallel()
	good, certificates, inner := secureKafka(t)
	admin := kadm.NewClient(client(t, inner))
	addUser(t, admin, "heartbeat")
	for name, test := range map[string]struct {
		change func(*kafka.Config)
		want   string
	}{
		"right":                    {func(*kafka.Config) {}, ""},
		"another authority":        {func(c *kafka.Config) { c.Security.CAFile = filepath.Join(certificates, "other.pem") }, "KAFKA_SSL_CA_FILE"},
		"the system's authorities": {func(c *kafka.Config) { c.Security.CAFile = "" }, "KAFKA_SSL_CA_FILE"},
		"another name": {func(c *kafka.Config) {
			c.Brokers = []string{strings.Replace(c.Brokers[0], port.Host, "localhost", 1)}
		}, "advertised.listeners"},
		"wrong password":          {func(c *kafka.Config) { c.Security.Password, c.Security.PasswordFile = "wrong", "" }, "KAFKA_SASL_PASSWORD"},
		"wrong user":              {func(c *kafka.Config) { c.Security.User = "unknown" }, "KAFKA_SASL_USERNAME"},
		"no sign-in":              {func(c *kafka.Config) { c.Security = kafka.Security{Protocol: "SSL", CAFile: c.Security.CAFile} }, "SASL"},
		"plain text":              {func(c *kafka.Config) { c.Security = kafka.Security{} }, "KAFKA_SECURITY_PROTOCOL"},
		"TLS to a plain listener": {func(c *kafka.Config) { c.Brokers = []string{inner} }, "does it speak TLS"},
		"no such file":            {func(c *kafka.Config) { c.Security.PasswordFile = "gone" }, "KAFKA_SASL_PASSWORD_FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := good
			test.change(&config)
			connected, err := kafka.Connect(t.Context(), config)
			if err == nil {
				connected.Close()
			}
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want an error that names %q", err, test.want)
			}
		})
	}
}

// Rights are granted one by one: a role names the missing right, and with all of them everything is stored.
func TestApacheKafkaACLs(t *testing.T) {
	apacheOnly(t)
	t.Parallel()
	config, _, inner := secureKafka(t)
	admin := kadm.NewClient(client(t, inner))
	for _, user := range []string{"producer", "consumer"} {
		addUser(t, admin, user)
	}
	createTopic(t, inner, config.Topic, 3)
	database := sharedDatabase(t).create(t)
	variables := func(user string) []string {
		return []string{
			"DATABASE_URL=" + database, "KAFKA_BOOTSTRAP_SERVERS=" + config.Brokers[0], "KAFKA_TOPIC=" + config.Topic,
			"KAFKA_SECURITY_PROTOCOL=SASL_SSL", "KAFKA_SSL_CA_FILE=" + config.Security.CAFile,
			"KAFKA_SASL_USERNAME=" + user, "KAFKA_SASL_PASSWORD_FILE=" + config.Security.PasswordFile,
		}
	}
	run := func(user string, arguments ...string) *role {
		return start(t, command{arguments: arguments, environment: variables(user)})
	}
	run("", "migrate").succeed(waitTimeout)

	produce := []string{"produce", "--rate", "1000", "--max-events", "500"}
	consume := []string{"consume", "--until-caught-up", "--metrics-address", "none"}
	run("producer", produce...).wantRefused(t, "Describe and Write")
	allow(t, admin, "producer", kadm.NewACLs().Topics(config.Topic).Operations(kadm.OpDescribe))
	run("producer", produce...).wantRefused(t, "Describe and Write")
	allow(t, admin, "producer", kadm.NewACLs().Topics(config.Topic).Operations(kadm.OpWrite))
	run("producer", produce...).succeed(waitTimeout)

	run("consumer", consume...).wantRefused(t, "Describe and Read")
	allow(t, admin, "consumer", kadm.NewACLs().Topics(config.Topic).Operations(kadm.OpDescribe, kadm.OpRead))
	waiting := run("consumer", consume...)
	waiting.waitForOutput("Read on the consumer group")
	allow(t, admin, "consumer", kadm.NewACLs().Groups("heartbeat-consumer-group").Operations(kadm.OpRead))
	waiting.succeed(waitTimeout) // it continues by itself
	run("consumer", produce...).wantRefused(t, "Describe and Write")

	var stored int
	query := `SELECT sum(stored + anomalies) FROM ingest_progress`
	if err := connect(t, database).QueryRow(t.Context(), query).Scan(&stored); err != nil || stored != 500 {
		t.Errorf("%d readings are stored, want 500 (%v)", stored, err)
	}
}

// A right that is withdrawn while a consumer runs stops the stream: its readiness and doctor name the right.
func TestApacheACLsInReadiness(t *testing.T) {
	apacheOnly(t)
	t.Parallel()
	config, _, inner := secureKafka(t)
	admin := kadm.NewClient(client(t, inner))
	addUser(t, admin, "consumer")
	createTopic(t, inner, config.Topic, 3)
	f := &fixture{t: t, broker: inner, topic: config.Topic, group: "heartbeat-consumer-group", database: sharedDatabase(t).create(t)}
	f.run("migrate")
	environment := []string{
		"DATABASE_URL=" + f.database, "KAFKA_BOOTSTRAP_SERVERS=" + config.Brokers[0], "KAFKA_TOPIC=" + config.Topic,
		"KAFKA_SECURITY_PROTOCOL=SASL_SSL", "KAFKA_SSL_CA_FILE=" + config.Security.CAFile,
		"KAFKA_SASL_USERNAME=consumer", "KAFKA_SASL_PASSWORD_FILE=" + config.Security.PasswordFile,
	}
	allow(t, admin, "consumer", kadm.NewACLs().Topics(config.Topic).Operations(kadm.OpDescribe, kadm.OpRead))
	address := freeport.Address(t)
	f.produce("--max-events", "500", "--rate", "5000", "--seed", "78").succeed(waitTimeout)
	consumer := start(t, command{arguments: []string{"consume", "--metrics-address", address}, environment: environment})
	const group = "allow this user Read on the consumer group"
	wantNotReady(t, "http://"+address+"/readyz", group)
	wantDoctor(t, []string{"doctor"}, environment, group)
	allow(t, admin, "consumer", kadm.NewACLs().Groups(f.group).Operations(kadm.OpRead))
	f.pool = connect(t, f.database)
	f.caughtUp(waitTimeout)

	const topic = "allow this user on the topic"
	withdraw(t, admin, kadm.NewACLs().Topics(config.Topic).Operations(kadm.OpRead))
	f.produce("--max-events", "500", "--rate", "5000", "--seed", "79").succeed(waitTimeout)
	wantNotReady(t, "http://"+address+"/readyz", topic)
	allow(t, admin, "consumer", kadm.NewACLs().Topics(config.Topic).Operations(kadm.OpRead))
	f.caughtUp(waitTimeout)
	consumer.interrupt()
}

func withdraw(t *testing.T, admin *kadm.Client, rights *kadm.ACLBuilder) {
	t.Helper()
	if _, err := admin.DeleteACLs(t.Context(), rights.ResourcePatternType(kadm.ACLPatternLiteral).Allow().AllowHosts()); err != nil {
		t.Fatal(err)
	}
}

// wantRefused waits for the process to end by itself with an error that names what is missing.
func (r *role) wantRefused(t *testing.T, want string) {
	t.Helper()
	if code := r.wait(waitTimeout); code != 1 || !strings.Contains(r.output.String(), want) {
		t.Errorf("%s ended with code %d, want 1 and an error that names %q:\n%s", r.name, code, want, tail(r.output.String(), 10))
	}
}
