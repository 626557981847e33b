// Command peers is a WebSocket server written with another Go library: the servers that Gannet's speed is measured
// against. It is a module of its own, so that no peer enters Gannet's go.mod.
//
//	GOWORK=off go run . -peer gws -addr 127.0.0.1:9001 [-mode echo] [-cert FILE -key FILE] [-deflate none] [-level 1] [-window 15] [-readbuf 4096]
//
// Each peer is set up the way its authors recommend for speed; the file of its name says which settings were chosen and
// why. None runs with anything Gannet has to do without: no ping timers, no deadlines, no UTF-8 check (the load is binary).
// The folders node and tungstenite hold the same server for Node.js and for Rust.
//
// When it listens it prints "listening ADDRESS", so port 0 can be asked for.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
)

// settings are the knobs that the peers share; one that lacks a knob refuses all but its own setting.
type settings struct {
	mode        mode
	deflate     deflateMode
	level       int    // DEFLATE level, 1 to 9; 1 is what all peers use by default
	windowBits  int    // both ways, 8 to 15
	readBufSize int    // bytes of read buffer per connection; 4096 is what all peers use by default
	cert, key   string // PEM files: with them the server speaks TLS, by crypto/tls as net/http sets it up
}

// deflateMode is what the server agrees to when a client offers permessage-deflate (RFC 7692).
type deflateMode string

const (
	deflateNone     deflateMode = "none"     // the offer is declined
	deflateTakeover deflateMode = "takeover" // the server keeps its compression context between messages; wsblast, the client, none
	deflateBoth     deflateMode = "both"     // both keep theirs
	deflateNCT      deflateMode = "nct"      // no context takeover in either direction
)

// peer serves on addr until the process is killed, because there is no state worth a clean shutdown. It calls up when it
// listens, and says why when it cannot serve with these settings.
type peer func(s settings, addr string, up func(net.Addr)) error

var peers = map[string]peer{
	"gws":      overHTTP(newGws),
	"gorilla":  overHTTP(newGorilla),
	"coder":    overHTTP(newCoder),
	"nbio":     serveNbio,
	"gobwas":   serveGobwas,
	"fasthttp": serveFasthttp,
	"gnet":     serveGnet,
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("peers: ")
	switch err := run(os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		log.Fatal(err)
	}
}

func run(args []string, stdout, usage io.Writer) error {
	name, addr, s, err := parse(args, usage)
	if err != nil {
		return err
	}
	serve, ok := peers[name]
	if !ok {
		return fmt.Errorf("-peer %q: want one of %s", name, names())
	}
	return serve(s, addr, func(at net.Addr) { fmt.Fprintln(stdout, "listening", at) })
}

func names() string { return strings.Join(slices.Sorted(maps.Keys(peers)), ", ") }

func parse(args []string, usage io.Writer) (name, addr string, s settings, err error) {
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.SetOutput(usage)
	flags.StringVar(&name, "peer", "", "library: one of "+names())
	flags.StringVar(&addr, "addr", "127.0.0.1:9001", "address to listen on")
	mode := flags.String("mode", string(echo), "what to do with a message: echo, discard, broadcast (to all connections) or elsewhere (echo from another goroutine)")
	deflate := flags.String("deflate", string(deflateNone), "none, takeover (the server keeps its context), both (the client too) or nct (no context takeover)")
	flags.IntVar(&s.level, "level", 1, "DEFLATE level, 1 to 9")
	flags.IntVar(&s.windowBits, "window", 15, "logarithm of the DEFLATE window, 8 to 15, both ways")
	flags.IntVar(&s.readBufSize, "readbuf", 4096, "read buffer per connection, bytes")
	flags.StringVar(&s.cert, "cert", "", "PEM file of a certificate: serve over TLS")
	flags.StringVar(&s.key, "key", "", "PEM file of its key")
	if err := flags.Parse(args); err != nil {
		return "", "", s, err
	}
	if flags.NArg() > 0 {
		return "", "", s, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if s.mode, err = parseMode(*mode); err != nil {
		return "", "", s, err
	}
	s.deflate = deflateMode(strings.ToLower(*deflate))
	return name, addr, s, s.check()
}

func (s settings) check() error {
	switch s.deflate {
	case deflateNone, deflateTakeover, deflateBoth, deflateNCT:
	default:
		return fmt.Errorf("-deflate %q: want none, takeover, both or nct", s.deflate)
	}
	if s.level < 1 || s.level > 9 {
		return fmt.Errorf("-level %d: want 1 to 9", s.level)
	}
	if s.windowBits < 8 || s.windowBits > 15 {
		return fmt.Errorf("-window %d: want 8 to 15", s.windowBits)
	}
	if (s.cert == "") != (s.key == "") {
		return errors.New("-cert and -key belong together")
	}
	if s.readBufSize < 512 {
		return fmt.Errorf("-readbuf %d: want at least 512 bytes", s.readBufSize)
	}
	return nil
}

// plain refuses what a peer is not set up for here: compression, and a read buffer of another size.
func (s settings) plain(name string) error {
	switch {
	case s.deflate != deflateNone:
		return fmt.Errorf("%s is set up without compression here: use -deflate none", name)
	case s.readBufSize != 4096:
		return fmt.Errorf("%s has no choice of read buffer here", name)
	}
	return nil
}

// inTheClear refuses TLS, for servers that read their sockets by a poller without a library's help.
func (s settings) inTheClear(name string) error {
	if s.cert != "" {
		return fmt.Errorf("%s has no TLS on a poller: crypto/tls waits in Read for the rest of a record", name)
	}
	return nil
}
