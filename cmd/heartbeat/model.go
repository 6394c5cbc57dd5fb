package main

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // --time-zone works in an image without the time zone database

	"heartbeat/internal/kafka"
	"heartbeat/internal/simulate"
	"heartbeat/internal/simulator"
)

// The models of the simulator.
const (
	seedModel          = "seed"
	physiologicalModel = "physiological"
)

// physiologyFlags belong to the physiological model alone.
type physiologyFlags struct {
	Episodes string `placeholder:"LIST" help:"How many episodes a customer has a day, as KIND=NUMBER with commas between: what is not listed keeps its default, a leading none starts from no episodes. none,tachycardia=0.1 gives a tenth of the customers one tachycardia a day. Kinds: exercise, tachycardia, bradycardia, brief_excursion, fever, artefact_burst, cadence_lock, stuck_value, drop_out, device_reset, duplicate, late_upload, clock_ahead; gateway_outage counts for the whole fleet. Physiological model only."`
	TimeZone string `placeholder:"ZONE" help:"All customers live by the day of this time zone, such as Europe/Berlin, with the highest rates in the afternoon; not given, their days are spread around the clock. Physiological model only."`
	Truth    string `placeholder:"TARGET" help:"Where to write what happens in each episode, as JSON lines: a file name, kafka:TOPIC or none (kafka:heartbeat-truth). Physiological model only."`
}

const (
	truthTopicPrefix  = "kafka:"
	defaultTruthTopic = "heartbeat-truth"
	noTruth           = "none"
)

// options returns nil for the seed model, which takes none of the flags. topic is that of the readings.
func (f physiologyFlags) options(model, topic string) (*simulator.PhysiologyOptions, error) {
	if model == seedModel {
		return nil, f.refuse()
	}
	episodes, err := simulate.ParseRates(f.Episodes, simulate.DefaultRates())
	if err != nil {
		return nil, fmt.Errorf("--episodes %s: %w", f.Episodes, err)
	}
	options := &simulator.PhysiologyOptions{Episodes: episodes}
	if f.TimeZone != "" {
		if options.Zone, err = time.LoadLocation(f.TimeZone); err != nil {
			return nil, fmt.Errorf("--time-zone %s: want a name of the time zone database, such as Europe/Berlin: %w", f.TimeZone, err)
		}
	}
	truthTopic, ok := strings.CutPrefix(f.Truth, truthTopicPrefix)
	switch {
	case f.Truth == "":
		options.TruthTopic = defaultTruthTopic
	case f.Truth == noTruth:
	case ok:
		options.TruthTopic = truthTopic
	default:
		options.TruthPath = f.Truth
	}
	if ok {
		if err := (kafka.Config{Brokers: []string{"unused:1"}, Topic: truthTopic}).Validate(); err != nil {
			return nil, fmt.Errorf("--truth %s: %w", f.Truth, err)
		}
	}
	if options.TruthTopic == topic {
		return nil, fmt.Errorf("--truth kafka:%s: want another topic than that of the readings", topic)
	}
	return options, nil
}

// refuse names a flag that the seed model cannot follow.
func (f physiologyFlags) refuse() error {
	for _, flag := range []struct{ name, value string }{
		{"--episodes", f.Episodes}, {"--time-zone", f.TimeZone}, {"--truth", f.Truth},
	} {
		if flag.value != "" {
			return fmt.Errorf("%s %s: the seed model has no such thing; add --model physiological", flag.name, flag.value)
		}
	}
	return nil
}

// validateInterval refuses a rate at which the customers of the physiological model would report too often or too seldom.
func (f simulatorFlags) validateInterval(perSecond float64) error {
	options := simulate.PopulationOptions{Customers: f.Customers, Interval: simulator.CustomerInterval(f.Customers, perSecond)}
	refused, ok := errors.AsType[*simulate.OptionError](options.Validate())
	if !ok {
		return nil
	}
	return fmt.Errorf("%g readings a second of CUSTOMER_POOL_SIZE %d: each customer would report every %v, want %s", perSecond, f.Customers, refused.Value, refused.Want)
}
