package main

import (
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// commandLines returns a command line for each command, with something for its arguments, and the variables of its flags.
func commandLines(t *testing.T) map[string][]string {
	t.Helper()
	fillers := map[string]string{"url": "http://127.0.0.1:1/readyz", "directory": t.TempDir(), "id": "1", "name": "anna", "customer": "CUST_00042", "cohort": "ward", "file": t.TempDir()}
	lines := map[string][]string{}
	for _, leaf := range newParser(&commands{}, io.Discard, io.Discard).Model.Leaves(false) {
		line := slices.DeleteFunc(strings.Fields(leaf.Path()), func(word string) bool { return strings.HasPrefix(word, "<") })
		name := strings.Join(line, " ")
		for _, argument := range leaf.Positional {
			filler := fillers[argument.Name]
			if argument.Name == "id" && (strings.HasPrefix(name, "alarm ") || strings.HasPrefix(name, "notify ")) {
				filler = activeID
			}
			line = append(line, filler)
		}
		for _, flag := range leaf.Flags {
			switch {
			case flag.Required && flag.Enum != "":
				line = append(line, "--"+flag.Name, flag.EnumSlice()[0])
			case flag.Required && flag.Target.Type() == reflect.TypeFor[time.Duration]():
				line = append(line, "--"+flag.Name, "10m")
			case flag.Required:
				line = append(line, "--"+flag.Name, t.TempDir())
			}
		}
		switch name {
		case "limits set":
			line = append(line, "--fleet", "--high", "170")
		case "device add":
			line = append(line, "--all")
		case "limits try":
			line[len(line)-1] = filepath.Join(t.TempDir(), "limits.json")
			if err := os.WriteFile(line[len(line)-1], []byte("[]"), 0o600); err != nil {
				t.Fatal(err)
			}
		case "export":
			line = append(line, "--all")
		case "evaluate": // the rest of it takes minutes, and no server
			line = append(line, "--stored", "--from", "2026-02-20T10:00:00Z", "--to", "2026-02-20T11:00:00Z")
		}
		lines[name] = line
	}
	if len(lines) < 15 {
		t.Fatalf("found only %d commands", len(lines))
	}
	return lines
}

// flagVariables returns the variables of all flags.
func flagVariables(node *kong.Node) (names []string) {
	for _, flag := range node.Flags {
		names = append(names, flag.Envs...)
	}
	for _, child := range node.Children {
		names = append(names, flagVariables(child)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// The settings that a command has when each variable is empty or blank are those it has when none is set.
func TestEmptyVariableIsTheDefault(t *testing.T) {
	names := flagVariables(newParser(&commands{}, io.Discard, io.Discard).Model.Node)
	if len(names) < 15 || !slices.Contains(names, "KAFKA_GROUP_ID") {
		t.Fatalf("found only these variables: %v", names)
	}
	for name, line := range commandLines(t) {
		t.Run(name, func(t *testing.T) {
			parse := func() commands {
				var cli commands
				parser := newParser(&cli, io.Discard, io.Discard)
				if err := dropVariables(parser.Model.Node); err != nil {
					t.Fatal(err)
				}
				if _, err := parser.Parse(line); err != nil {
					t.Fatalf("parse %v: %v", line, err)
				}
				return cli
			}
			for _, variable := range names {
				t.Setenv(variable, "")
				os.Unsetenv(variable)
			}
			want := parse()
			for _, value := range []string{"", " \t"} {
				for _, variable := range names {
					os.Setenv(variable, value)
				}
				if got := parse(); !reflect.DeepEqual(got, want) {
					t.Errorf("settings with variables that hold %q:\n%+v\nwant the defaults:\n%+v", value, got, want)
				}
			}
		})
	}
}
