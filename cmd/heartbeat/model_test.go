package main

import (
	"io"
	"strings"
	"testing"

	"heartbeat/internal/simulate"
	"heartbeat/internal/simulator"
)

// parseLine returns the settings of a command line, or the error that a user sees.
func parseLine(t *testing.T, line ...string) (commands, error) {
	t.Helper()
	var cli commands
	_, err := newParser(&cli, io.Discard, io.Discard).Parse(line)
	return cli, err
}

func TestModelOfProduceIsSeedAndThatOfUpPhysiological(t *testing.T) {
	produce, err := parseLine(t, "produce")
	if err != nil || produce.Produce.Model != seedModel {
		t.Errorf("produce has the model %q, %v; want seed", produce.Produce.Model, err)
	}
	up, err := parseLine(t, "up")
	if err != nil || up.Up.Model != physiologicalModel {
		t.Errorf("up has the model %q, %v; want physiological", up.Up.Model, err)
	}
}

func TestFlagsOfThePhysiologicalModel(t *testing.T) {
	for name, test := range map[string]struct {
		flags physiologyFlags
		check func(*simulator.PhysiologyOptions) bool
	}{
		"defaults": {physiologyFlags{}, func(o *simulator.PhysiologyOptions) bool {
			return o.Episodes == simulate.DefaultRates() && o.Zone == nil && o.TruthTopic == "heartbeat-truth" && o.TruthPath == ""
		}},
		"episodes": {physiologyFlags{Episodes: "none,fever=0.1"}, func(o *simulator.PhysiologyOptions) bool {
			return o.Episodes == simulate.Rates{simulate.Fever: 0.1}
		}},
		"zone":        {physiologyFlags{TimeZone: "UTC"}, func(o *simulator.PhysiologyOptions) bool { return o.Zone.String() == "UTC" }},
		"truth topic": {physiologyFlags{Truth: "kafka:truth"}, func(o *simulator.PhysiologyOptions) bool { return o.TruthTopic == "truth" && o.TruthPath == "" }},
		"truth file":  {physiologyFlags{Truth: "truth.jsonl"}, func(o *simulator.PhysiologyOptions) bool { return o.TruthTopic == "" && o.TruthPath == "truth.jsonl" }},
		"no truth":    {physiologyFlags{Truth: "none"}, func(o *simulator.PhysiologyOptions) bool { return o.TruthTopic == "" && o.TruthPath == "" }},
	} {
		t.Run(name, func(t *testing.T) {
			options, err := test.flags.options(physiologicalModel, "heartbeat-events")
			if err != nil || !test.check(options) {
				t.Errorf("options %+v, %v", options, err)
			}
		})
	}
}

func TestModelFlagsAreRefusedByNameAndValue(t *testing.T) {
	for line, want := range map[string]string{
		"produce --episodes=none":                        "--episodes none: the seed model has no such thing; add --model physiological",
		"produce --truth=none":                           "--truth none: the seed model has no such thing; add --model physiological",
		"up --model=seed --time-zone=UTC":                "--time-zone UTC: the seed model has no such thing; add --model physiological",
		"up --episodes=flu=1":                            `--episodes flu=1: unknown kind "flu": want one of exercise, `,
		"up --episodes=fever=-1":                         "--episodes fever=-1: fever=-1: want a number a day, 0 to 1000",
		"up --time-zone=Atlantis":                        "--time-zone Atlantis: want a name of the time zone database, such as Europe/Berlin: ",
		"up --truth=kafka:heartbeat-events":              "--truth kafka:heartbeat-events: want another topic than that of the readings",
		"up --truth=kafka:":                              "--truth kafka:: ",
		"up --rate=20000000":                             "2e+07 readings a second of CUSTOMER_POOL_SIZE 10000: each customer would report every 500µs, want 1ms to 8784h0m0s",
		"produce --model=physiological --interval=86400": "each customer would report every 240000h0m0s, want 1ms to 8784h0m0s",
		"produce --model=cubist":                         `--model must be one of "seed","physiological" but got "cubist"`,
	} {
		t.Run(line, func(t *testing.T) {
			_, err := parseLine(t, strings.Fields(line)...)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want %q", err, want)
			}
		})
	}
}

func TestLeastIntervalOfACustomerIsTaken(t *testing.T) {
	if _, err := parseLine(t, "produce", "--model=physiological", "--rate=1e9", "--customers=1000000"); err != nil {
		t.Errorf("one reading a millisecond of each customer: %v", err)
	}
}
