package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gannet-ws/gannet/bench/internal/results"
)

// settings are what a server is started with for a cell.
type settings struct {
	mode   string // wsblast's; "tls" is an echo over TLS
	window int    // logarithm of the DEFLATE windows; 0: no permessage-deflate
	does   task   // with a message
}

// task is what a server does with a message.
type task string

const (
	echoes    task = ""          // sends it back where it came
	tellsAll  task = "broadcast" // sends it to all connections
	elsewhere task = "elsewhere" // sends it back, but from another goroutine than the one that received it
)

func (c echoCell) settings() settings { return settings{c.Mode, c.Window, c.Does} }

// driver is the program that loads the servers in a cell.
type driver string

const (
	byWsblast   driver = ""          // echoes
	byBroadcast driver = "broadcast" // goload: one speaks, all listen
	byConnect   driver = "connect"   // goload: opening handshakes, so many at a time as there are connections
)

// tlsMode is wsblast's mode for an echo over TLS 1.3 with TLS_AES_128_GCM_SHA256.
const tlsMode = "tls"

// overTLS: every WebSocket server runs with one and the same certificate then.
func (s settings) overTLS() bool { return s.mode == tlsMode }

// minRounds is how many interleaved rounds a ratio needs before it may be quoted.
const minRounds = results.MinRounds

// echoCell is one kind of load, an echo or something that is counted like one, and what Gannet must reach under it. A bar is an upper limit on the ratio of
// Gannet's CPU time per message to another server's; 0 means that there is none.
type echoCell struct {
	Name     string   `json:"name"`
	Title    string   `json:"title"`
	Conns    int      `json:"conns"`
	Payload  int      `json:"payload_bytes"`
	Depth    int      `json:"depth"`                 // messages a connection sends before it reads
	Mode     string   `json:"mode"`                  // wsblast's mode for the WebSocket servers; the floor always runs raw
	Window   int      `json:"window_bits,omitempty"` // of a deflate cell, for all servers
	Does     task     `json:"does,omitempty"`        // empty: echoes
	Load     driver   `json:"load,omitempty"`        // empty: wsblast
	Note     string   `json:"note,omitempty"`        // what a reader has to know
	Peers    []string `json:"peers,omitempty"`       // those that can run a deflate cell with the same settings; empty: all that are asked
	FloorBar float64  `json:"floor_bar"`
	PeerBar  float64  `json:"peer_bar"` // against the best peer
	Default  bool     `json:"-"`
}

// echoCells: every echo bar of the project, and nowhere else. In the cells over TLS the floor echoes in the clear, and in
// the deflate cells the uncompressed size: there, and in the cells that goload drives (128 bytes), it serves only to see whether the machine's clock moved. gorilla has no context takeover and no
// choice of window, so it can run with the settings of the last only.
var echoCells = []echoCell{
	{Name: "echo-128", Title: "128 B, depth 1", Conns: 100, Payload: 128, Depth: 1, Mode: "ws", FloorBar: 1.05, PeerBar: 0.8, Default: true},
	{Name: "echo-128x16", Title: "128 B, depth 16", Conns: 100, Payload: 128, Depth: 16, Mode: "ws", FloorBar: 1.15, PeerBar: 0.8, Default: true},
	{Name: "echo-16k", Title: "16 KiB", Conns: 100, Payload: 16 << 10, Depth: 1, Mode: "ws", FloorBar: 1.12, PeerBar: 0.8, Default: true},
	{Name: "echo-1m", Title: "1 MiB", Conns: 20, Payload: 1 << 20, Depth: 1, Mode: "ws", FloorBar: 1.20, PeerBar: 0.8, Default: true},
	{Name: "tls-1k", Title: "over TLS 1.3, 1 KiB", Conns: 100, Payload: 1 << 10, Depth: 1, Mode: tlsMode, PeerBar: 0.9},
	{Name: "tls-16k", Title: "over TLS 1.3, 16 KiB", Conns: 100, Payload: 16 << 10, Depth: 1, Mode: tlsMode, PeerBar: 0.85},
	{Name: "deflate", Title: "deflate, 1 KiB JSON, server keeps its context, 15-bit windows", Conns: 100, Payload: 1 << 10, Depth: 1, Mode: "deflate", Window: 15,
		Peers: []string{"gws"}, PeerBar: 0.85, Note: takeoverNote},
	{Name: "deflate-12", Title: "deflate, 1 KiB JSON, server keeps its context, 12-bit windows", Conns: 100, Payload: 1 << 10, Depth: 1, Mode: "deflate", Window: 12,
		Peers: []string{"gws"}, PeerBar: 0.85, Note: "12 bits are what gws chooses by itself under context takeover. " + takeoverNote},
	{Name: "deflate-nct", Title: "deflate, 1 KiB JSON, no context takeover, 15-bit windows", Conns: 100, Payload: 1 << 10, Depth: 1, Mode: "deflate-nct", Window: 15,
		Peers: bothPeers, PeerBar: 0.85, Note: "Every message is compressed by itself, by all three. " + anchorNote},
	{Name: "elsewhere-128", Title: "128 B, answered by another goroutine", Conns: 100, Payload: 128, Depth: 1, Mode: "ws", Does: elsewhere,
		Note: "One goroutine sends all answers; it gets the messages, copied, by a channel of 1,024."},
	{Name: "broadcast-1k", Title: "broadcast, 128 B to 1,000 receivers", Conns: 1000, Payload: 128, Depth: 1, Mode: "ws", Does: tellsAll, Load: byBroadcast, Note: broadcastNote},
	{Name: "broadcast-10k", Title: "broadcast, 128 B to 10,000 receivers", Conns: 10000, Payload: 128, Depth: 1, Mode: "ws", Does: tellsAll, Load: byBroadcast, Note: broadcastNote},
	{Name: "connect", Title: "connections opened and closed, 64 at a time", Conns: 64, Payload: 0, Depth: 1, Mode: "ws", Load: byConnect,
		Note: "TCP's accept, the opening handshake, and a reset by the client as soon as it is answered. Times are from connecting to the answer."},
}

// broadcastNote: what a message is in these cells.
const broadcastNote = "A message counts for each receiver that it has come to; the next is sent when all have it. Times are from sending to the last receiver."

// heading is c's title with its connections, where the title does not name them.
func (c echoCell) heading() string {
	if c.Load != byWsblast {
		return c.Title
	}
	return fmt.Sprintf("%s, %d connections", c.Title, c.Conns)
}

// unit is what c counts and divides by.
func (c echoCell) unit() string {
	switch c.Load {
	case byBroadcast:
		return "message and receiver"
	case byConnect:
		return "connection"
	}
	return "echoed message"
}

// floorCell is what the floor runs in c. goload's cells are none that it can do: there it echoes, so that it can be seen
// whether the machine's clock moved.
func (c echoCell) floorCell() echoCell {
	if c.Load != byWsblast {
		c.Conns, c.Payload, c.Depth, c.Load = 100, 128, 1, byWsblast
	}
	return c
}

// takeoverNote: RFC 7692 bounds what a sender may refer to and does not oblige it to keep that much, so equal windows
// are not equal work.
const takeoverNote = "The agreed windows are the same, what is done with them is not: gws keeps as much as the window holds and reads all of it again " +
	"for each message, Gannet keeps a history that follows its messages. The load sends one message again and again, so whoever keeps " +
	"a context answers with little more than a reference to it; the last column is what either makes of messages that differ. " +
	"gorilla cannot take part: it has no context takeover. " + anchorNote

// anchorNote quotes what nothing here can run beside: uWebSockets is C++.
const anchorNote = "Anchors of another machine, when it was quiet, to be quoted as such and never held against a figure of this one: uWebSockets 15.5 us (shared compressor), " +
	"gws 18.1, gorilla 24.0 (no takeover)."

var bothPeers = []string{"gws", "gorilla"}

// idleCell measures what a connection that has nothing to say keeps resident: the slope between two counts, so
// that what a server needs anyway cancels out.
type idleCell struct {
	Name    string  `json:"name"`
	Title   string  `json:"title"`
	Few     int     `json:"few"`
	Many    int     `json:"many"`
	Echoes  int     `json:"echoes"`    // 128 B messages that each connection has echoed before it falls silent
	Mode    string  `json:"mode"`      // ws or tls
	Bar     float64 `json:"bar_bytes"` // 0: none
	Default bool    `json:"-"`
}

func (c idleCell) settings() settings { return settings{mode: c.Mode} }

// idleCells: 18,000 is what fits under a descriptor limit of 20,000 per process with room to spare. The cells over TLS
// have no bar: what a Go heap keeps resident of so many handshakes' garbage outweighs what a connection keeps. Package
// engine's tests bound that.
var idleCells = []idleCell{
	{Name: "idle", Title: "idle since the handshake", Few: 1000, Many: 18000, Mode: "ws", Bar: 300, Default: true},
	{Name: "idle-used", Title: "idle after one 128 B echo", Few: 1000, Many: 18000, Echoes: 1, Mode: "ws", Bar: 300, Default: true},
	{Name: "idle-tls", Title: "over TLS, idle since the handshake", Few: 1000, Many: 10000, Mode: tlsMode},
	{Name: "idle-tls-used", Title: "over TLS, idle after one 128 B echo", Few: 1000, Many: 10000, Echoes: 1, Mode: tlsMode},
}

// plan is what one run measures.
type plan struct {
	echo    []echoCell
	idle    []idleCell
	servers []server // the floor first, so that every round begins with it
}

// newPlan picks cells and servers by comma-separated names; empty means the default ones, and the one name "all" of servers
// all that this tool knows. Servers that were added on the command line take part without being named.
func newPlan(cells, servers string, added []server) (plan, error) {
	var p plan
	from, wanted := allServers(), splitNames(servers)
	switch {
	case len(wanted) == 0:
		from = knownServers()
	case servers == "all":
		wanted = nil
	}
	for _, s := range append(from, added...) {
		if s.Role == roleExtra || len(wanted) == 0 || slices.Contains(wanted, s.Name) {
			p.servers = append(p.servers, s)
		}
	}
	for _, name := range wanted {
		if !slices.ContainsFunc(p.servers, func(s server) bool { return s.Name == name }) {
			return p, fmt.Errorf("-servers: there is no %q", name)
		}
	}
	if len(p.servers) == 0 || p.servers[0].Role != roleFloor {
		return p, fmt.Errorf("-servers %q: rawecho must run, without the floor nothing tells whether the clock moved", servers)
	}
	return p, p.pickCells(splitNames(cells))
}

func (p *plan) pickCells(wanted []string) error {
	found := 0
	for _, c := range echoCells {
		if named := slices.Contains(wanted, c.Name); named || len(wanted) == 0 && c.Default {
			p.echo = append(p.echo, c)
			found++
		}
	}
	for _, c := range idleCells {
		if named := slices.Contains(wanted, c.Name); named || len(wanted) == 0 && c.Default {
			p.idle = append(p.idle, c)
			found++
		}
	}
	if len(wanted) > 0 && found != len(wanted) {
		return fmt.Errorf("-cells %q: not all of these exist (or one is given twice), see -list", strings.Join(wanted, ","))
	}
	return nil
}

// overTLS tells whether a cell of p needs a certificate.
func (p plan) overTLS() bool {
	return slices.ContainsFunc(p.echo, func(c echoCell) bool { return c.settings().overTLS() }) ||
		slices.ContainsFunc(p.idle, func(c idleCell) bool { return c.Mode == tlsMode })
}

func splitNames(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

func printCells(w io.Writer) {
	mark := map[bool]string{true: "*", false: " "}
	for _, c := range echoCells {
		peers := "all peers"
		if len(c.Peers) > 0 {
			peers = strings.Join(c.Peers, " and ")
		}
		load := "wsblast mode " + c.Mode
		if c.Load != byWsblast {
			load = "goload " + string(c.Load)
		}
		fmt.Fprintf(w, "%s %-13s %s, %d connections, %s, bar to the floor %s, to the best of %s %s\n",
			mark[c.Default], c.Name, c.Title, c.Conns, load, barText(c.FloorBar), peers, barText(c.PeerBar))
	}
	for _, c := range idleCells {
		bar := "no bar"
		if c.Bar > 0 {
			bar = fmt.Sprintf("at most %.0f B each", c.Bar)
		}
		fmt.Fprintf(w, "%s %-13s %s, slope of RSS from %d to %d connections, %s\n", mark[c.Default], c.Name, c.Title, c.Few, c.Many, bar)
	}
}

func barText(bar float64) string {
	if bar == 0 {
		return "none"
	}
	return fmt.Sprintf("%.2f x", bar)
}
