package notify

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Secret is a value that the file only names: an environment variable or a file.
type Secret struct {
	Variable string `yaml:"variable"`
	File     string `yaml:"file"`

	value string
}

// Value returns the secret, without the line breaks at its end.
func (s *Secret) Value() string { return s.value }

// String keeps a secret out of logs.
func (s Secret) String() string { return "secret of " + s.Variable + s.File }

// UnmarshalYAML reads the secret that the file names. A secret in the file itself is refused: it would be copied with it.
func (s *Secret) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: want {variable: NAME} or {file: PATH}, not the secret itself", node.Line)
	}
	type plain Secret
	if err := node.Decode((*plain)(s)); err != nil {
		return err
	}
	if (s.Variable == "") == (s.File == "") {
		return fmt.Errorf("line %d: want either variable or file", node.Line)
	}
	if s.Variable != "" {
		s.value = os.Getenv(s.Variable)
	} else {
		text, err := os.ReadFile(s.File)
		if refused, ok := errors.AsType[*fs.PathError](err); ok {
			err = refused.Err
		}
		if err != nil {
			return fmt.Errorf("line %d: read the file of a secret: %w", node.Line, err)
		}
		s.value = strings.TrimRight(string(text), "\r\n")
	}
	if s.value == "" {
		return fmt.Errorf("line %d: the variable or file that it names is empty or missing", node.Line) // not named: people put the secret itself there
	}
	return nil
}

// Address is a URL, given as it is, or as a secret where whoever knows it may send.
type Address struct {
	Secret
	plain string
}

// UnmarshalYAML reads either form.
func (a *Address) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		return node.Decode(&a.plain)
	}
	return a.Secret.UnmarshalYAML(node)
}

// Value returns the URL.
func (a *Address) Value() string {
	if a.plain != "" {
		return a.plain
	}
	return a.Secret.value
}

// String keeps the URL out of logs where it is a secret.
func (a Address) String() string {
	if a.plain != "" {
		return a.plain
	}
	return a.Secret.String()
}
