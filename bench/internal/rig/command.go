package rig

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// Root is the folder of the repository, as the module that the tool was started in knows it.
func Root(ctx context.Context) (string, error) {
	return Output(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/gannet-ws/gannet")
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
