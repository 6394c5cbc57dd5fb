package web_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// operations returns each operation with a request target, and the parameters that it knows.
func operations(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for operation, parameters := range newServer(t, nil).QueryParameters() {
		operation = strings.Replace(operation, "customers/{id}", "customers/CUST_00042", 1)
		all[strings.Replace(operation, "{id}", "7", 1)] = parameters
	}
	return all
}

func TestNoParameterIsIgnored(t *testing.T) {
	t.Parallel()
	server := newServer(t, nil)
	refused := func(operation, query, named string) {
		method, target, _ := strings.Cut(operation, " ")
		r := httptest.NewRequest(method, target, nil)
		r.URL.RawQuery = query
		w := do(server, r)
		if body := w.Body.String(); !strings.Contains(body, named) {
			t.Errorf("%s?%s: the problem does not name %s: %s", operation, query, named, body)
		}
		if w.Code != http.StatusBadRequest {
			t.Errorf("%s?%s got %d, want 400", operation, query, w.Code)
		}
	}
	for operation, parameters := range operations(t) {
		refused(operation, "colour=red", "colour")
		refused(operation, "%zz=1", "%zz")
		for _, name := range parameters {
			refused(operation, name+"=%zz", name)
			refused(operation, name+"=", name)
			refused(operation, name, name)
			refused(operation, name+"=1;2", name)
			refused(operation, name+"=1&"+name+"=1", name)
			refused(operation, name+"=%00", name)
			refused(operation, strings.ToUpper(name)+"=1", strings.ToUpper(name))
		}
	}
}

func TestTimesOutsideTheCalendarAreRefused(t *testing.T) {
	t.Parallel()
	server := newServer(t, nil)
	for _, at := range []string{"9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00%2B01:00", "10000-01-01T00:00:00Z", "9999-12-31T24:00:00Z"} {
		for _, target := range []string{"readings?from=", "readings?to=", "minutes?from=", "minutes?to="} {
			w := get(server, "/api/v1/customers/CUST_00042/"+target+at)
			if name := target[strings.Index(target, "?")+1 : len(target)-1]; !strings.Contains(w.Body.String(), name) {
				t.Errorf("%s%s: the problem does not name %s: %s", target, at, name, w.Body)
			}
			checkProblem(t, w, http.StatusBadRequest, "bad_request")
		}
	}
	for _, at := range []string{"9999-12-31T23:59:59Z&from=9999-12-31T00:00:00Z", "9999-12-31T23:59:59%2B01:00&from=9999-12-31T00:00:00Z", "0001-01-02T00:00:00Z"} {
		if w := get(server, "/api/v1/customers/CUST_00042/readings?to="+at); w.Code != http.StatusOK {
			t.Errorf("to=%s got %d: %s", at, w.Code, w.Body)
		}
	}
}

func TestDescriptionListsExactlyTheParameters(t *testing.T) {
	t.Parallel()
	served := newServer(t, nil).QueryParameters()
	for path, operations := range description(t)["paths"].(object) {
		for method, operation := range operations.(object) {
			var described []string
			parameters, _ := operation.(object)["parameters"].([]any)
			for _, parameter := range parameters {
				if p := parameter.(object); p["in"] == "query" {
					described = append(described, p["name"].(string))
				}
			}
			want := slices.Clone(served[fmt.Sprintf("%s %s", strings.ToUpper(method), path)])
			slices.Sort(want)
			slices.Sort(described)
			if !slices.Equal(want, described) {
				t.Errorf("%s %s is described with the parameters %v, the server knows %v", method, path, described, want)
			}
		}
	}
}
