package format

import (
	"strings"
	"testing"
	"time"

	"heartbeat/internal/heartbeat"
)

const (
	bareBody  = `{"heart_rate":{"value":67.5,"unit":"beats/min"},"effective_time_frame":{"date_time":"2020-02-05T07:25:00-08:00"}}`
	fullPoint = `{"header":{"id":"8b1c","schema_id":{"namespace":"omh","name":"heart-rate","version":"2.0"},"creation_date_time":"2020-02-05T07:26:00-08:00",` +
		`"acquisition_provenance":{"source_name":"RunKeeper","modality":"sensed"},"user_id":"joe"},"body":` + bareBody + `}`
)

func TestOpenMHealth(t *testing.T) {
	t.Parallel()
	bare := Sample{Rate: 67.5, Time: time.Date(2020, 2, 5, 15, 25, 0, 0, time.UTC)}
	full := bare
	full.Subject, full.Device = "joe", "RunKeeper"
	want(t, OpenMHealth, bareBody, described{Sample: bare})
	want(t, OpenMHealth, fullPoint, described{Sample: full})
	want(t, OpenMHealth, "["+bareBody+","+fullPoint+",7]", described{Sample: bare}, described{Position: 1, Sample: full},
		described{Position: 2, Reason: heartbeat.NotObject})
	want(t, OpenMHealth, bareBody+"\n"+fullPoint+"\n", described{Sample: bare}, described{Position: 1, Sample: full})
	want(t, OpenMHealth, "[]")
	interval := with(bareBody, `"date_time":"2020-02-05T07:25:00-08:00"`,
		`"time_interval":{"start_date_time":"2020-02-05T07:25:00-08:00","end_date_time":"2020-02-05T07:25:10-08:00"}`)
	want(t, OpenMHealth, interval, described{Sample: bare})
}

func TestOpenMHealthTraps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		old, replacement string
		reason           heartbeat.Reason
	}{
		"a statistic":             {`"effective_time_frame"`, `"descriptive_statistic":"average","effective_time_frame"`, DescriptiveStatistic},
		"another unit":            {"beats/min", "beats/s", WrongUnit},
		"no unit":                 {`,"unit":"beats/min"`, "", WrongUnit},
		"a value as a string":     {"67.5", `"67.5"`, heartbeat.WrongType},
		"no value":                {`"value":67.5,`, "", heartbeat.MissingField},
		"a bare date":             {"T07:25:00-08:00", "", heartbeat.BadTimestamp},
		"no time":                 {`"date_time"`, `"day"`, heartbeat.MissingField},
		"a rate that is a number": {`{"value":67.5,"unit":"beats/min"}`, "67.5", heartbeat.WrongType},
		"another measurement":     {"heart_rate", "body_weight", NotHeartRate},
		"a value twice":           {`"value":67.5`, `"value":67.5,"value":68`, heartbeat.DuplicateField},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want(t, OpenMHealth, with(bareBody, c.old, c.replacement), described{Reason: c.reason})
			want(t, OpenMHealth, with(fullPoint, c.old, c.replacement), described{Reason: c.reason})
		})
	}
	want(t, OpenMHealth, with(fullPoint, `"heart-rate"`, `"step-count"`), described{Reason: NotHeartRate})
}

func TestOpenMHealthDocumentsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for document, message := range map[string]string{
		"":                          "the document is empty",
		bareBody + bareBody:         "there is more text",
		"[" + bareBody:              "in the middle of a value",
		"[" + bareBody + ",,]":      "not JSON",
		strings.Repeat("[", 10_001): "not JSON",
	} {
		if items, err := ReadOpenMHealth([]byte(document)); err == nil || !strings.Contains(err.Error(), message) || items != nil {
			t.Errorf("reading %.60q gives %v, %v, want %q", document, items, err, message)
		}
	}
}
