package apachekafka

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heartbeat/internal/testkit/prerequisite"
)

// Classes of Kafka's tools.
const (
	TopicCommand         = "org.apache.kafka.tools.TopicCommand"
	GetOffsetShell       = "org.apache.kafka.tools.GetOffsetShell"
	ConsoleConsumer      = "org.apache.kafka.tools.consumer.ConsoleConsumer"
	ConsumerGroupCommand = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
)

// Tool runs one of Kafka's tools by the name of its class and returns what it prints to its standard output.
func Tool(ctx context.Context, class string, args ...string) (string, error) {
	jars, err := findJars("")
	if err != nil {
		return "", err
	}
	return tool(ctx, jars, class, args...)
}

func tool(ctx context.Context, jars, class string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "java", javaArgs(jars, class, args...)...)
	cmd.WaitDelay = time.Second
	var stderr strings.Builder
	cmd.Stderr = &stderr
	output, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s%s", class, err, output, stderr.String())
	}
	return string(output), nil
}

// javaArgs trade peak speed, which no test here reaches, for a quick start in little memory.
func javaArgs(jars, class string, args ...string) []string {
	return append([]string{
		"-Xms64m", "-Xmx320m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		"-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
		"-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
		"-cp", filepath.Join(jars, "*"), class,
	}, args...)
}

// Require skips the test where the jars or Java are missing, unless CI runs it: there it fails.
func Require(t testing.TB) {
	t.Helper()
	_, err := findJars("")
	if err == nil {
		_, err = exec.LookPath("java")
	}
	if err != nil {
		prerequisite.Missing(t, "%v", err)
	}
}

// findJars returns the directory of the jars: the one given, or the one in the repository that we are run in.
func findJars(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find jars: %w", err)
	}
	for ; ; dir = filepath.Dir(dir) {
		jars := filepath.Join(dir, ".cache", "kafka")
		if _, err := os.Stat(filepath.Join(jars, "pom.xml")); err == nil {
			return jars, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("find Apache Kafka's jars: there is no .cache/kafka above the working directory; run scripts/fetch-kafka")
		}
	}
}
