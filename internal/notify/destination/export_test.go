package destination

import (
	"net/netip"
	"testing"
)

// Permits reports whether an address may be dialled.
func Permits(t *testing.T, allow []string, address netip.Addr) bool {
	t.Helper()
	allowed, err := parseAllowance(allow)
	if err != nil {
		t.Fatal(err)
	}
	return allowed.permits(address)
}
