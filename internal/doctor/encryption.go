package doctor

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"

	"heartbeat/internal/port"
	"heartbeat/internal/postgres"
)

// encryption examines the settings: whether anything may leave this machine in plain text.
func (d *doctor) encryption(ctx context.Context) {
	if d.options.Kafka.Validate() == nil { // otherwise the check of the broker says why
		d.open(ctx, "broker encryption", d.plainBrokers(), "set KAFKA_SECURITY_PROTOCOL=SASL_SSL, or SSL, and KAFKA_SSL_CA_FILE")
	}
	hosts, err := postgres.PlainHosts(d.options.Database)
	if err != nil {
		return // the connection says why
	}
	d.open(ctx, "database encryption", hosts, "set POSTGRES_SSLMODE=verify-full and POSTGRES_SSLROOTCERT")
}

// plainBrokers are the hosts of the brokers that are talked to without TLS.
func (d *doctor) plainBrokers() (hosts []string) {
	if d.options.Kafka.Security.Encrypted() {
		return nil
	}
	for _, broker := range d.options.Kafka.Addresses() {
		host, _, _ := net.SplitHostPort(broker) // validated
		hosts = append(hosts, host)
	}
	return hosts
}

// open says which of the hosts, that settings let be talked to without TLS, lie beyond this machine.
func (d *doctor) open(ctx context.Context, check string, hosts []string, advice string) {
	beyond := slices.DeleteFunc(slices.Clone(hosts), func(host string) bool { return onThisMachine(ctx, host) })
	switch {
	case len(beyond) > 0:
		d.say(check, Warning, fmt.Sprintf("readings and passwords may go to %s without TLS", strings.Join(beyond, ", ")), advice)
	case len(hosts) > 0:
		d.say(check, OK, "off, and nothing leaves this machine", "")
	default:
		d.say(check, OK, "TLS", "")
	}
}

// onThisMachine reports whether a host is a loopback address or a name of loopback addresses only.
func onThisMachine(ctx context.Context, host string) bool {
	if port.Loopback(host) {
		return true
	}
	if net.ParseIP(host) != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupIPAddr(ctx, host)
	return err == nil && !slices.ContainsFunc(addresses, func(a net.IPAddr) bool { return !a.IP.IsLoopback() })
}
