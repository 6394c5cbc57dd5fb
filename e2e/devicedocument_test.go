package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"heartbeat/internal/testkit/freeport"
	"heartbeat/internal/testkit/prerequisite"
)

// The clients of docs/devices.md work against `up` as they stand there: each loses the answer of its first attempt and is refused its
// second one, and its readings are stored once.
func TestClientsOfTheDocumentSendOnce(t *testing.T) {
	t.Parallel()
	proves(t, "P1, P2")
	text, err := os.ReadFile("../docs/devices.md")
	if err != nil {
		t.Fatal(err)
	}
	curl := exec.Command(prerequisite.Program(t, "bash", "bash"), "-c", example(t, text, "sh", 1))
	prerequisite.Program(t, "curl", "curl")
	python := exec.Command(prerequisite.Program(t, "python3", "python3"), "-c", example(t, text, "python", 20))
	script := filepath.Join(t.TempDir(), "send.mjs")
	if err := os.WriteFile(script, []byte(example(t, text, "javascript", 20)), 0o600); err != nil {
		t.Fatal(err)
	}
	node := exec.Command(prerequisite.Program(t, "node", "nodejs"), script)

	s, listen := newSystem(t), freeport.Address(t)
	run := s.up("--customers", "10", "--rate", "10", "--ingest-listen", listen) // CUST_00042 is none of the simulator's
	run.waitForOutput("Heartbeat is up")
	f := s.fixture()
	token := strings.TrimSpace(regexp.MustCompile(`hb_\S+`).FindString(f.run("device", "add", "watch-7", "--customer", "CUST_00042")))
	awaitAnswer(t, "http://"+listen, token, http.StatusBadRequest)
	faults := startLossyGateway(t, "http://"+listen)
	var clients sync.WaitGroup
	for name, client := range map[string]*exec.Cmd{"curl": curl, "Python": python, "JavaScript": node} {
		clients.Go(func() {
			client.Env = append(os.Environ(), "HEARTBEAT_URL="+faults.url, "DEVICE_TOKEN="+token)
			client.WaitDelay = 5 * time.Second
			if out, err := client.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", name, err, out)
			}
		})
	}
	clients.Wait()
	faults.wantThreeAttempts(3)
	f.caughtUp(waitTimeout)
	stored := value[string](t, f.pool, `SELECT coalesce(string_agg(heart_rate::text, ' ' ORDER BY heart_rate), '') FROM heartbeat_records WHERE customer_id = 'CUST_00042'`)
	if want := "61 62 72 81 82"; stored != want {
		t.Errorf("stored are the rates %s, want each once: %s", stored, want)
	}
	f.verify()
	f.run("device", "revoke", "watch-7")
	awaitAnswer(t, "http://"+listen, token, http.StatusUnauthorized)
	run.interrupt()
}

// example returns the code of a language in a document, which has no more lines than said.
func example(t *testing.T, document []byte, language string, lines int) string {
	t.Helper()
	found := regexp.MustCompile("(?ms)^```" + language + "\n(.*?)^```$").FindSubmatch(document)
	if found == nil {
		t.Fatalf("the document has no example in %s", language)
	}
	code := string(found[1])
	have := 0
	for line := range strings.Lines(code) {
		if strings.TrimSpace(line) != "" {
			have++
		}
	}
	if have > lines {
		t.Errorf("the example in %s has %d lines, want at most %d", language, have, lines)
	}
	return code
}

// tokenTime is how soon a gateway must follow a change of a device.
const tokenTime = 5 * time.Second

// awaitAnswer waits until a gateway answers with a status to an empty array: 400 to a device that it knows, 401 to one that it does not.
func awaitAnswer(t *testing.T, gateway, token string, status int) {
	t.Helper()
	await(t, tokenTime, func() string {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, gateway+"/api/v1/readings", strings.NewReader("[]"))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		request.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err.Error()
		}
		response.Body.Close()
		if response.StatusCode != status {
			return fmt.Sprintf("the gateway answers %s, want %d", response.Status, status)
		}
		return ""
	})
}

// lossyGateway passes requests on to a gateway. Of the attempts with one Idempotency-Key it loses the answer of the first and refuses the second.
type lossyGateway struct {
	t   *testing.T
	url string

	mu       sync.Mutex // guards both below
	attempts map[string]int
	second   map[string]time.Time // when the second attempt was refused
}

const retryAfter = 2 * time.Second

func startLossyGateway(t *testing.T, target string) *lossyGateway {
	t.Helper()
	address, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	g := &lossyGateway{t: t, attempts: map[string]int{}, second: map[string]time.Time{}}
	forward := httputil.NewSingleHostReverseProxy(address)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch g.attempt(r.Header.Get("Idempotency-Key")) {
		case 1:
			answer := httptest.NewRecorder()
			if forward.ServeHTTP(answer, r); answer.Code != http.StatusAccepted {
				t.Errorf("the gateway answers %d:\n%s", answer.Code, answer.Body)
			}
			panic(http.ErrAbortHandler) // cuts the connection
		case 2:
			w.Header().Set("Retry-After", fmt.Sprint(retryAfter.Seconds()))
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			forward.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	g.url = server.URL
	return g
}

// attempt counts an attempt, and checks that the third one waits as long as it was told to.
func (g *lossyGateway) attempt(key string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.attempts[key]++
	switch g.attempts[key] {
	case 2:
		g.second[key] = time.Now()
	case 3:
		if waited := time.Since(g.second[key]); waited < retryAfter {
			g.t.Errorf("the third attempt came %s after the second, want %s or more", waited, retryAfter)
		}
	}
	return g.attempts[key]
}

// wantThreeAttempts wants so many requests, each with a key of its own.
func (g *lossyGateway) wantThreeAttempts(requests int) {
	g.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.attempts) != requests {
		g.t.Errorf("%d keys were sent, want %d", len(g.attempts), requests)
	}
	for key, attempts := range g.attempts {
		if key == "" || attempts != 3 {
			g.t.Errorf("the key %q was sent %d times, want 3", key, attempts)
		}
	}
}
