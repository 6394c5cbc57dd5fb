package simulate

import (
	"errors"
	"math"
	"testing"
)

func TestOptionsAreHeldToTheirRange(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*Options)
		option Option
		text   string
	}{
		"no customers":             {func(o *Options) { o.Customers = 0 }, Customers, "customer pool size 0: want 1 to 10000000"},
		"negative customers":       {func(o *Options) { o.Customers = -1 }, Customers, "customer pool size -1: want 1 to 10000000"},
		"too many customers":       {func(o *Options) { o.Customers = MaxCustomers + 1 }, Customers, "customer pool size 10000001: want 1 to 10000000"},
		"negative anomaly rate":    {func(o *Options) { o.AnomalyRate = -0.1 }, AnomalyRate, "anomaly injection rate -0.1: want 0 to 1"},
		"anomaly rate in per cent": {func(o *Options) { o.AnomalyRate = 5 }, AnomalyRate, "anomaly injection rate 5: want 0 to 1"},
		"anomaly rate NaN":         {func(o *Options) { o.AnomalyRate = math.NaN() }, AnomalyRate, "anomaly injection rate NaN: want 0 to 1"},
		"just over all":            {func(o *Options) { o.InvalidRate = math.Nextafter(1, 2) }, InvalidRate, "invalid injection rate 1.0000000000000002: want 0 to 1"},
		"negative invalid rate":    {func(o *Options) { o.InvalidRate = -1 }, InvalidRate, "invalid injection rate -1: want 0 to 1"},
		"infinite invalid rate":    {func(o *Options) { o.InvalidRate = math.Inf(1) }, InvalidRate, "invalid injection rate +Inf: want 0 to 1"},
		"negative worker":          {func(o *Options) { o.Worker = -1 }, Worker, "worker number -1: want 0 or more"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := contract
			test.change(&options)
			_, err := New(options)
			fault, ok := errors.AsType[*OptionError](err)
			if !ok || fault.Option != test.option || err.Error() != "simulate fleet: "+test.text {
				t.Errorf("error %v, want one of the %s that says %q", err, test.option, test.text)
			}
		})
	}
	for _, rate := range []float64{0, math.Copysign(0, -1), 0.5, 1} {
		options := contract
		options.AnomalyRate, options.InvalidRate = rate, rate
		if _, err := New(options); err != nil {
			t.Errorf("rates of %v: %v", rate, err)
		}
	}
}
