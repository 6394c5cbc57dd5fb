package deploy_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// instruction is one line of a Dockerfile, continued lines joined.
type instruction struct{ name, arguments string }

// readDockerfile returns the instructions of each stage.
func readDockerfile(t *testing.T) (stages [][]instruction) {
	t.Helper()
	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	joined := strings.ReplaceAll(string(text), "\\\n", " ")
	for line := range strings.Lines(joined) {
		name, arguments, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "" || strings.HasPrefix(name, "#") {
			continue
		}
		if name == "FROM" {
			stages = append(stages, nil)
		}
		if len(stages) == 0 {
			t.Fatalf("%s stands before the first FROM", name)
		}
		last := len(stages) - 1
		stages[last] = append(stages[last], instruction{name, arguments})
	}
	return stages
}

func TestDockerfileEndsInAnImageOfTheBinaryAlone(t *testing.T) {
	t.Parallel()
	stages := readDockerfile(t)
	if len(stages) != 3 {
		t.Fatalf("there are %d stages, want console, binary and image", len(stages))
	}
	final := map[string]string{}
	for _, instruction := range stages[2] {
		switch instruction.name {
		case "RUN", "ADD", "ENV", "VOLUME":
			t.Errorf("the last stage has %s %s", instruction.name, instruction.arguments)
		}
		final[instruction.name] = instruction.arguments
	}
	for name, want := range map[string]string{"FROM": "scratch", "USER": "65532:65532", "ENTRYPOINT": `["/heartbeat"]`} {
		if final[name] != want {
			t.Errorf("the last stage has %s %s, want %s", name, final[name], want)
		}
	}
}

// What linters of Dockerfiles ask for, as far as it applies here.
func TestDockerfileIsReproducible(t *testing.T) {
	t.Parallel()
	pinned := regexp.MustCompile(`^[a-z]+:[0-9]+\.[0-9]+\.[0-9]+-[a-z-]+ AS [a-z]+$`)
	for i, stage := range readDockerfile(t) {
		for _, instruction := range stage {
			switch instruction.name {
			case "FROM":
				if i < 2 && !pinned.MatchString(instruction.arguments) {
					t.Errorf("stage %q is not pinned by version, or has no name", instruction.arguments)
				}
			case "ADD", "MAINTAINER":
				t.Errorf("%s is used", instruction.name)
			case "RUN":
				if strings.Contains(instruction.arguments, "apt-get") || strings.Contains(instruction.arguments, "curl") || strings.Contains(instruction.arguments, "sudo") || strings.HasPrefix(instruction.arguments, "cd ") {
					t.Errorf("RUN %s", instruction.arguments)
				}
			case "WORKDIR":
				if !strings.HasPrefix(instruction.arguments, "/") {
					t.Errorf("WORKDIR %s is not absolute", instruction.arguments)
				}
			case "ENTRYPOINT", "CMD":
				if !strings.HasPrefix(instruction.arguments, "[") {
					t.Errorf("%s %s needs a shell", instruction.name, instruction.arguments)
				}
			}
		}
	}
}

func TestSecretsStayOutOfTheBuild(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("Dockerfile.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{".git", ".env", "**/.env"} {
		if !strings.Contains("\n"+string(text), "\n"+path+"\n") {
			t.Errorf("%s is not ignored: it would get into a layer", path)
		}
	}
}
