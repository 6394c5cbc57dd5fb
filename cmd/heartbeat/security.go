package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"heartbeat/internal/kafka"
)

// securityFlags say how to talk to brokers that others can reach. The password comes from KAFKA_SASL_PASSWORD or a file.
type securityFlags struct {
	Protocol string `name:"kafka-security" env:"KAFKA_SECURITY_PROTOCOL" default:"PLAINTEXT" placeholder:"PROTOCOL" help:"PLAINTEXT, SSL or SASL_SSL (${env}; ${default})."`
	CAFile   string `name:"kafka-ca-file" env:"KAFKA_SSL_CA_FILE" placeholder:"FILE" help:"Authorities to trust instead of the system's, in PEM (${env})."`
	SASLUser string `name:"kafka-user" env:"KAFKA_SASL_USERNAME" placeholder:"USER" help:"User of SASL_SSL, by SCRAM-SHA-512 (${env}). The password comes from KAFKA_SASL_PASSWORD or the file named in KAFKA_SASL_PASSWORD_FILE."`
}

func (f securityFlags) security() kafka.Security {
	return kafka.Security{
		Protocol: f.Protocol, CAFile: f.CAFile, User: f.SASLUser,
		Password: os.Getenv("KAFKA_SASL_PASSWORD"), PasswordFile: strings.TrimSpace(os.Getenv("KAFKA_SASL_PASSWORD_FILE")),
	}
}

// tlsFlags say how far to trust the database server. Without them libpq's variables hold, PGSSLMODE and PGSSLROOTCERT.
type tlsFlags struct {
	SSLMode     string `name:"postgres-sslmode" env:"POSTGRES_SSLMODE" placeholder:"MODE" help:"disable, allow, prefer, require, verify-ca or verify-full (${env}). Where others share the network nothing less than verify-full will do."`
	SSLRootCert string `name:"postgres-sslrootcert" env:"POSTGRES_SSLROOTCERT" placeholder:"FILE" help:"Authorities to trust, in PEM (${env})."`
}

var sslModes = [...]string{"", "disable", "allow", "prefer", "require", "verify-ca", "verify-full"}

// Validate refuses a mode that there is not.
func (f tlsFlags) Validate() error {
	if !slices.Contains(sslModes[:], f.SSLMode) {
		return fmt.Errorf("POSTGRES_SSLMODE %q: want disable, allow, prefer, require, verify-ca or verify-full", f.SSLMode)
	}
	return nil
}
