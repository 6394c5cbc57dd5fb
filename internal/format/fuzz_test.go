package format

import (
	"bytes"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// checkReader holds a reader of any input against what every reader promises: positions rise, a sample is complete, a rejection says
// why, and the size of the pieces in which the input comes changes nothing.
func checkReader(t *testing.T, read func(io.Reader) Items, input []byte) {
	t.Helper()
	last := int64(-1)
	for item, err := range read(bytes.NewReader(input)) {
		switch {
		case err != nil:
		case item.Position <= last:
			t.Fatalf("item %d follows item %d", item.Position, last)
		case item.Rejection != nil && (item.Rejection.Reason == "" || item.Rejection.Detail == ""):
			t.Fatalf("item %d is left out without a reason: %+v", item.Position, item.Rejection)
		case item.Rejection == nil:
			checkSample(t, item.Sample)
		}
		last = item.Position
	}
	whole, wholeErr := describe(t, read(bytes.NewReader(input)))
	pieces, piecesErr := describe(t, read(&inPieces{bytes.NewReader(input)}))
	if diff := cmp.Diff(whole, pieces); diff != "" || (wholeErr == nil) != (piecesErr == nil) {
		t.Fatalf("read in pieces, the input ends with %v instead of %v and gives (-whole +pieces):\n%s", piecesErr, wholeErr, diff)
	}
}

func checkSample(t *testing.T, sample Sample) {
	t.Helper()
	if sample.Rate != sample.Rate || sample.Time.IsZero() || sample.Time.Nanosecond()%1000 != 0 {
		t.Fatalf("the sample %+v has no rate or no time in microseconds", sample)
	}
	if len(sample.Subject) > maxNameBytes || len(sample.Device) > maxNameBytes {
		t.Fatalf("the sample %+v has a name over %d bytes", sample, maxNameBytes)
	}
}

// inPieces gives up to seven bytes at once.
type inPieces struct{ r io.Reader }

func (p *inPieces) Read(b []byte) (int, error) { return p.r.Read(b[:min(7, len(b))]) }

func FuzzFHIR(f *testing.F) {
	for _, document := range []string{
		heartRateObservation, bundle("batch", heartRateObservation, `{"resourceType":"Patient"}`), bundle("transaction", heartRateObservation, "{}"),
		with(heartRateObservation, "44.5", "1e999"), with(heartRateObservation, "2026-02-20T10:00:00.1234567+01:00", "2026-02-20"), "[[", "{}",
	} {
		f.Add([]byte(document))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		checkReader(t, FHIR, input)
		document, err := ReadFHIR(input, 1<<20)
		if err != nil {
			return
		}
		streamed, err := describe(t, FHIR(bytes.NewReader(input)))
		if err != nil || len(streamed) != len(document.Items) {
			t.Fatalf("as a document there are %d items, as a stream %d and %v", len(document.Items), len(streamed), err)
		}
	})
}

func FuzzOpenMHealth(f *testing.F) {
	for _, document := range []string{bareBody, fullPoint, "[" + bareBody + "," + fullPoint + "]", "[]", "[[", "{}"} {
		f.Add([]byte(document))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		checkReader(t, OpenMHealth, input)
	})
}

func FuzzApple(f *testing.F) {
	for _, text := range []string{export(appleRecord), export(appleRecord)[:700], "<HealthData><Record a='>'/></HealthData>", "<!DOCTYPE [ ]>", "<![CDATA[", "<!--->"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, input []byte) { checkReader(t, Apple, input) })
}

func FuzzFitbit(f *testing.F) {
	for _, text := range []string{fitbitExport, fitbitIntraday, "[[", "{}"} {
		f.Add([]byte(text))
	}
	berlin := zone(f, "Europe/Berlin")
	f.Fuzz(func(t *testing.T, input []byte) {
		checkReader(t, fitbit(Options{Zone: berlin, Name: "2026-10-25.json"}), input)
	})
}

func FuzzHealthConnect(f *testing.F) {
	for _, text := range []string{healthConnect, "[" + healthConnect + "]", "[[", "{}"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, input []byte) { checkReader(t, HealthConnect, input) })
}

func FuzzCSV(f *testing.F) {
	for _, text := range []string{
		"customer_id,heart_rate,timestamp\nCUST_00042,72.5,2026-02-20T10:00:00Z\n", "\ufeffheart_rate;timestamp\r\n\"72,5\";\"2026-10-25 02:30:00\"\r\n",
		"heart_rate|timestamp\n72|1771581600\n", "heart_rate,timestamp\n\"",
	} {
		f.Add([]byte(text), uint8(0))
		f.Add([]byte(text), uint8(7))
	}
	berlin := zone(f, "Europe/Berlin")
	f.Fuzz(func(t *testing.T, input []byte, choice uint8) {
		options := Options{DecimalComma: choice&1 != 0, TimeFormat: [...]TimeFormat{RFC3339, UnixSecond, UnixMilli, RFC3339}[choice>>1&3]}
		if choice&8 != 0 {
			options.Zone = berlin
		}
		checkReader(t, csvWith(options), input)
	})
}

func FuzzNDJSON(f *testing.F) {
	for _, text := range []string{`{"customer_id":"CUST_00042","heart_rate":72.5,"timestamp":"2026-02-20T10:00:00Z"}` + "\n{", "\n\n", "[1]"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, input []byte) { checkReader(t, NDJSON, input) })
}

// Whatever a file is, it is recognised as nothing or as a format whose reader then reads it.
func FuzzRecognise(f *testing.F) {
	for _, text := range []string{export(), fitbitExport, fitbitIntraday, healthConnect, heartRateObservation, bareBody, "heart_rate;timestamp\n", `{"heart_rate":1}`, "[["} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		if name := Recognise(input, Options{}); name != "" {
			checkReader(t, func(r io.Reader) Items { return Read(name, r, Options{}) }, input)
		}
	})
}
