package main

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// asServer in the environment turns the test binary into the program itself: some libraries can not be stopped, so each
// server of a test is a process.
const asServer = "GANNET_PEERS_TEST_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// foreigners are the servers that are not written in Go: what starts them.
var foreigners = map[string][]string{
	"node":        {"node", "node/server.mjs"},
	"tungstenite": {"tungstenite/target/release/tungstenite-peer"},
}

// startPeer starts the server of that name, with flags without their dashes, and answers where it listens.
func startPeer(t *testing.T, name string, flags ...string) string {
	t.Helper()
	argv, dash := []string{os.Args[0], "-peer", name}, "-"
	if foreign, ok := foreigners[name]; ok {
		buildForeign(t, name)
		argv, dash = foreign, "--"
	}
	for i, word := range append([]string{"addr", "127.0.0.1:0"}, flags...) {
		if i%2 == 0 {
			word = dash + word
		}
		argv = append(argv[:len(argv):len(argv)], word)
	}
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), asServer+"=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "listening ")
	if err != nil || !ok {
		_ = cmd.Wait()
		t.Fatalf("%s: said %q, %v\n%s", strings.Join(argv, " "), line, err, stderr.String())
	}
	return addr
}

// buildForeign skips the test when what builds the server is missing, or with -short when it is not built yet.
func buildForeign(t *testing.T, name string) {
	t.Helper()
	built := map[string]string{"node": "node/node_modules/ws", "tungstenite": "tungstenite/target/release/tungstenite-peer"}[name]
	if _, err := os.Stat(filepath.FromSlash(built)); err != nil && testing.Short() {
		t.Skipf("-short, and bench/peers/foreign.sh %s has not been run", name)
	}
	output, err := exec.CommandContext(t.Context(), "./foreign.sh", name).CombinedOutput()
	if ended := new(exec.ExitError); errors.As(err, &ended) && ended.ExitCode() == 3 {
		t.Skip(strings.TrimSpace(string(output)))
	}
	if err != nil {
		t.Fatalf("foreign.sh %s: %v\n%s", name, err, output)
	}
}
