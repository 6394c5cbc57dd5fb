package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	codeSpan = regexp.MustCompile("`([^`]+)`")
	// An example stands in the document where the message has a value: a number, a text in quotes or one of these names.
	example = regexp.MustCompile(`\.\.\.|"[^"]*"|\bLOG_LEVEL: |\bPGSSLMODE\b|\bPOSTGRES_PASSWORD_FILE\b|\bLATIN1\b|\b0003_metrics\b|\bdead_letters\b|\bpublic\b|\bheartbeat_ingest\b|\.env\b|\bstopped\b|\bretrying\b|\d+`)
	verb    = regexp.MustCompile(`%(\[\d+\])?[-+# .0-9]*[a-zA-Z]`)
)

// printedByOthers are what PostgreSQL, Kafka, Kafka's clients and the operating system print.
var printedByOthers = []string{
	"no such file or directory", "PGAPPNAME", "PGOPTIONS", "UNKNOWN_TOPIC_OR_PARTITION", "is compact", "UnsupportedCodecError",
	"KafkaJSNotImplemented: ZSTD compression not implemented", "GROUP_AUTHORIZATION_FAILED", "TOPIC_AUTHORIZATION_FAILED",
	"no space left on device", "yaml: unknown anchor", "referenced", "permission denied for table", "permission denied to create role", "permission denied", "must be owner of", "cannot execute", "in a read-only transaction", "_ccnew",
	"out of shared memory", "max_locks_per_transaction", "prepared statement", "already exists", "does not exist", "password authentication failed",
}

// TestTroubleshootingQuotesWhatIsPrinted looks for each message in the first column of docs/troubleshooting.md: people search that page
// for the text that they see.
func TestTroubleshootingQuotesWhatIsPrinted(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	printed := printedTexts(t)
	quotes := 0
	for number, line := range strings.Split(string(text), "\n") {
		symptom, _, found := strings.Cut(strings.TrimPrefix(line, "| "), " | ")
		if !strings.HasPrefix(line, "| ") || !found {
			continue
		}
		for _, quote := range codeSpan.FindAllStringSubmatch(symptom, -1) {
			quotes++
			text := quote[1]
			for _, foreign := range printedByOthers {
				text = strings.ReplaceAll(text, foreign, "...")
			}
			for _, part := range example.Split(text, -1) {
				part = strings.Trim(part, " :;,.()`")
				if len(part) >= 6 && !strings.Contains(printed, part) {
					t.Errorf("docs/troubleshooting.md:%d: no text of the code has %q, of `%s`", number+1, part, quote[1])
				}
			}
		}
	}
	if quotes < 100 {
		t.Errorf("found only %d quotes", quotes)
	}
}

// printedTexts returns the string constants of the code, with a line for each, without the verbs of formats.
func printedTexts(t *testing.T) string {
	t.Helper()
	var texts strings.Builder
	for _, root := range []string{"../cmd", "."} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(node ast.Node) bool {
				expression, ok := node.(ast.Expr)
				if !ok {
					return true
				}
				text, constant := constantText(expression)
				if constant {
					texts.WriteString(verb.ReplaceAllString(text, "\x00") + "\n")
				}
				return !constant
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile("web/missing.html") // what a binary without the console shows
	if err != nil {
		t.Fatal(err)
	}
	return texts.String() + string(page)
}

// constantText returns the text of a literal, or of literals that are joined.
func constantText(expression ast.Expr) (string, bool) {
	switch e := expression.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, e.Kind == token.STRING && err == nil
	case *ast.BinaryExpr:
		left, isText := constantText(e.X)
		right, alsoText := constantText(e.Y)
		return left + right, e.Op == token.ADD && isText && alsoText
	}
	return "", false
}
