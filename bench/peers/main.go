// Command peers is a WebSocket echo server written with another Go library: the servers that Gannet's
// speed is measured against. It is a module of its own, so that no peer enters Gannet's go.mod.
//
//	go run . -peer gws|gorilla -addr 127.0.0.1:9001 [-deflate none|takeover|nct] [-level 1] [-readbuf 4096]
//
// Each peer is set up the way its authors recommend for speed; gws.go and gorilla.go say which settings
// were chosen and why. Neither runs with anything Gannet has to do without: no ping timers, no deadlines,
// no UTF-8 check (the load is binary).
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
)

// settings are the knobs that both peers share.
type settings struct {
	deflate     deflateMode
	level       int // DEFLATE level, 1 to 9; 1 is what both peers use by default
	readBufSize int // bytes of read buffer per connection; 4096 is what both peers use by default
}

// deflateMode is what the server agrees to when a client offers permessage-deflate (RFC 7692). Windows are
// 15 bits both ways and the client never keeps its context, as wsblast asks for.
type deflateMode string

const (
	deflateNone     deflateMode = "none"     // the offer is declined
	deflateTakeover deflateMode = "takeover" // the server keeps its compression context between messages
	deflateNCT      deflateMode = "nct"      // no context takeover in either direction
)

// peer makes the http.Handler that upgrades and echoes, or says why it cannot with these settings.
type peer func(settings) (http.Handler, error)

var peers = map[string]peer{"gws": newGws, "gorilla": newGorilla}

func main() {
	log.SetFlags(0)
	log.SetPrefix("peers: ")
	switch err := run(os.Args[1:], os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		log.Fatal(err)
	}
}

// run serves until the process is killed: there is no state worth a clean shutdown.
func run(args []string, usage io.Writer) error {
	name, addr, s, err := parse(args, usage)
	if err != nil {
		return err
	}
	handler, err := newPeer(name, s)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return http.Serve(listener, handler)
}

func parse(args []string, usage io.Writer) (name, addr string, s settings, err error) {
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.SetOutput(usage)
	flags.StringVar(&name, "peer", "", "library: gws or gorilla")
	flags.StringVar(&addr, "addr", "127.0.0.1:9001", "address to listen on")
	deflate := flags.String("deflate", string(deflateNone), "none, takeover (server keeps its context) or nct (no context takeover)")
	flags.IntVar(&s.level, "level", 1, "DEFLATE level, 1 to 9")
	flags.IntVar(&s.readBufSize, "readbuf", 4096, "read buffer per connection, bytes")
	if err := flags.Parse(args); err != nil {
		return "", "", s, err
	}
	if flags.NArg() > 0 {
		return "", "", s, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	s.deflate = deflateMode(strings.ToLower(*deflate))
	return name, addr, s, s.check()
}

func (s settings) check() error {
	switch s.deflate {
	case deflateNone, deflateTakeover, deflateNCT:
	default:
		return fmt.Errorf("-deflate %q: want none, takeover or nct", s.deflate)
	}
	if s.level < 1 || s.level > 9 {
		return fmt.Errorf("-level %d: want 1 to 9", s.level)
	}
	if s.readBufSize < 512 {
		return fmt.Errorf("-readbuf %d: want at least 512 bytes", s.readBufSize)
	}
	return nil
}

func newPeer(name string, s settings) (http.Handler, error) {
	build, ok := peers[name]
	if !ok {
		return nil, fmt.Errorf("-peer %q: want gws or gorilla", name)
	}
	return build(s)
}
