package notify

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"regexp"
	"slices"
	"time"
	_ "time/tzdata" // a container's image has no time zones

	"go.yaml.in/yaml/v3"

	"heartbeat/internal/alarm"
)

// File is what the notifier is told to do, see docs/notifications.md.
type File struct {
	ConsoleURL   string                 `yaml:"console_url"` // messages link to it
	Destinations map[string]Destination `yaml:"destinations"`
	Routes       []Route                `yaml:"routes"`
	Watchdog     *Watchdog              `yaml:"watchdog"`
}

// Watchdog is pinged while the notifier works, so that somebody notices when it does not.
type Watchdog struct {
	URL   Address       `yaml:"url"`
	Every time.Duration `yaml:"every"`
	Dial  `yaml:",inline"`
}

// Route says which alarms go where. Empty fields match everything.
type Route struct {
	To         []string          `yaml:"to"`
	Conditions []alarm.Condition `yaml:"conditions"`
	Priority   string            `yaml:"priority"` // the lowest one
	Cohorts    []string          `yaml:"cohorts"`
	Tier       int16             `yaml:"tier"`
	Mute       []Mute            `yaml:"mute"`

	lowest alarm.Priority
}

// Default is what up does without a file: everything into the log.
func Default() *File {
	return &File{
		Destinations: map[string]Destination{"log": {Log: &Log{}}},
		Routes:       []Route{{To: []string{"log"}, lowest: alarm.Low}},
	}
}

// Read reads and checks a file with its secrets.
func Read(path string) (*File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read notification file: %w", err)
	}
	file, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("notification file %s: %w", path, err)
	}
	return file, nil
}

// Parse checks the text of a file.
func Parse(text []byte) (*File, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	var file File
	if err := decoder.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, withoutContent(err)
	}
	if err := decoder.Decode(&struct{}{}); !errors.Is(err, io.EOF) {
		return nil, errors.New("want one YAML document")
	}
	return &file, file.check()
}

// quoted is what the parser quotes of a file: a value that has another type, or the name of an anchor.
var quoted = regexp.MustCompile("`[^`]*`|(anchor )'[^']*'")

// withoutContent leaves out what an error quotes of the file: it may be a secret in the wrong place.
func withoutContent(err error) error {
	return errors.New(quoted.ReplaceAllString(err.Error(), "${1}…"))
}

const maxTier = 2

var destinationName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,39}$`)

func (f *File) check() error {
	if len(f.Destinations) == 0 {
		return errors.New("destinations: want at least one")
	}
	if f.ConsoleURL != "" {
		if err := checkURL(f.ConsoleURL, "http", "https"); err != nil {
			return fmt.Errorf("console_url: %w", err)
		}
	}
	for name, destination := range f.Destinations {
		if !destinationName.MatchString(name) {
			return fmt.Errorf("destinations: %q: want a name of lower-case letters, digits, - and _", name)
		}
		if err := destination.check(); err != nil {
			return fmt.Errorf("destinations: %s: %w", name, err)
		}
	}
	if len(f.Routes) == 0 {
		return errors.New("routes: want at least one")
	}
	for i := range f.Routes {
		if err := f.Routes[i].check(f.Destinations); err != nil {
			return fmt.Errorf("routes: route %d: %w", i+1, err)
		}
	}
	return f.Watchdog.check()
}

// checkURL does not repeat the URL, which may be a secret.
func checkURL(text string, schemes ...string) error {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Host == "" || !slices.Contains(schemes, parsed.Scheme) || parsed.User != nil || parsed.Fragment != "" {
		return errors.New("want a URL such as https://host/path, without a user")
	}
	return nil
}

func (w *Watchdog) check() error {
	const least = 10 * time.Second
	if w == nil {
		return nil
	}
	if err := checkURL(w.URL.Value(), "https", "http"); err != nil {
		return fmt.Errorf("watchdog: url: %w", err)
	}
	if w.Every == 0 {
		w.Every = time.Minute
	}
	if w.Every < least {
		return fmt.Errorf("watchdog: every: %s: want %s or more", w.Every, least)
	}
	return nil
}

func (r *Route) check(destinations map[string]Destination) error {
	if len(r.To) == 0 {
		return errors.New("to: want at least one destination")
	}
	for _, name := range r.To {
		if _, ok := destinations[name]; !ok {
			return fmt.Errorf("to: there is no destination %q", name)
		}
	}
	for _, condition := range r.Conditions {
		if _, err := alarm.ParseCondition(string(condition)); err != nil {
			return fmt.Errorf("conditions: %w", err)
		}
	}
	r.lowest = alarm.Low
	if r.Priority != "" {
		var err error
		if r.lowest, err = alarm.ParsePriority(r.Priority); err != nil {
			return fmt.Errorf("priority: %w", err)
		}
	}
	if r.Tier < 0 || r.Tier > maxTier {
		return fmt.Errorf("tier: %d: want 0 to %d", r.Tier, maxTier)
	}
	for i := range r.Mute {
		if err := r.Mute[i].check(); err != nil {
			return fmt.Errorf("mute: %w", err)
		}
	}
	return nil
}
