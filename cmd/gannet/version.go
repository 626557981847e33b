package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v3"
)

// versionCommand says what --version does.
func versionCommand() *cli.Command {
	return &cli.Command{
		Name:         "version",
		Usage:        "say which version this is",
		OnUsageError: usageError,
		Action: func(_ context.Context, c *cli.Command) error {
			if err := noArguments(c); err != nil {
				return err
			}
			cli.ShowVersion(c.Root())
			return nil
		},
	}
}

// version is what the build has left in the program: the module's version, the commit, and the Go that built it.
func version() string {
	module, revision := "(unknown)", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		if v := info.Main.Version; v != "" {
			module = v
		}
		revision = revisionOf(info.Settings)
	}
	return fmt.Sprintf("%s%s, %s %s/%s", module, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// revisionOf is the commit, if it is known.
func revisionOf(settings []debug.BuildSetting) string {
	at := make(map[string]string)
	for _, s := range settings {
		at[s.Key] = s.Value
	}
	revision := at["vcs.revision"]
	if revision == "" {
		return ""
	}
	if at["vcs.modified"] == "true" {
		revision += " and changes"
	}
	return ", commit " + revision
}
