package simulate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// TestSeedModelDrawsTheSameBytesAsBefore pins the stream of the seed model: users compare runs by their seed.
func TestSeedModelDrawsTheSameBytesAsBefore(t *testing.T) {
	t.Parallel()
	const (
		first = `CUST_08576 74
CUST_01855 84
CUST_06475 67
CUST_02259 85
CUST_05017 92
`
		sum = "16333d326cb3816c0e0a6ff8892c42570095bf1842497791133d564fef713fa7"
	)
	hash := sha256.New()
	var lines strings.Builder
	for i, event := range draw(t, contract, 100_000) {
		line := fmt.Sprintf("%s %d\n", event.Customer, event.Rate)
		hash.Write([]byte(line))
		if i < 5 {
			lines.WriteString(line)
		}
	}
	if lines.String() != first {
		t.Errorf("the first events of seed %d are\n%swant\n%s", contract.Seed, lines.String(), first)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != sum {
		t.Errorf("the first 100,000 events of seed %d have the SHA-256 sum %s, want %s", contract.Seed, got, sum)
	}
}
