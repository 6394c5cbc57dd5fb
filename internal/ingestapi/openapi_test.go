package ingestapi

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Each kind of answer is in the description, and has the shape that it says.
func TestAnswersAreAsDescribed(t *testing.T) {
	t.Parallel()
	server := newServer(t, &topic{}, nil)
	recorder := httptest.NewRecorder()
	server.Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "http://localhost/api/v1/openapi.json", nil))
	document, err := jsonschema.UnmarshalJSON(recorder.Body)
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("openapi.json", document); err != nil {
		t.Fatal(err)
	}
	var described struct {
		Paths map[string]map[string]struct {
			Responses map[string]struct{ Content map[string]any }
		}
	}
	text, _ := json.Marshal(document)
	if err := json.Unmarshal(text, &described); err != nil {
		t.Fatal(err)
	}
	responses := described.Paths["/api/v1/readings"]["post"].Responses
	for name, response := range map[string]*httptest.ResponseRecorder{
		"accepted":      post(server, jsonType, "["+oneReading+",{}]"),
		"nothing valid": post(server, jsonType, "[{}]"),
		"no JSON":       post(server, jsonType, "[{"),
		"no token":      post(server, jsonType, oneReading, "Authorization", "Bearer x"),
		"another's":     post(server, jsonType, reading(1, "60"), "Authorization", "Bearer person"),
		"too large":     post(server, jsonType, strings.Repeat(" ", maxWire+1)),
		"another type":  post(server, "text/plain", oneReading),
		"away":          post(newServer(t, &topic{fail: http.ErrAbortHandler}, nil), jsonType, oneReading),
	} {
		one, known := responses[strconv.Itoa(response.Code)]
		if !known {
			t.Errorf("%s: status %d is not described", name, response.Code)
			continue
		}
		media := response.Header().Get("Content-Type")
		pointer := "openapi.json#/paths/~1api~1v1~1readings/post/responses/" + strconv.Itoa(response.Code) + "/content/" + strings.ReplaceAll(media, "/", "~1") + "/schema"
		if _, known := one.Content[media]; !known {
			t.Errorf("%s: the type %q of status %d is not described", name, media, response.Code)
			continue
		}
		schema, err := compiler.Compile(pointer)
		if err != nil {
			t.Fatal(err)
		}
		body, err := jsonschema.UnmarshalJSON(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(body); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
