package notify

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"strconv"
	"strings"
)

// Destination is where messages go: exactly one kind.
type Destination struct {
	Log          *Log          `yaml:"log"`
	Webhook      *Webhook      `yaml:"webhook"`
	Alertmanager *Alertmanager `yaml:"alertmanager"`
	PagerDuty    *PagerDuty    `yaml:"pagerduty"`
	Email        *Email        `yaml:"email"`
}

// Dial limits what may be dialled, and whom to trust there.
type Dial struct {
	Allow  []string `yaml:"allow"`   // loopback and private addresses, or networks of them
	CAFile string   `yaml:"ca_file"` // certificates that sign the receiver's; empty: those of the system
}

// Log writes messages into the notifier's own log.
type Log struct{}

// Webhook posts messages as Standard Webhooks.
type Webhook struct {
	URL     Address  `yaml:"url"`
	Secrets []Secret `yaml:"secrets"` // several while a key is replaced: each signs
	Dial    `yaml:",inline"`
}

// Alertmanager keeps a Prometheus Alertmanager informed of which alarms are open.
type Alertmanager struct {
	URL           Address `yaml:"url"`           // without /api/v2/alerts
	Authorization *Secret `yaml:"authorization"` // the value of that header; nil: none
	Dial          `yaml:",inline"`
}

// PagerDuty sends events to an integration of PagerDuty's Events API v2.
type PagerDuty struct {
	RoutingKey Secret  `yaml:"routing_key"`
	URL        Address `yaml:"url"` // of another region
	Dial       `yaml:",inline"`
}

// Email sends messages by SMTP.
type Email struct {
	Server   string   `yaml:"server"` // host:port
	TLS      string   `yaml:"tls"`
	User     string   `yaml:"user"`
	Password *Secret  `yaml:"password"`
	From     string   `yaml:"from"`
	To       []string `yaml:"to"`
	Dial     `yaml:",inline"`

	Host string `yaml:"-"`
	Port int    `yaml:"-"`
}

// The values of Email.TLS.
const (
	StartTLS    = "starttls" // the default: the connection begins in the clear
	ImplicitTLS = "tls"
	NoTLS       = "none" // on loopback only
)

const pagerDutyURL = "https://events.pagerduty.com/v2/enqueue"

func (d *Destination) check() error {
	count := 0
	for _, given := range [...]bool{d.Log != nil, d.Webhook != nil, d.Alertmanager != nil, d.PagerDuty != nil, d.Email != nil} {
		if given {
			count++
		}
	}
	switch {
	case count != 1:
		return errors.New("want exactly one of log, webhook, alertmanager, pagerduty and email")
	case d.Webhook != nil:
		return d.Webhook.check()
	case d.Alertmanager != nil:
		return d.Alertmanager.check()
	case d.PagerDuty != nil:
		return d.PagerDuty.check()
	case d.Email != nil:
		return d.Email.check()
	default:
		return nil
	}
}

func (w *Webhook) check() error {
	if err := checkURL(w.URL.Value(), "https", "http"); err != nil {
		return fmt.Errorf("url: %w", err)
	}
	if len(w.Secrets) == 0 {
		return errors.New("secrets: want at least one, with which messages are signed")
	}
	return nil
}

func (a *Alertmanager) check() error {
	if err := checkURL(a.URL.Value(), "https", "http"); err != nil {
		return fmt.Errorf("url: %w", err)
	}
	if a.Authorization != nil && !isHeaderValue(a.Authorization.Value()) {
		return errors.New("authorization: want the value of the header in one line, such as Bearer and a token")
	}
	return nil
}

func isHeaderValue(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

func (p *PagerDuty) check() error {
	const keyLength = 32
	if len(p.RoutingKey.Value()) != keyLength {
		return errors.New("routing_key: want the integration key, 32 characters")
	}
	if p.URL.Value() == "" {
		p.URL.plain = pagerDutyURL
	}
	if err := checkURL(p.URL.Value(), "https", "http"); err != nil {
		return fmt.Errorf("url: %w", err)
	}
	return nil
}

func (e *Email) check() error {
	host, port, err := net.SplitHostPort(e.Server)
	number, notNumber := strconv.ParseUint(port, 10, 16)
	if err != nil || host == "" || notNumber != nil || number == 0 {
		return fmt.Errorf("server: %q: want one such as smtp.example.org:587", e.Server)
	}
	e.Host, e.Port = host, int(number)
	switch e.TLS {
	case "":
		e.TLS = StartTLS
	case StartTLS, ImplicitTLS, NoTLS:
	default:
		return fmt.Errorf("tls: %q: want starttls, tls or none", e.TLS)
	}
	if (e.User == "") != (e.Password == nil) {
		return errors.New("want user and password, or neither")
	}
	if err := checkMailbox(e.From); err != nil {
		return fmt.Errorf("from: %w", err)
	}
	if len(e.To) == 0 {
		return errors.New("to: want at least one address")
	}
	for _, to := range e.To {
		if err := checkMailbox(to); err != nil {
			return fmt.Errorf("to: %w", err)
		}
	}
	return nil
}

// checkMailbox wants an address alone: without a name, which would need encoding.
func checkMailbox(text string) error {
	parsed, err := mail.ParseAddress(text)
	if err != nil || parsed.Address != text || !isHeaderValue(text) {
		return fmt.Errorf("%q: want an address such as ward@example.org", text)
	}
	return nil
}
