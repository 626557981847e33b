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
	roleForeign role = "foreign" // not written in Go: measured and reported, not judged
	roleExtra   role = "extra"   // given with -add: measured and reported, judged where -bar says so
)

// server is one program under test.
type server struct {
	Name string
	Role role
	argv func(t *toolset, port int, with settings) []string
	// keeps says what the server compresses a message with besides the message, where contexts are kept.
	keeps func(with settings, payload int) string
	// lacks says why the server can not do what a cell asks for; empty: it can.
	lacks func(with settings) string
	// foreign is what bench/peers/foreign.sh calls a server that is not written in Go.
	foreign string
	// missing says why the server could not be built: then it takes part in nothing.
	missing string
	// secured: a server of -add that speaks TLS takes part in the cells over TLS, and in no other.
	secured bool
	// bars are upper limits on Gannet's ratio to a server of -add, by the cell's name.
	bars map[string]float64
}

// knownServers are those that take part unless others are named, in the order of a round.
func knownServers() []server {
	return []server{
		{Name: "rawecho", Role: roleFloor, argv: rawechoArgv},
		{Name: "gannet", Role: roleSubject, argv: gannetArgv, keeps: gannetKeeps},
		{Name: "gws", Role: rolePeer, argv: peerArgv("gws"), keeps: gwsKeeps},
		{Name: "gorilla", Role: rolePeer, argv: peerArgv("gorilla")},
	}
}

// allServers are all that this tool can build.
func allServers() []server {
	return append(knownServers(),
		server{Name: "coder", Role: rolePeer, argv: peerArgv("coder"), lacks: noDeflate},
		server{Name: "nbio", Role: rolePeer, argv: peerArgv("nbio"), lacks: noDeflate},
		server{Name: "gobwas", Role: rolePeer, argv: peerArgv("gobwas"), lacks: inTheClear},
		server{Name: "fasthttp", Role: rolePeer, argv: peerArgv("fasthttp"), lacks: noDeflate},
		server{Name: "gnet", Role: rolePeer, argv: peerArgv("gnet"), lacks: inTheClear},
		server{Name: "node", Role: roleForeign, argv: foreignArgv("node"), lacks: oneThread, foreign: "node"},
		server{Name: "tungstenite", Role: roleForeign, argv: foreignArgv("tungstenite"), lacks: noDeflate, foreign: "tungstenite"},
	)
}

func noDeflate(with settings) string {
	if with.window != 0 {
		return "is set up without compression"
	}
	return ""
}

func inTheClear(with settings) string {
	if with.overTLS() {
		return "is read by a poller, where crypto/tls can not be used as it is"
	}
	return noDeflate(with)
}

func oneThread(with settings) string {
	if with.does == elsewhere {
		return "has no other thread to send from"
	}
	return noDeflate(with)
}

func rawechoArgv(t *toolset, port int, _ settings) []string {
	return []string{t.rawecho, strconv.Itoa(port)}
}

// gannetArgv: gannet serve has no mode elsewhere, which only this comparison needs.
func gannetArgv(t *toolset, port int, with settings) []string {
	if with.does == elsewhere {
		return []string{t.elsewhere, rig.LocalAddr(port)}
	}
	argv := []string{t.gannet, "serve", "--addr", rig.LocalAddr(port), "--loops", "1", "--log", "error"}
	if with.overTLS() {
		argv = append(argv, "--cert", t.cert, "--key", t.key)
	}
	if with.does != echoes {
		argv = append(argv, "--mode", string(with.does))
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
		if with.does != echoes {
			argv = append(argv, "-mode", string(with.does))
		}
		return append(argv, peerDeflate(with)...)
	}
}

// foreignArgv starts a server that is not written in Go.
func foreignArgv(name string) func(*toolset, int, settings) []string {
	return func(t *toolset, port int, with settings) []string {
		argv := append(slices.Clone(t.foreign[name]), "--addr", rig.LocalAddr(port))
		if with.overTLS() {
			argv = append(argv, "--cert", t.cert, "--key", t.key)
		}
		if with.does != echoes {
			argv = append(argv, "--mode", string(with.does))
		}
		return argv
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
func (s server) runsIn(c echoCell) bool { return s.leftOut(c) == "" }

// leftOut says why s takes no part in c; empty: it does.
func (s server) leftOut(c echoCell) string {
	if (s.Role == rolePeer || s.Role == roleForeign) && len(c.Peers) > 0 && !slices.Contains(c.Peers, s.Name) {
		return "has not these settings of compression"
	}
	if s.Role == roleExtra && c.Does != echoes {
		return "echoes, by its command"
	}
	return s.unfit(c.settings())
}

// unfit says why s can not be started for a cell with these settings; empty: it can.
func (s server) unfit(with settings) string {
	switch {
	case s.missing != "":
		return s.missing
	case s.Role == roleExtra && s.secured && !with.overTLS():
		return "speaks TLS, by its command"
	case s.Role == roleExtra && !s.secured && with.overTLS():
		return "has neither {cert} nor {key} in its command"
	case s.lacks != nil:
		return s.lacks(with)
	}
	return ""
}

// loadMode is the mode wsblast needs to talk to s in c.
func (s server) loadMode(c echoCell) string {
	if s.Role == roleFloor {
		return "raw"
	}
	return c.Mode
}
