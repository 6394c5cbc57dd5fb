package destination

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"heartbeat/internal/alarm"
	"heartbeat/internal/notify"
)

// email sends messages by SMTP.
type email struct {
	words   notify.Words
	config  *notify.Email
	domain  string // of message ids
	dialing *dialing
}

func newEmail(config *notify.Email, words notify.Words) (*email, error) {
	dialing, err := newDialing(&config.Dial)
	if err != nil {
		return nil, err
	}
	return &email{words: words, config: config, domain: config.From[strings.LastIndexByte(config.From, '@')+1:], dialing: dialing}, nil
}

// Encode makes the whole message, with its headers. Of the alarm's data only the title is in a header, which the library encodes; ids
// are UUIDs.
func (e *email) Encode(message *notify.Message) ([]byte, error) {
	m := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := errors.Join(m.From(e.config.From), m.To(e.config.To...)); err != nil {
		return nil, fmt.Errorf("address message: %w", err)
	}
	m.Subject(notify.Title(message))
	m.SetMessageIDWithValue(message.ID.String() + "@" + e.domain)
	if references := e.references(message); references != "" {
		m.SetGenHeaderPreformatted(mail.HeaderReferences, references)
	}
	m.SetDateWithValue(message.MadeAt.UTC())
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	if message.Priority == alarm.High {
		m.SetImportance(mail.ImportanceHigh)
	}
	m.SetBodyString(mail.TypeTextPlain, e.words.Text(message))
	var text bytes.Buffer
	if _, err := m.WriteTo(&text); err != nil {
		return nil, fmt.Errorf("encode message: %w", err)
	}
	return text.Bytes(), nil
}

// references names what the message is about, so that mail programs show all messages about an alarm together.
func (e *email) references(message *notify.Message) string {
	var ids []string
	add := func(id uuid.UUID) { ids = append(ids, "<"+id.String()+"@"+e.domain+">") }
	const listed = 50
	for i := range message.Entries[:min(len(message.Entries), listed)] {
		add(message.Entries[i].Alarm.ID)
	}
	return strings.Join(ids, "\r\n ")
}

// Send sends the stored bytes. All recipients get the message, or the attempt has failed.
func (e *email) Send(ctx context.Context, delivery Delivery, _ time.Time) Result {
	client, err := e.connect(ctx)
	if err != nil {
		return smtpResult(err, true)
	}
	defer client.Close()
	if err := client.Mail("<" + e.config.From + ">"); err != nil {
		return smtpResult(err, true)
	}
	for _, to := range e.config.To {
		if err := client.Rcpt("<" + to + ">"); err != nil {
			return smtpResult(err, true)
		}
	}
	body, err := client.Data()
	if err != nil {
		return smtpResult(err, true)
	}
	if _, err := body.Write(delivery.Body); err != nil {
		return smtpResult(err, true) // without its end no server takes a message
	}
	if err := body.Close(); err != nil {
		return smtpResult(err, false)
	}
	_ = client.Quit() // the message is taken
	const ok = 250
	return Result{Code: ok}
}

// connect returns a connection that has greeted, uses TLS as the file wants it, and has signed in. It ends with the context.
func (e *email) connect(ctx context.Context) (*smtp.Client, error) {
	policy := mail.TLSMandatory
	if e.config.TLS != notify.StartTLS {
		policy = mail.NoTLS
	}
	options := []mail.Option{
		mail.WithPort(e.config.Port), mail.WithTimeout(Timeout), mail.WithTLSPolicy(policy), mail.WithTLSConfig(e.tlsConfig()), mail.WithDialContextFunc(func(dialCtx context.Context, network, _ string) (net.Conn, error) {
			return e.dial(ctx, dialCtx, network)
		}),
		mail.WithHELO(e.domain),
	}
	if e.config.User != "" {
		auth := mail.SMTPAuthAutoDiscover
		if e.config.TLS == notify.ImplicitTLS {
			auth = mail.SMTPAuthPlain // the library does not see TLS that began with the connection, and would refuse to look for a way
		}
		options = append(options, mail.WithSMTPAuth(auth), mail.WithUsername(e.config.User), mail.WithPassword(e.config.Password.Value()))
	}
	client, err := mail.NewClient(e.config.Host, options...)
	if err != nil {
		return nil, err
	}
	return client.DialToSMTPClientWithContext(ctx)
}

func (e *email) tlsConfig() *tls.Config {
	return &tls.Config{ServerName: e.config.Host, RootCAs: e.dialing.roots, MinVersion: tls.VersionTLS12}
}

// dial connects within dialCtx, which the library ends when it is connected. The connection ends with ctx.
func (e *email) dial(ctx, dialCtx context.Context, network string) (net.Conn, error) {
	conn, err := e.dialing.dialer.DialContext(dialCtx, network, net.JoinHostPort(e.config.Host, strconv.Itoa(e.config.Port)))
	if err != nil {
		return nil, err
	}
	if remote, ok := conn.RemoteAddr().(*net.TCPAddr); e.config.TLS == notify.NoTLS && (!ok || !remote.IP.IsLoopback()) {
		return nil, errors.Join(errors.New("tls is none, which is for loopback only"), conn.Close())
	}
	context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	if e.config.TLS != notify.ImplicitTLS {
		return conn, nil
	}
	secure := tls.Client(conn, e.tlsConfig())
	if err := secure.HandshakeContext(dialCtx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return secure, nil
}

// smtpResult describes a failure. A server cannot have taken a message whose end was not sent. After the end, only an error reply
// proves that it has not.
func smtpResult(err error, before bool) Result {
	result := Result{Untaken: before, Err: err}
	if refused, ok := errors.AsType[*textproto.Error](err); ok {
		result.Code, result.Untaken, result.Err = refused.Code, true, fmt.Errorf("the mail server answered %d", refused.Code)
	}
	return result
}
