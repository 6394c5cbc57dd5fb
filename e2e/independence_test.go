package e2e_test

import (
	"os/exec"
	"strings"
	"testing"
)

// An oracle that shares code with what it judges would share its errors.
func TestOracleSharesNoCodeWithTheConsumer(t *testing.T) {
	t.Parallel()
	output, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{join .XTestImports "\n"}}`, ".").Output()
	if err != nil {
		t.Fatalf("list imports: %v", err)
	}
	for imported := range strings.Lines(string(output)) {
		name := strings.TrimSpace(imported)
		if strings.HasPrefix(name, "heartbeat/") && !strings.HasPrefix(name, "heartbeat/internal/embedded") {
			t.Errorf("the tests import %s; of the product they may import the servers alone", name)
		}
	}
}
