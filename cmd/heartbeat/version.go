package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

// version is set when the binary is built, see the Makefile.
var version = "dev"

type versionCommand struct {
	JSON bool `name:"json" help:"Print as JSON."`
}

// Run prints the version.
func (c *versionCommand) Run(env *environment) error {
	build := map[string]string{"version": version, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				build["revision"] = setting.Value
			}
		}
	}
	if c.JSON {
		return writeJSON(env.stdout, build)
	}
	fmt.Fprintf(env.stdout, "heartbeat %s (%s, %s)\n", build["version"], build["go"], build["platform"])
	return nil
}

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
