package logging_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"heartbeat/internal/logging"
)

// stuck is an output that takes nothing until it is released.
type stuck struct {
	release chan struct{}
	bytes.Buffer
}

func (s *stuck) Write(text []byte) (int, error) {
	<-s.release
	return s.Buffer.Write(text)
}

// Whoever logs waits once for an output that takes nothing, and what is lost is counted.
func TestOutputThatTakesNothingStopsNobody(t *testing.T) {
	for format, want := range map[logging.Format]string{
		logging.Text: `WARNING log lines lost: the output did not take them lines=2`,
		logging.JSON: `"level":"WARNING","msg":"log lines lost: the output did not take them","lines":2}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			out := &stuck{release: make(chan struct{})}
			log := logging.New(logging.NewWriter(out), slog.LevelInfo, format)
			for _, line := range []string{"first", "second", "third"} {
				log.Info(line)
			}
			close(out.release)
			synctest.Wait()
			log.Info("fourth")
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if len(lines) != 3 || !strings.Contains(lines[0], "first") || !strings.Contains(lines[1], want) || !strings.Contains(lines[2], "fourth") {
				t.Errorf("%s: the output has\n%s\nwant the first line, one about 2 lost lines, and the fourth", format, out.String())
			}
		})
	}
}
