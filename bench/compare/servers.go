package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// role says what a server's figures are for.
type role string

const (
	roleFloor   role = "floor"   // no WebSocket at all: what the kernel alone costs
	roleSubject role = "subject" // Gannet, whose bars are judged
	rolePeer    role = "peer"    // a library that Gannet must beat
	roleExtra   role = "extra"   // given with -add: measured and reported, never judged
)

// server is one program under test.
type server struct {
	Name string
	Role role
	argv func(t *toolset, port int, mode string) []string
}

// knownServers are all servers that this tool can build itself, in the order of a round.
func knownServers() []server {
	return []server{
		{Name: "rawecho", Role: roleFloor, argv: rawechoArgv},
		{Name: "gannet", Role: roleSubject, argv: gannetArgv},
		{Name: "gws", Role: rolePeer, argv: peerArgv("gws")},
		{Name: "gorilla", Role: rolePeer, argv: peerArgv("gorilla")},
	}
}

func rawechoArgv(t *toolset, port int, _ string) []string {
	return []string{t.rawecho, strconv.Itoa(port)}
}

func gannetArgv(t *toolset, port int, mode string) []string {
	argv := []string{t.gannet, "serve", "--addr", rig.LocalAddr(port), "--loops", "1", "--log", "error"}
	if mode != "ws" {
		argv = append(argv, "--deflate", "shared") // the client's offer says whether contexts are kept
	}
	return argv
}

func peerArgv(name string) func(*toolset, int, string) []string {
	return func(t *toolset, port int, mode string) []string {
		deflate := map[string]string{"ws": "none", "deflate": "takeover", "deflate-nct": "nct"}[mode]
		return []string{t.peers, "-peer", name, "-addr", rig.LocalAddr(port), "-deflate", deflate}
	}
}

// runsIn reports whether s can take part in c with the same settings as the others.
func (s server) runsIn(c echoCell) bool {
	return s.Role != rolePeer || slices.Contains(c.Peers, s.Name)
}

// loadMode is the mode wsblast needs to talk to s in c.
func (s server) loadMode(c echoCell) string {
	if s.Role == roleFloor {
		return "raw"
	}
	return c.Mode
}

// serverFlag collects the values of -add.
type serverFlag struct{ servers []server }

func (f *serverFlag) String() string { return "" }

func (f *serverFlag) Set(value string) error {
	name, command, ok := strings.Cut(value, "=")
	fields := strings.Fields(command)
	if !ok || name == "" || len(fields) == 0 {
		return fmt.Errorf("want NAME=COMMAND")
	}
	if !strings.Contains(command, "{port}") {
		return fmt.Errorf("the command lacks {port}")
	}
	taken := append(knownServers(), f.servers...)
	if slices.ContainsFunc(taken, func(s server) bool { return s.Name == name }) {
		return fmt.Errorf("there is a server %q already", name)
	}
	f.servers = append(f.servers, server{Name: name, Role: roleExtra, argv: func(_ *toolset, port int, _ string) []string {
		argv := slices.Clone(fields)
		for i := range argv {
			argv[i] = strings.ReplaceAll(argv[i], "{port}", strconv.Itoa(port))
		}
		return argv
	}})
	return nil
}
