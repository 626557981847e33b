package rig

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// Root is the folder of the repository, as the module that the tool was started in knows it.
func Root(ctx context.Context) (string, error) {
	return Output(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/gannet-ws/gannet")
}

// BuildGannet is the command that builds cmd/gannet with Go's defaults. It lies in a module of its own, which go.work knows.
func BuildGannet(root, out string) []string {
	return []string{"env", "GOWORK=" + filepath.Join(root, "go.work"), "go", "build", "-C", root, "-o", out, "./cmd/gannet"}
}

// BuildPeers is the command that builds bench/peers, whose module lies outside of go.work.
func BuildPeers(root, out string) []string {
	return []string{"env", "GOWORK=off", "go", "build", "-C", filepath.Join(root, "bench", "peers"), "-o", out, "."}
}

// Output runs a command and returns what it printed, trimmed. What it wrote to stderr becomes the error.
func Output(ctx context.Context, argv ...string) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(stdout.String()), nil
}
