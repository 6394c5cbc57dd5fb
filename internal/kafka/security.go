package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Security says how to prove who we are and whom we talk to. The zero value is plain text, for a broker on one's own
// machine. A password never travels without TLS.
type Security struct {
	Protocol     string // PLAINTEXT, SSL or SASL_SSL, as Kafka calls them; empty is PLAINTEXT
	CAFile       string // PEM of the authorities to trust instead of the system's
	User         string // for SASL_SSL, by SCRAM-SHA-512
	Password     string
	PasswordFile string // holds the password; wins over Password
}

// The protocols.
const (
	plaintext = "PLAINTEXT"
	overTLS   = "SSL"
	signedIn  = "SASL_SSL"
)

// Encrypted reports whether the connection to the brokers is encrypted.
func (s Security) Encrypted() bool { return s.Protocol == overTLS || s.Protocol == signedIn }

// validate refuses settings that would be ignored: a user who gives a password expects that it is used.
func (s Security) validate() error {
	hasPassword := s.Password != "" || s.PasswordFile != ""
	switch s.Protocol {
	case "", plaintext:
		if s.CAFile != "" {
			return errors.New("KAFKA_SSL_CA_FILE is set and KAFKA_SECURITY_PROTOCOL is PLAINTEXT: want SSL or SASL_SSL")
		}
	case overTLS, signedIn:
	default:
		return fmt.Errorf("KAFKA_SECURITY_PROTOCOL %q: want PLAINTEXT, SSL or SASL_SSL; a password is not sent without TLS", s.Protocol)
	}
	switch {
	case s.Protocol == signedIn && (s.User == "" || !hasPassword):
		return errors.New("KAFKA_SECURITY_PROTOCOL is SASL_SSL: want KAFKA_SASL_USERNAME, and KAFKA_SASL_PASSWORD or KAFKA_SASL_PASSWORD_FILE")
	case s.Protocol != signedIn && (s.User != "" || hasPassword):
		return errors.New("KAFKA_SASL_USERNAME or its password is set and KAFKA_SECURITY_PROTOCOL is not SASL_SSL")
	}
	return nil
}

// options read the files that the settings name.
func (s Security) options() ([]kgo.Opt, error) {
	if s.Protocol == "" || s.Protocol == plaintext {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CAFile != "" {
		authorities, err := readAuthorities(s.CAFile)
		if err != nil {
			return nil, err
		}
		config.RootCAs = authorities
	}
	options := []kgo.Opt{kgo.DialTLSConfig(config)}
	if s.Protocol != signedIn {
		return options, nil
	}
	password, err := s.password()
	if err != nil {
		return nil, err
	}
	return append(options, kgo.SASL(scram.Auth{User: s.User, Pass: password}.AsSha512Mechanism())), nil
}

func readAuthorities(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read KAFKA_SSL_CA_FILE: %w", err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read KAFKA_SSL_CA_FILE: %s holds no certificate in PEM", path)
	}
	return authorities, nil
}

func (s Security) password() (string, error) {
	if s.PasswordFile == "" {
		return s.Password, nil
	}
	text, err := os.ReadFile(s.PasswordFile)
	if refused, ok := errors.AsType[*fs.PathError](err); ok {
		err = refused.Err // without the path: people put the password itself there
	}
	if err != nil {
		return "", fmt.Errorf("read the file that KAFKA_SASL_PASSWORD_FILE names: %w", err)
	}
	password := strings.TrimRight(string(text), "\r\n")
	if password == "" {
		return "", errors.New("read the file that KAFKA_SASL_PASSWORD_FILE names: it is empty")
	}
	return password, nil
}

// finalErrorAdvice says what to do about an error that trying again would not change, or nothing.
func finalErrorAdvice(err error) string {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		if _, wrongName := errors.AsType[x509.HostnameError](err); wrongName {
			return "the certificate is another host's: set KAFKA_BOOTSTRAP_SERVERS, and the broker's advertised.listeners, to the name in the certificate"
		}
		return "the broker's certificate is not signed by an authority that we trust: set KAFKA_SSL_CA_FILE to that authority's certificate"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "the broker does not speak TLS on this port: use its TLS listener, or KAFKA_SECURITY_PROTOCOL=PLAINTEXT"
	}
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return "check KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD"
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return "enable SCRAM-SHA-512 on the broker's listener"
	default:
		return ""
	}
}

// silenceAdvice says what may be behind a broker that accepts connections and does not answer.
func (s Security) silenceAdvice(err error) string {
	const noBroker = "start a broker there (heartbeat up brings one) or set KAFKA_BOOTSTRAP_SERVERS to where yours listens"
	_, hungUp := errors.AsType[*kgo.ErrFirstReadEOF](err)
	switch {
	case hungUp && s.Protocol != "" && s.Protocol != plaintext:
		return "the broker hangs up: does it speak TLS on this port?"
	case strings.Contains(err.Error(), "tls alert record"): // the library has no type for it
		return "the broker speaks TLS on this port: set KAFKA_SECURITY_PROTOCOL to SSL or SASL_SSL"
	default:
		return noBroker
	}
}

// Advise adds what to do to the error of a request that the cluster refuses.
func Advise(err error) error {
	var advice string
	switch {
	case errors.Is(err, kerr.TopicAuthorizationFailed):
		advice = "allow this user on the topic: Describe and Write to produce, Describe and Read to consume or serve"
	case errors.Is(err, kerr.ClusterAuthorizationFailed): // so answers a broker a producer that may write to no topic at all
		advice = "allow this user Describe and Write on the topic"
	case errors.Is(err, kerr.GroupAuthorizationFailed):
		advice = "allow this user Read on the consumer group"
	case errors.Is(err, kerr.InvalidSessionTimeout):
		advice = "set --session-timeout to what the brokers allow, from group.min.session.timeout.ms to group.max.session.timeout.ms"
	default:
		return err
	}
	return fmt.Errorf("%w; %s", err, advice)
}
