package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// twoAgents starts two agents, and answers the arguments by which gannet load finds them.
func twoAgents(t *testing.T, allow string) (all []*exec.Cmd, meet []string) {
	t.Helper()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("0123456789abcdef0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	meet = []string{"--nats", meetingPlace(t), "--token-file", token}
	for _, name := range []string{"one", "two"} {
		cmd := loading(append([]string{"agent", "--name", name, "--allow", allow}, meet...)...)
		underLoad(t, cmd, "agent "+name+" waits at nats://")
		all = append(all, cmd)
	}
	return all, meet
}

// TestLoadAgentLost: the run goes on without an agent that is gone, names it, and its status is 1.
func TestLoadAgentLost(t *testing.T) {
	t.Parallel()
	addr, _ := target(t)
	all, meet := twoAgents(t, addr)
	file := filepath.Join(t.TempDir(), "r.json")
	cmd := loading(append([]string{"--agents", "2", "-c", "4", "--rate", "100", "-d", "3s", "--json", file, addr}, meet...)...)
	_, rest := underLoad(t, cmd, "running")
	_ = all[1].Process.Signal(os.Interrupt)
	said := <-rest
	if status := statusOf(t, cmd.Wait()); status != 1 || !strings.Contains(said, "agent two was lost") {
		t.Errorf("status %d, %s", status, said)
	}
	if r := resultOf(t, file); r.Generators[0].Lost || !r.Generators[1].Lost {
		t.Errorf("%+v", r.Generators)
	}
}

// TestLoadAgentsMissing: a signal ends the wait for agents that do not come.
func TestLoadAgentsMissing(t *testing.T) {
	t.Parallel()
	_, meet := twoAgents(t, "example.com")
	cmd := loading(append([]string{"--agents", "3", "--rate", "1", "ws://example.com/"}, meet...)...)
	_, rest := underLoad(t, cmd, "2 of 3 agents: one, two")
	_ = cmd.Process.Signal(os.Interrupt)
	<-rest
	if status := statusOf(t, cmd.Wait()); status != 130 {
		t.Errorf("status %d", status)
	}
}
