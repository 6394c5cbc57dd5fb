package evaluate

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"heartbeat/internal/detect"
	"heartbeat/internal/heartbeat"
	"heartbeat/internal/simulate"
)

// ReadingsResult is what readings from elsewhere cause.
type ReadingsResult struct {
	Readings int      `json:"readings"`
	NotNewer int      `json:"not_newer"` // readings that are not newer than one before of the same customer: not judged
	Days     float64  `json:"recorded_days"`
	Detector *Judged  `json:"detector,omitempty"` // compared with the labels; nil without any
	Rule     *Judged  `json:"per_reading,omitempty"`
	People   []Person `json:"people"` // who has most alarms first
}

// Person is what the readings of one customer cause.
type Person struct {
	Customer     string  `json:"customer"`
	Readings     int     `json:"readings"`
	Days         float64 `json:"recorded_days"` // a gap counts for at most 10 minutes
	Alarms       []Count `json:"alarms"`
	AlarmsPerDay float64 `json:"alarms_per_day"`
	RulePerDay   float64 `json:"per_reading_alarms_per_day"`
}

// longestGap is how much of a gap between two readings counts as recorded.
const longestGap = detect.Time(10 * time.Minute / time.Microsecond)

// recording is one customer while the file is read.
type recording struct {
	subjects    []subject
	readings    int
	first, last detect.Time
	recorded    detect.Time
	episodes    []simulate.Episode
	label       simulate.Condition // of the reading before
}

// readingsReader reads a file of readings.
type readingsReader struct {
	file       *csv.Reader
	columns    [len(columnNames)]int // -1: missing
	template   []subject
	recordings map[string]*recording
	result     ReadingsResult
}

var columnNames = [...]string{"customer", "time", "bpm", "label"}

const labelColumn = 3

// Readings judges readings in CSV: a header that names the columns customer, time (RFC 3339 or seconds since 1970), bpm and
// optionally label, then a row for each reading, in the order of time for each customer. A label is empty or names the condition
// that the reading is part of; readings of a customer in a row with the same label are one episode.
func Readings(ctx context.Context, file io.Reader) (*ReadingsResult, error) {
	r := &readingsReader{file: csv.NewReader(file), recordings: map[string]*recording{}}
	r.file.ReuseRecord = true
	var err error
	if r.template, err = newSubjects(basicVariants); err != nil {
		return nil, err
	}
	if err := r.header(); err != nil {
		return nil, err
	}
	for n := 0; ; n++ {
		row, err := r.file.Read()
		if errors.Is(err, io.EOF) {
			return r.finish(), nil
		}
		if err == nil {
			err = r.row(row)
		}
		if err != nil {
			return nil, r.at(err)
		}
		if n%cancelEvery == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

// at names the line of an error.
func (r *readingsReader) at(err error) error {
	if _, named := errors.AsType[*csv.ParseError](err); named {
		return err
	}
	line, _ := r.file.FieldPos(0)
	return fmt.Errorf("line %d: %w", line, err)
}

func (r *readingsReader) header() error {
	row, err := r.file.Read()
	if errors.Is(err, io.EOF) {
		return errors.New("the file is empty: want a header such as customer,time,bpm")
	}
	if err != nil {
		return err
	}
	for i, name := range columnNames {
		r.columns[i] = slices.IndexFunc(row, func(cell string) bool {
			return strings.EqualFold(strings.TrimSpace(strings.TrimPrefix(cell, "\ufeff")), name)
		})
		if r.columns[i] < 0 && i != labelColumn {
			return fmt.Errorf("line 1 has no column %s: want a header such as customer,time,bpm or customer,time,bpm,label", name)
		}
	}
	return nil
}

func (r *readingsReader) cell(row []string, column int) string {
	if r.columns[column] < 0 {
		return ""
	}
	return strings.TrimSpace(row[r.columns[column]])
}

func (r *readingsReader) row(row []string) error {
	customer := r.cell(row, 0)
	if customer == "" {
		return errors.New("the customer is empty")
	}
	at, err := parseTime(r.cell(row, 1))
	if err != nil {
		return err
	}
	rate, err := strconv.ParseFloat(r.cell(row, 2), 64)
	if err != nil || math.IsNaN(rate) || math.IsInf(rate, 0) {
		return fmt.Errorf("bpm %q: want a number", r.cell(row, 2))
	}
	label := simulate.Condition(r.cell(row, labelColumn))
	if label != "" && conditionIndex(label) < 0 {
		return fmt.Errorf("label %q: want nothing or one of %v", label, Conditions)
	}
	known, ok := r.recordings[customer]
	if !ok {
		known = &recording{subjects: slices.Clone(r.template), first: at, last: at - 1}
		r.recordings[strings.Clone(customer)] = known
	}
	known.step(at, rate, label, &r.result)
	return nil
}

func parseTime(text string) (detect.Time, error) {
	if at, err := time.Parse(time.RFC3339Nano, strings.Replace(text, " ", "T", 1)); err == nil && at.Year() >= 1970 {
		return detect.TimeOf(at), nil
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds >= 0 && seconds < 1e10 {
		return detect.Time(math.Round(seconds * 1e6)), nil
	}
	return 0, fmt.Errorf("time %q: want such as 2026-02-20T10:00:00Z or seconds since 1970", text)
}

func (p *recording) step(at detect.Time, rate float64, label simulate.Condition, result *ReadingsResult) {
	result.Readings++
	p.readings++
	if at <= p.last {
		result.NotNewer++
		return
	}
	if at > p.first {
		p.recorded += min(at-p.last, longestGap)
	}
	p.last = at
	input := detect.Reading{Event: at, Kafka: detect.UnknownTime, Offset: int64(p.readings)}
	input.Class, input.BPM = heartbeat.Classify(rate)
	for i := range p.subjects {
		p.subjects[i].step(input)
	}
	switch {
	case label == "":
	case label == p.label:
		p.episodes[len(p.episodes)-1].End = at.UTC()
	default:
		p.episodes = append(p.episodes, simulate.Episode{Kind: labelled, Onset: at.UTC(), End: at.UTC(), Expected: label})
	}
	p.label = label
}

// labelled stands for the kind of a labelled episode. Results of a file are not given by kind.
const labelled = simulate.Tachycardia

func (r *readingsReader) finish() *ReadingsResult {
	scores := [...]*score{newScore(), newScore()}
	labels := false
	for customer, p := range r.recordings {
		labels = labels || len(p.episodes) > 0
		over := period{p.first, p.last + grace + 1}
		recorded := period{0, p.recorded}.length()
		days := recorded.days()
		person := Person{Customer: customer, Readings: p.readings, Days: days}
		for i, t := range scores {
			t.judged += recorded
			t.judge(over, p.episodes, p.subjects[i].alarms.All)
		}
		own := [conditionCount]int{}
		for _, a := range p.subjects[0].alarms.All {
			own[conditionIndex(a.Condition)]++
		}
		person.Alarms = counts(own)
		person.AlarmsPerDay = rateOf(len(p.subjects[0].alarms.All), days).PerDay
		person.RulePerDay = rateOf(len(p.subjects[1].alarms.All), days).PerDay
		r.result.People = append(r.result.People, person)
	}
	slices.SortFunc(r.result.People, func(a, b Person) int {
		return cmp.Or(cmp.Compare(b.AlarmsPerDay, a.AlarmsPerDay), cmp.Compare(a.Customer, b.Customer))
	})
	r.result.Days = scores[0].judged.days()
	if labels {
		detector, rule := scores[0].result(fullDetector.Name, fullDetector.Title), scores[1].result(perReading.Name, perReading.Title)
		r.result.Detector, r.result.Rule = &detector, &rule
	}
	return &r.result
}

// shownPeople is how many of the people a terminal shows.
const shownPeople = 50

// WriteTable writes the result for a terminal.
func (r *ReadingsResult) WriteTable(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d readings of %d customers, %.1f recorded days", r.Readings, len(r.People), r.Days)
	if r.NotNewer > 0 {
		fmt.Fprintf(&b, "; %d are not newer than the one before and not judged", r.NotNewer)
	}
	b.WriteString("\n")
	if r.Detector != nil {
		b.WriteString("\nLABELLED EPISODES\n")
		comparison([]Judged{*r.Detector, *r.Rule}).writeAligned(&b)
		b.WriteString("\n")
		conditionsGrid(r.Detector).writeAligned(&b)
	}
	g := grid{{"CUSTOMER", "READINGS", "DAYS", "ALARMS A DAY", "RATE HIGH", "RATE LOW", "BAD SIGNAL", "PER-READING RULE A DAY"}}
	for i, p := range r.People {
		if i == shownPeople {
			break
		}
		row := []string{p.Customer, fmt.Sprint(p.Readings), fmt.Sprintf("%.2f", p.Days), fmt.Sprintf("%.2f", p.AlarmsPerDay)}
		for _, c := range p.Alarms {
			row = append(row, fmt.Sprint(c.Alarms))
		}
		g = append(g, append(row, fmt.Sprintf("%.1f", p.RulePerDay)))
	}
	b.WriteString("\n")
	g.writeAligned(&b)
	if more := len(r.People) - shownPeople; more > 0 {
		fmt.Fprintf(&b, "and %d more: --json lists them\n", more)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
