package web_test

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"heartbeat/internal/httpserver"

	"github.com/go-json-experiment/json"
)

type object = map[string]any

func description(t *testing.T) object {
	t.Helper()
	text, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var document object
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatalf("openapi.json: %v", err)
	}
	return document
}

func TestDescriptionListsExactlyTheRoutes(t *testing.T) {
	t.Parallel()
	var described []string
	for path, operations := range description(t)["paths"].(object) {
		for method, operation := range operations.(object) {
			role := operation.(object)["x-role"]
			if open := operation.(object)["security"] != nil; open != (role == "anyone") {
				t.Errorf("%s %s is described as open: %t, and for the role %v", method, path, open, role)
			}
			described = append(described, fmt.Sprintf("%s %s role=%s", strings.ToUpper(method), path, role))
		}
	}
	served := newServer(t, nil).Routes()
	slices.Sort(described)
	slices.Sort(served)
	if !slices.Equal(described, served) {
		t.Errorf("openapi.json describes\n%s\nthe server answers\n%s", strings.Join(described, "\n"), strings.Join(served, "\n"))
	}
}

func TestAnswersAreAsDescribed(t *testing.T) {
	t.Parallel()
	document := description(t)
	server := polled(t, newServer(t, nil))
	for path, target := range map[string]string{
		"/api/v1/alarms": "", "/api/v1/alarms/{id}": "/api/v1/alarms/" + heldID, "/api/v1/limits": "", "/api/v1/limits/suggested": "/api/v1/limits/suggested?customer=CUST_00042&utc_offset=60",
		"/healthz": "", "/readyz": "", "/api/v1/session": "", "/api/v1/me": "", "/api/v1/totals": "", "/api/v1/fleet": "", "/api/v1/alerts": "",
		"/api/v1/trends":                   "/api/v1/trends?range=15m",
		"/api/v1/customers/{id}":           "/api/v1/customers/CUST_00042",
		"/api/v1/customers/{id}/readings":  "/api/v1/customers/CUST_00042/readings",
		"/api/v1/customers/{id}/minutes":   "/api/v1/customers/CUST_00042/minutes",
		"/api/v1/dead-letters/{id}":        "/api/v1/dead-letters/7",
		"/api/v1/dead-letters/{id}/replay": "/api/v1/dead-letters/7/replay",
		"/api/v1/pipeline":                 "", "/api/v1/tables": "", "/api/v1/incidents": "", "/api/v1/dead-letters": "",
		"/api/v1/deliveries": "", "/api/v1/deliveries/{id}/retry": "/api/v1/deliveries/" + heldID + "/retry", "/api/v1/destinations/{name}/retry": "/api/v1/destinations/ward/retry",
	} {
		if target == "" {
			target = path
		}
		for method, operation := range document["paths"].(object)[path].(object) {
			if method != "get" && path != "/api/v1/dead-letters/{id}/replay" && !strings.HasSuffix(path, "/retry") {
				continue // tested where they belong
			}
			w := do(server, httptest.NewRequest(strings.ToUpper(method), target, nil))
			if w.Code != http.StatusOK {
				t.Errorf("%s %s: status %d: %s", method, target, w.Code, w.Body)
				continue
			}
			checkBody(t, document, method+" "+target, operation.(object), "200", w)
		}
	}
}

func TestProblemsAreAsDescribed(t *testing.T) {
	t.Parallel()
	document := description(t)
	w := get(newServer(t, nil), "/api/v1/fleet?limit=0")
	checkBody(t, document, "problem", document["paths"].(object)["/api/v1/fleet"].(object)["get"].(object), "default", w)
	codes := document["components"].(object)["schemas"].(object)["Problem"].(object)["properties"].(object)["code"].(object)["enum"].([]any)
	var described []string
	for _, code := range codes {
		described = append(described, code.(string))
	}
	if served := servedCodes(); !slices.Equal(slices.Sorted(slices.Values(described)), slices.Sorted(slices.Values(served))) {
		t.Errorf("described codes %v, the server's %v", described, served)
	}
}

func servedCodes() (names []string) {
	for _, code := range httpserver.Codes() {
		names = append(names, string(code))
	}
	return names
}

func checkBody(t *testing.T, document object, name string, operation object, status string, w *httptest.ResponseRecorder) {
	t.Helper()
	content := operation["responses"].(object)[status].(object)["content"].(object)
	media, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
	described, ok := content[media].(object)
	if !ok {
		t.Errorf("%s answers with %q, which is not described", name, media)
		return
	}
	var body any
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	c := checker{schemas: document["components"].(object)["schemas"].(object)}
	c.check("body", described["schema"].(object), body)
	for _, fault := range c.faults {
		t.Errorf("%s: %s", name, fault)
	}
}

// checker knows the part of JSON Schema that openapi.json uses. It reports keywords that it does not know.
type checker struct {
	schemas object
	faults  []string
}

func (c *checker) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

func (c *checker) check(at string, schema object, value any) {
	for keyword, want := range schema {
		switch keyword {
		case "$ref":
			c.check(at, c.schemas[strings.TrimPrefix(want.(string), "#/components/schemas/")].(object), value)
		case "anyOf":
			c.any(at, want.([]any), value)
		case "type":
			c.typed(at, want, value)
		case "enum":
			if !slices.Contains(want.([]any), value) {
				c.fault("%s is %v, not one of %v", at, value, want)
			}
		case "pattern":
			if text, ok := value.(string); ok && !regexp.MustCompile(want.(string)).MatchString(text) {
				c.fault("%s is %q, which does not match %s", at, text, want)
			}
		case "format":
			if text, ok := value.(string); ok {
				if _, err := time.Parse(time.RFC3339Nano, text); err != nil {
					c.fault("%s is %q, not a %s", at, text, want)
				}
			}
		case "items":
			if items, ok := value.([]any); ok {
				for i, item := range items {
					c.check(fmt.Sprintf("%s[%d]", at, i), want.(object), item)
				}
			}
		case "properties":
			c.properties(at, schema, value)
		case "required", "additionalProperties", "description": // part of properties, or for people
		default:
			c.fault("%s: keyword %q is not checked by this test", at, keyword)
		}
	}
}

func (c *checker) any(at string, schemas []any, value any) {
	for _, schema := range schemas {
		attempt := checker{schemas: c.schemas}
		if attempt.check(at, schema.(object), value); len(attempt.faults) == 0 {
			return
		}
	}
	c.fault("%s is %v, which fits none of %v", at, value, schemas)
}

func (c *checker) properties(at string, schema object, value any) {
	members, ok := value.(object)
	if !ok {
		return // typed has said so, unless null is allowed
	}
	known := schema["properties"].(object)
	for name, member := range members {
		if described, ok := known[name].(object); ok {
			c.check(at+"."+name, described, member)
		} else {
			c.fault("%s has %q, which is not described", at, name)
		}
	}
	for _, name := range schema["required"].([]any) {
		if _, ok := members[name.(string)]; !ok {
			c.fault("%s lacks %q", at, name)
		}
	}
}

func (c *checker) typed(at string, want, value any) {
	names, ok := want.([]any)
	if !ok {
		names = []any{want}
	}
	got := typeOf(value)
	if !slices.Contains(names, any(got)) && !(got == "integer" && slices.Contains(names, any("number"))) {
		c.fault("%s is %v (%s), want %v", at, value, got, names)
	}
}

func typeOf(value any) string {
	switch value := value.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		if value == math.Trunc(value) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	default:
		return "object"
	}
}
