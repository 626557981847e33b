// Command peers is a WebSocket echo server written with another Go library: the servers that Gannet's
// speed is measured against. It is a module of its own, so that no peer enters Gannet's go.mod.
//
//	GOWORK=off go run . -peer gws|gorilla|coder -addr 127.0.0.1:9001 [-deflate none|takeover|both|nct] [-level 1] [-window 15] [-readbuf 4096] [-cert FILE -key FILE]
//
// Each peer is set up the way its authors recommend for speed; gws.go, gorilla.go and coder.go say which
// settings were chosen and why. None runs with anything Gannet has to do without: no ping timers, no deadlines,
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

// settings are the knobs that the peers share; one that lacks a knob refuses all but its own setting.
type settings struct {
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

// peer makes the http.Handler that upgrades and echoes, or says why it cannot with these settings.
type peer func(settings) (http.Handler, error)

var peers = map[string]peer{"gws": newGws, "gorilla": newGorilla, "coder": newCoder}

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
	if s.cert != "" {
		return http.ServeTLS(listener, handler, s.cert, s.key)
	}
	return http.Serve(listener, handler)
}

func parse(args []string, usage io.Writer) (name, addr string, s settings, err error) {
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.SetOutput(usage)
	flags.StringVar(&name, "peer", "", "library: gws, gorilla or coder")
	flags.StringVar(&addr, "addr", "127.0.0.1:9001", "address to listen on")
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

func newPeer(name string, s settings) (http.Handler, error) {
	build, ok := peers[name]
	if !ok {
		return nil, fmt.Errorf("-peer %q: want gws, gorilla or coder", name)
	}
	return build(s)
}
