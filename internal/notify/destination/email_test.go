package destination_test

import (
	"bytes"
	"context"
	"io"
	"maps"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"heartbeat/internal/notify/destination"
)

// sender returns a sender to the server; more are further settings, in YAML.
func (m *mailServer) sender(t *testing.T, more string) destination.Sender {
	t.Helper()
	t.Setenv("MAIL_PASSWORD", mailPassword)
	return senders(t, `
destinations:
  mail: {email: {server: "`+m.address+`", ca_file: "`+m.caFile+`", from: heartbeat@example.org, allow: [127.0.0.1], `+more+`}}
routes: [{to: [mail]}]`)["mail"]
}

const toBoth = "to: [ward@example.org, doctor@example.org]"

func TestMailArrivesAsItWasMade(t *testing.T) {
	for name, test := range map[string]struct {
		options mailOptions
		more    string
		user    string
	}{
		"STARTTLS":              {more: "user: heartbeat, password: {variable: MAIL_PASSWORD}", user: "heartbeat"},
		"TLS":                   {options: mailOptions{implicit: true}, more: "tls: tls, user: heartbeat, password: {variable: MAIL_PASSWORD}", user: "heartbeat"},
		"in clear, on loopback": {options: mailOptions{plain: true}, more: "tls: none"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMailServer(t, test.options)
			sender := m.sender(t, toBoth+", "+test.more)
			body, err := sender.Encode(raised("CUST_00042"))
			if err != nil {
				t.Fatal(err)
			}
			delivery := destination.Delivery{ID: "1", Body: body}
			m.answerWith(&smtp.SMTPError{Code: 451, Message: "later"})
			if result := sender.Send(t.Context(), delivery, noon); result.Code != 451 || !result.Untaken || result.Err == nil {
				t.Fatalf("451: %+v", result)
			}
			m.answerWith(nil)
			if result := sender.Send(t.Context(), delivery, noon); result.Err != nil || result.Code != 250 {
				t.Fatalf("result %+v, want it taken", result)
			}
			got := m.received()[0]
			if !bytes.Equal(got.text, body) || got.from != "heartbeat@example.org" || !slices.Equal(got.to, []string{"ward@example.org", "doctor@example.org"}) ||
				got.user != test.user || got.tls == test.options.plain {
				t.Errorf("received %+v:\n%s", got, got.text)
			}
		})
	}
}

// A message parsed back has the headers that the sender set, and no other: what it tells of is in the subject and the text alone.
func TestMailHasNoHeaderFromWhatItTellsOf(t *testing.T) {
	sender := newMailServer(t, mailOptions{}).sender(t, toBoth)
	message := raised(hostile)
	body, err := sender.Encode(message)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := mail.ReadMessage(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	names := slices.Sorted(maps.Keys(parsed.Header))
	want := []string{
		"Auto-Submitted", "Content-Transfer-Encoding", "Content-Type", "Date", "From", "Importance", "Message-Id", "Mime-Version", "Priority",
		"References", "Subject", "To", "X-Msmail-Priority", "X-Priority",
	}
	if !slices.Equal(names, want) {
		t.Errorf("headers are %v, want %v", names, want)
	}
	if got := parsed.Header.Get("Message-ID"); got != "<"+message.ID.String()+"@example.org>" {
		t.Errorf("Message-ID is %s", got)
	}
	if got := parsed.Header.Get("References"); got != "<"+message.Entries[0].Alarm.ID.String()+"@example.org>" {
		t.Errorf("References are %s", got)
	}
	if date, err := parsed.Header.Date(); err != nil || !date.Equal(message.MadeAt) {
		t.Errorf("Date is %s, %v", date, err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject"))
	if err != nil || !strings.HasPrefix(subject, `Heartbeat: raised: rate_high of CUST_1"}`) {
		t.Errorf("the subject is %q, %v", subject, err)
	}
	text, err := io.ReadAll(quotedprintable.NewReader(parsed.Body))
	if err != nil || !strings.Contains(string(text), "since 2026-02-20T12:00:00Z") || strings.Contains(string(text), "20177") {
		t.Errorf("the text is %q, %v", text, err)
	}
}

func TestMailOfAStormIsShort(t *testing.T) {
	sender := newMailServer(t, mailOptions{}).sender(t, toBoth)
	body, err := sender.Encode(digest(10_000))
	if err != nil || len(body) > 32<<10 || !bytes.Contains(body, []byte("and 9950 more")) {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	parsed, err := mail.ReadMessage(bytes.NewReader(body))
	if err != nil || len(strings.Fields(parsed.Header.Get("References"))) != 50 {
		t.Errorf("References are %q, %v", parsed.Header.Get("References"), err)
	}
}

func TestMailFaults(t *testing.T) {
	secure, plain := newMailServer(t, mailOptions{}), newMailServer(t, mailOptions{plain: true})
	for name, test := range map[string]struct {
		server *mailServer
		more   string
		code   int
	}{
		"a server without TLS":       {plain, toBoth, 0},
		"a recipient that is not":    {secure, "to: [ward@example.org, unknown@example.org]", 550},
		"a wrong password":           {secure, toBoth + ", user: heartbeat, password: {variable: WARD_SECRET}", 535},
		"a certificate of no one":    {&mailServer{address: secure.address, caFile: plain.caFile}, toBoth, 0},
		"TLS where there is none":    {plain, toBoth + ", tls: tls", 0},
		"a server that is not there": {&mailServer{address: "127.0.0.1:1", caFile: plain.caFile}, toBoth, 0},
	} {
		result := send(t, test.server.sender(t, test.more), raised("CUST_1"))
		if result.Err == nil || result.Code != test.code || !result.Untaken || strings.Contains(result.Err.Error(), mailPassword) {
			t.Errorf("%s: %+v", name, result)
		}
	}
	if count := len(secure.received()) + len(plain.received()); count != 0 {
		t.Errorf("%d messages were taken", count)
	}
}

// A connection that breaks after the message was sent leaves open whether it was taken; one that hangs is given up.
func TestMailServerThatBreaksOrHangs(t *testing.T) {
	for name, test := range map[string]struct {
		lines   []string
		untaken bool
	}{
		"closes after the message": {[]string{"220 x", "250 x", "250 x", "250 x", "354 x"}, false},
		"closes before it":         {[]string{"220 x", "250 x", "250 x"}, true},
		"hangs":                    {[]string{"220 x", "hang"}, true},
	} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		go answerLines(listener, test.lines, release)
		m := &mailServer{address: listener.Addr().String(), caFile: newMailServer(t, mailOptions{}).caFile}
		sender := m.sender(t, "to: [ward@example.org], tls: none")
		body, err := sender.Encode(raised("CUST_1"))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		if result := sender.Send(ctx, destination.Delivery{Body: body}, noon); result.Err == nil || result.Untaken != test.untaken {
			t.Errorf("%s: %+v", name, result)
		}
		cancel()
		close(release)
		_ = listener.Close()
	}
}

// answerLines answers one line for each that it gets, a message counting as one, and then closes.
func answerLines(listener net.Listener, lines []string, release <-chan struct{}) {
	conn, err := listener.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	buffer := make([]byte, 64<<10)
	for _, line := range lines {
		if line == "hang" {
			<-release
			return
		}
		if _, err := io.WriteString(conn, line+"\r\n"); err != nil {
			return
		}
		if _, err := conn.Read(buffer); err != nil {
			return
		}
	}
}
