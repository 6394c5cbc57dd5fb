package dotenv

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What Docker Compose makes of the same lines, as its documentation and its own tests say.
func TestReadsAsDockerComposeDoes(t *testing.T) {
	t.Parallel()
	environment := map[string]string{"HOST": "db.example.org"}
	lookup := func(name string) (string, bool) {
		value, ok := environment[name]
		return value, ok
	}
	for name, test := range map[string]struct {
		text string
		want map[string]string
	}{
		"nothing":                     {"", map[string]string{}},
		"comments and empty lines":    {"# a comment\n\n  # B=1\nA=1\n", map[string]string{"A": "1"}},
		"no newline at the end":       {"A=1", map[string]string{"A": "1"}},
		"byte order mark":             {"\ufeffA=1\n", map[string]string{"A": "1"}},
		"lines of Windows":            {"A=1\r\nB='2'\r\n", map[string]string{"A": "1", "B": "2"}},
		"comment behind a value":      {"A=1 # one\nB=1#one\nC='1' # one\n", map[string]string{"A": "1", "B": "1#one", "C": "1"}},
		"export":                      {"export A=1\n", map[string]string{"A": "1"}},
		"blanks around":               {"  A = 1  \n", map[string]string{"A": "1"}},
		"empty":                       {"A=\nB=''\n", map[string]string{"A": "", "B": ""}},
		"equals sign in a value":      {"A=b=c\n", map[string]string{"A": "b=c"}},
		"variable of the environment": {"A=$HOST:5432\nB=\"${HOST}\"\n", map[string]string{"A": "db.example.org:5432", "B": "db.example.org"}},
		"variable of an earlier line": {"A=1\nB=$A$A\n", map[string]string{"A": "1", "B": "11"}},
		"single quotes keep a dollar": {`A='pa$HOST$UPPER'`, map[string]string{"A": "pa$HOST$UPPER"}},
		"two dollars are one":         {"A=pa$$UPPER\n", map[string]string{"A": "pa$UPPER"}},
		"escaped in double quotes":    {`A="pa\$UPPER"`, map[string]string{"A": "pa$UPPER"}},
		"a dollar before no name":     {"A=pa$1$\n", map[string]string{"A": "pa$1$"}},
		"default of an unset one":     {"A=${UPPER:-x}\nB=${UPPER-y}\nC=${HOST:-z}\n", map[string]string{"A": "x", "B": "y", "C": "db.example.org"}},
		"several lines in quotes":     {"A=\"1\n2\"\nB='3\n4'\nC=5\n", map[string]string{"A": "1\n2", "B": "3\n4", "C": "5"}},
		"a name alone is inherited":   {"HOST\nUPPER\nA=1\n", map[string]string{"HOST": "db.example.org", "A": "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, line, err := parse([]byte(test.text), lookup)
			if err != nil {
				t.Fatalf("line %d: %v", line, err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("variables (-want +got):\n%s", diff)
			}
		})
	}
}

const marker = "SwordfishMarker"

// broken are files that cannot be read, with the line that is at fault.
var broken = map[string]struct {
	text string
	line string
}{
	"unterminated double quote": {"A=1\nPASSWORD=\"" + marker + "\nB=1\n", "line 2"},
	"unterminated single quote": {"A=1\n\nPASSWORD='" + marker + "\n", "line 3"},
	"blank in a name":           {"PASS WORD=" + marker + "\n", "line 1"},
	"bad character in a name":   {"A=1\nPASS%WORD=" + marker + "\n", "line 2"},
	"no name":                   {"=" + marker + "\n", "line 1"},
	"no equals sign":            {"A=1\nPASSWORD " + marker + "!\nB=2\n", "line 2"},
	"text behind a quote":       {"PASSWORD='" + marker + "' " + marker + "!\n", "line 1"},
	"unset variable":            {"A=1\nPASSWORD=" + marker + "$UPPER" + marker + "\n", "line 2"},
	"unset variable in braces":  {"PASSWORD=\"" + marker + "${lower}\"\n", "line 1"},
	"open brace":                {"PASSWORD=" + marker + "${" + marker + "\n", "line 1"},
	"required variable":         {"PASSWORD=${UPPER:?" + marker + "}\n", "line 1"},
	"second byte order mark":    {"A=1\n\ufeffPASSWORD=" + marker + "\n", "line 2"},
	"NUL":                       {"A=1\nPASSWORD=" + marker + "\x00\n", "line 2"},
	"bad UTF-8":                 {"PASSWORD=" + marker + "\xff\n", "line 1"},
	"UTF-16":                    {"\xff\xfeP\x00A\x00=\x00" + marker + "\n", "line 1"},
	"too long a line":           {"A=1\nPASSWORD=" + marker + strings.Repeat("x", maxLine) + "\n", "line 2"},
	"too large":                 {strings.Repeat("# "+marker+"\n", maxFile/8), "larger than 1 MiB"},
}

func TestErrorNamesTheLineAndNotWhatItHolds(t *testing.T) {
	t.Parallel()
	for name, test := range broken {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), ".env")
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			err := Load(path)
			if err == nil {
				t.Fatal("read without an error")
			}
			if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), test.line) {
				t.Errorf("got %q, want an error that names the file and %q", err, test.line)
			}
			if strings.Contains(strings.ToLower(err.Error()), strings.ToLower(marker)) {
				t.Errorf("the error shows what the file holds: %q", err)
			}
		})
	}
}

func TestWhatIsNoFileIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := Load(filepath.Join(dir, ".env")); err != nil {
		t.Errorf("a missing file: %v", err)
	}
	if err := Load(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a directory: %v, want an error that says so", err)
	}
}
