package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gannet-ws/gannet/bench/internal/rig"
	"github.com/gannet-ws/gannet/deflate"
)

// role says what a server's figures are for.
type role string

const (
	roleFloor   role = "floor"   // no WebSocket at all: what the kernel alone costs
	roleSubject role = "subject" // Gannet, whose bars are judged
	rolePeer    role = "peer"    // a library that Gannet must beat
	roleExtra   role = "extra"   // given with -add: measured and reported, judged where -bar says so
)

// server is one program under test.
type server struct {
	Name string
	Role role
	argv func(t *toolset, port int, with settings) []string
	// keeps says what the server compresses a message with besides the message, where contexts are kept.
	keeps func(with settings, payload int) string
	// secured: a server of -add that speaks TLS takes part in the cells over TLS, and in no other.
	secured bool
	// bars are upper limits on Gannet's ratio to a server of -add, by the cell's name.
	bars map[string]float64
}

// knownServers are all servers that this tool can build itself, in the order of a round.
func knownServers() []server {
	return []server{
		{Name: "rawecho", Role: roleFloor, argv: rawechoArgv},
		{Name: "gannet", Role: roleSubject, argv: gannetArgv, keeps: gannetKeeps},
		{Name: "gws", Role: rolePeer, argv: peerArgv("gws"), keeps: gwsKeeps},
		{Name: "gorilla", Role: rolePeer, argv: peerArgv("gorilla")},
	}
}

func rawechoArgv(t *toolset, port int, _ settings) []string {
	return []string{t.rawecho, strconv.Itoa(port)}
}

func gannetArgv(t *toolset, port int, with settings) []string {
	argv := []string{t.gannet, "serve", "--addr", rig.LocalAddr(port), "--loops", "1", "--log", "error"}
	if with.overTLS() {
		argv = append(argv, "--cert", t.cert, "--key", t.key)
	}
	return append(argv, gannetDeflate(with)...)
}

// gannetDeflate: the client's offer says whether contexts are kept.
func gannetDeflate(with settings) []string {
	if with.window == 0 {
		return nil
	}
	return []string{"--deflate", "shared", "--deflate-window", strconv.Itoa(with.window)}
}

// gannetKeeps is Policy.HistoryBytes, as its document has it: the next power of two above 5/4 of the longest message.
func gannetKeeps(with settings, payload int) string {
	history := 512
	for history < payload*5/4 {
		history *= 2
	}
	return fmt.Sprintf("a history of %d bytes", min(history, deflate.DefaultHistoryBytes, 1<<with.window))
}

func gwsKeeps(with settings, _ int) string {
	return fmt.Sprintf("all of the window: %d bytes", 1<<with.window)
}

func peerArgv(name string) func(*toolset, int, settings) []string {
	return func(t *toolset, port int, with settings) []string {
		argv := []string{t.peers, "-peer", name, "-addr", rig.LocalAddr(port)}
		if with.overTLS() {
			argv = append(argv, "-cert", t.cert, "-key", t.key)
		}
		return append(argv, peerDeflate(with)...)
	}
}

func peerDeflate(with settings) []string {
	if with.window == 0 {
		return []string{"-deflate", "none"}
	}
	mode := map[string]string{"deflate": "takeover", "deflate-nct": "nct"}[with.mode]
	return []string{"-deflate", mode, "-window", strconv.Itoa(with.window)}
}

// deflateFlags are those of s's command line that are about compression, for the report.
func (s server) deflateFlags(with settings) string {
	flags := peerDeflate(with)
	if s.Role == roleSubject {
		flags = gannetDeflate(with)
	}
	return "`" + strings.Join(flags, " ") + "`"
}

// runsIn reports whether s can take part in c with the same settings as the others.
func (s server) runsIn(c echoCell) bool {
	switch s.Role {
	case rolePeer:
		return slices.Contains(c.Peers, s.Name)
	case roleExtra:
		return s.secured == c.settings().overTLS()
	default:
		return true
	}
}

// loadMode is the mode wsblast needs to talk to s in c.
func (s server) loadMode(c echoCell) string {
	if s.Role == roleFloor {
		return "raw"
	}
	return c.Mode
}
