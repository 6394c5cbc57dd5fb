package device_test

import (
	"math"
	"regexp"
	"strings"
	"testing"

	"heartbeat/internal/device"
)

func TestTokensAreLongRandomAndRecognised(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^hb_[A-Za-z0-9_-]{43}$`) // 43 × 6 bits hold 256
	seen := map[string]bool{}
	for range 1000 {
		token := device.NewToken()
		if !form.MatchString(token) || seen[token] {
			t.Fatalf("the token is %q, made before: %t", token, seen[token])
		}
		seen[token] = true
	}
}

func TestNamesCohortsAndRatesAreChecked(t *testing.T) {
	t.Parallel()
	for name, good := range map[string]bool{
		"w-7": true, "ward.3_east": true, "0": true, strings.Repeat("x", 64): true,
		"": false, "-w": false, "W": false, "a b": false, "a\n": false, "ä": false, strings.Repeat("x", 65): false,
	} {
		if err := device.CheckName(name); (err == nil) != good {
			t.Errorf("the name %q: %v", name, err)
		}
	}
	for cohort, good := range map[string]bool{"ward 3": true, "Ärzte": true, "": false, "a\nb": false, "\xff": false, strings.Repeat("x", 65): false} {
		if err := device.CheckCohort(cohort); (err == nil) != good {
			t.Errorf("the cohort %q: %v", cohort, err)
		}
	}
	for rate, good := range map[float64]bool{0.1: true, device.MaxRate: true, 0: false, -1: false, device.MaxRate + 1: false, math.Inf(1): false, math.NaN(): false} {
		if err := device.CheckRate(rate); (err == nil) != good {
			t.Errorf("the rate %v: %v", rate, err)
		}
	}
}
