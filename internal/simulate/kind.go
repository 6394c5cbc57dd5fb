package simulate

import (
	"fmt"
	"slices"
	"strings"
)

// Kind names what happens in an episode.
type Kind uint8

// The kinds of episodes. GatewayOutage concerns a share of the fleet, all others one customer.
const (
	Exercise       Kind = iota // rises within a minute, stays below 180
	Tachycardia                // sustained, above 180
	Bradycardia                // sustained, below 40
	BriefExcursion             // beyond a limit, too short for an alarm
	Fever                      // some bpm above the usual for days
	ArtefactBurst              // the sensor reports noise
	CadenceLock                // the sensor reports steps instead of beats
	StuckValue                 // the sensor repeats one value
	DropOut                    // readings are lost
	DeviceReset                // silence, then zeros
	Duplicate                  // every reading is sent twice
	LateUpload                 // readings are kept and sent afterwards
	ClockAhead                 // the device's clock is ahead
	GatewayOutage              // readings of a share of the fleet are lost

	kinds
)

var kindNames = [kinds]string{
	"exercise", "tachycardia", "bradycardia", "brief_excursion", "fever", "artefact_burst", "cadence_lock", "stuck_value",
	"drop_out", "device_reset", "duplicate", "late_upload", "clock_ahead", "gateway_outage",
}

// String returns the name, such as tachycardia.
func (k Kind) String() string {
	if k >= kinds {
		return fmt.Sprintf("Kind(%d)", uint8(k))
	}
	return kindNames[k]
}

// Kinds lists all kinds.
func Kinds() []Kind {
	all := make([]Kind, kinds)
	for i := range all {
		all[i] = Kind(i)
	}
	return all
}

func parseKind(name string) (Kind, error) {
	i := slices.Index(kindNames[:], name)
	if i < 0 {
		return 0, fmt.Errorf("unknown kind %q: want one of %s", name, strings.Join(kindNames[:], ", "))
	}
	return Kind(i), nil
}
