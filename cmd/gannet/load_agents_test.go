package main

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const aToken = "GANNET_LOAD_TOKEN=0123456789abcdef"

// meetingPlace runs a NATS server in this process.
func meetingPlace(t *testing.T) (url string) {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the NATS server does not start")
	}
	return s.ClientURL()
}

// anAgent runs gannet load agent until the test ends, and returns once it waits.
func anAgent(t *testing.T, args ...string) (said *bufio.Scanner) {
	t.Helper()
	cmd := gannet(append([]string{"load", "agent"}, args...)...)
	cmd.Env = append(cmd.Environ(), aToken)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it runs until somebody tells it to end
		if err := cmd.Wait(); err != nil {
			t.Errorf("an agent ended with %v", err)
		}
	})
	said = bufio.NewScanner(stderr)
	if !said.Scan() || !strings.Contains(said.Text(), "waits at") {
		t.Fatalf("an agent said %q", said.Text())
	}
	return said
}

func withToken(cmd *exec.Cmd) *exec.Cmd {
	cmd.Env = append(cmd.Environ(), aToken)
	return cmd
}

func TestLoadAgents(t *testing.T) {
	addr, opened := target(t)
	broker := meetingPlace(t)
	anAgent(t, "--nats", broker, "--name", "one", "--allow", "127.0.0.1", "--subject", "x")
	anAgent(t, "--nats", broker, "--name", "two", "--allow", addr, "--subject", "x")
	file := filepath.Join(t.TempDir(), "result.json")
	out, said, status := finish(t, withToken(loading("--agents", "2", "--nats", broker, "--subject", "x", "-c", "5", "--rate", "200", "-d", "1s", "--json", file, addr)), nil)
	if status != 0 {
		t.Fatalf("status %d\n%s\n%s", status, out, said)
	}
	r := resultOf(t, file)
	if r.Connections.Opened != 5 || opened.Load() != 5 || r.Messages.Sent == 0 || len(r.Generators) != 2 || r.Generators[0].Name != "agent one" || r.Generators[1].Name != "agent two" {
		t.Errorf("%d opened, %+v, %+v, %+v", opened.Load(), r.Connections, r.Messages, r.Generators)
	}
	all(t, said, "2 of 2 agents: one, two")
}

// TestLoadAgentRefuses: a target that an agent does not allow is not even dialled, and the coordinator hears why.
func TestLoadAgentRefuses(t *testing.T) {
	addr, opened := target(t)
	broker := meetingPlace(t)
	agent := anAgent(t, "--nats", broker, "--name", "one", "--allow", "example.com")
	_, said, status := finish(t, withToken(loading("--agents", "1", "--nats", broker, "-c", "5", "--rate", "200", "-d", "1s", addr)), nil)
	if status != statusFailedRun || opened.Load() != 0 {
		t.Errorf("status %d, %d connections", status, opened.Load())
	}
	all(t, said, "agent one", "the agent refuses: the target "+addr+" is not among the hosts that it allows (--allow): example.com")
	if !agent.Scan() || !strings.Contains(agent.Text(), "refuses") {
		t.Errorf("the agent said %q", agent.Text())
	}
}

func TestLoadAgentsBadUsage(t *testing.T) {
	for args, want := range map[string]string{
		"load --agents 2 -c 5 --rate 1 :8080":                                      "--agents needs --nats",
		"load --agents 2 --rate 1 --nats nats://127.0.0.1:1 :8080":                 "there are 1 connections to share",
		"load --agents 2 -c 5 --depth 1 --nats nats://127.0.0.1:1 :8080":           "closed loop",
		"load --agents 2 -c 5 --rate 1 --procs 2 --nats nats://127.0.0.1:1 :8080":  "--procs",
		"load --nats nats://127.0.0.1:1 --rate 1 :8080":                            "--agents",
		"load agent --allow example.com":                                           "--nats",
		"load agent --nats nats://127.0.0.1:1":                                     "--allow HOST",
		"load agent --nats nats://127.0.0.1:1 --allow *":                           "no host to allow",
		"load agent --nats nats://127.0.0.1:1 --allow x --max-rate 0":              "rate of 0",
		"load agent --nats nats://127.0.0.1:1 --allow x --rate 5":                  "not defined: -rate",
		"load agent --nats nats://127.0.0.1:1 --allow x y":                         "y",
		"load agent --nats nats://127.0.0.1:1 --allow x --token-file /nonexistent": "no such file",
	} {
		_, said, status := finish(t, withToken(gannet(strings.Fields(args)...)), nil)
		if status != statusUsage || !strings.Contains(said, want) {
			t.Errorf("%s: status %d, %s", args, status, said)
		}
	}
	_, said, status := finish(t, gannet("load", "agent", "--nats", "nats://127.0.0.1:1", "--allow", "x"), nil)
	if status != statusUsage || !strings.Contains(said, "GANNET_LOAD_TOKEN") {
		t.Errorf("without a token: status %d, %s", status, said)
	}
	_, said, status = finish(t, withToken(gannet("load", "--agents", "1", "--rate", "1", "--nats", "nats://127.0.0.1:1", ":8080")), nil)
	if status != statusFailedRun || !strings.Contains(said, "the NATS server nats://127.0.0.1:1") {
		t.Errorf("without a NATS server: status %d, %s", status, said)
	}
}
