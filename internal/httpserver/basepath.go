package httpserver

import (
	"fmt"
	"net/http"
	"path"
	"strings"
)

// CheckBasePath refuses a base path that no proxy could pass on unchanged. The empty one is the root.
func CheckBasePath(base string) error {
	plain := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("/-._~", r)
	}
	unusable := strings.IndexFunc(base, func(r rune) bool { return !plain(r) }) >= 0
	if base != "" && (base[0] != '/' || base == "/" || path.Clean(base) != base || unusable) {
		return fmt.Errorf("base path %q: want a path such as /heartbeat, without a slash at the end", base)
	}
	return nil
}

// UnderBasePath serves a handler below a base path. Requests outside it are served as well: a proxy may strip the path, and
// probes of the same machine need not know it.
func UnderBasePath(base string, inner http.Handler) http.Handler {
	if base == "" {
		return inner
	}
	below := http.StripPrefix(base, inner)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == base:
			http.Redirect(w, r, base+"/", http.StatusPermanentRedirect)
		case strings.HasPrefix(r.URL.Path, base+"/"):
			below.ServeHTTP(w, r)
		default:
			inner.ServeHTTP(w, r)
		}
	})
}
