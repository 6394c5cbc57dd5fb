package postgres

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
)

// libpqVariables are the variables of libpq's environment that can make options unreadable, each with its keyword and a value that is
// always readable. Files come before the mode that decides whether they are read.
var libpqVariables = [...]struct{ name, keyword, readable string }{
	{"PGPORT", "port", "5432"},
	{"PGCONNECT_TIMEOUT", "connect_timeout", "10"},
	{"PGTARGETSESSIONATTRS", "target_session_attrs", "any"},
	{"PGSSLROOTCERT", "sslrootcert", ""},
	{"PGSSLCERT", "sslcert", ""},
	{"PGSSLKEY", "sslkey", ""},
	{"PGSSLCERTMODE", "sslcertmode", "allow"},
	{"PGSSLSNI", "sslsni", "1"},
	{"PGSSLNEGOTIATION", "sslnegotiation", "postgres"},
	{"PGSSLMODE", "sslmode", "prefer"},
	{"PGMINPROTOCOLVERSION", "min_protocol_version", "3.0"},
	{"PGMAXPROTOCOLVERSION", "max_protocol_version", "latest"},
	{"PGCHANNELBINDING", "channel_binding", "prefer"},
	{"PGREQUIREAUTH", "require_auth", ""},
}

// variableError names the variables of libpq's environment that are to blame. It quotes no value, which could be a secret in the wrong
// place.
type variableError struct{ names []string }

func (e *variableError) Error() string {
	switch {
	case len(e.names) > 1:
		return fmt.Sprintf("one of the environment variables %s, which libpq defines, has a value that cannot be used: correct it, or unset it",
			strings.Join(e.names, ", "))
	case e.names[0] == service:
		return "the environment variable PGSERVICE names a service that is not in the service file (PGSERVICEFILE, or .pg_service.conf in the home " +
			"directory), or that has a value there which cannot be used: correct it, or unset PGSERVICE"
	default:
		return fmt.Sprintf("the environment variable %s, which libpq defines, has a value that cannot be used: correct it, or unset it", e.names[0])
	}
}

const service = "PGSERVICE"

// blame returns the variables because of which an address cannot be parsed: the one without which it can, or all that are set where it
// takes more than one. It returns nil where the address itself is to blame.
func blame(address string) error {
	given := keywords(address)
	readable := map[string]string{}
	var set []string
	for _, variable := range libpqVariables {
		if given[variable.keyword] {
			continue
		}
		readable[variable.keyword] = variable.readable
		if _, found := os.LookupEnv(variable.name); !found {
			continue
		}
		set = append(set, variable.name)
		if parses(address, map[string]string{variable.keyword: variable.readable}) {
			return &variableError{[]string{variable.name}}
		}
	}
	switch {
	case len(set) > 0 && parses(address, readable):
		return &variableError{set}
	case os.Getenv(service) != "" && !given["service"]:
		return &variableError{[]string{service}}
	}
	return nil
}

// keywords returns the keywords that an address gives: their environment variables do not count.
func keywords(address string) map[string]bool {
	given := map[string]bool{}
	parsed, err := url.Parse(address)
	if err != nil || parsed.Scheme == "" {
		for field := range strings.FieldsSeq(address) {
			name, _, _ := strings.Cut(field, "=")
			given[strings.ToLower(name)] = true
		}
		return given
	}
	for name := range parsed.Query() {
		given[name] = true
	}
	given["port"] = given["port"] || parsed.Port() != ""
	return given
}

// parses reports whether an address can be parsed with more keywords.
func parses(address string, more map[string]string) bool {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Scheme == "" {
		for _, name := range slices.Sorted(maps.Keys(more)) {
			address += fmt.Sprintf(" %s='%s'", name, more[name])
		}
	} else {
		query := parsed.Query()
		for name, value := range more {
			query.Set(name, value)
		}
		parsed.RawQuery = query.Encode()
		address = parsed.String()
	}
	_, err = pgxpool.ParseConfig(address)
	return err == nil
}
