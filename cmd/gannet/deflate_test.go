package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/urfave/cli/v3"

	"github.com/gannet-ws/gannet/deflate"
)

// policyOf parses flags of serve and stops there.
func policyOf(t *testing.T, flags string) (p *deflate.Policy, err error) {
	t.Helper()
	c := serveCommand()
	c.Writer, c.ErrWriter = io.Discard, io.Discard
	c.Action = func(_ context.Context, c *cli.Command) (err error) {
		p, err = deflatePolicy(c)
		return err
	}
	err = c.Run(context.Background(), append([]string{"serve"}, strings.Fields(flags)...))
	return p, err
}

func TestDeflateFlags(t *testing.T) {
	for flags, want := range map[string]deflate.Policy{
		"--deflate shared":                         {},
		"--deflate shared --deflate-level 0":       {},
		"--deflate=alone":                          {Takeover: deflate.NoTakeover},
		"--deflate own":                            {Takeover: deflate.OwnCompressor},
		"--deflate shared --deflate-window 8":      {SendWindowBits: 8, ReceiveWindowBits: 8},
		"--deflate alone --deflate-window 15":      {SendWindowBits: 15, ReceiveWindowBits: 15, Takeover: deflate.NoTakeover},
		"--deflate shared --deflate-history 256":   {HistoryBytes: 256},
		"--deflate shared --deflate-history 32768": {HistoryBytes: 32768},
		"--deflate own --deflate-level 9":          {Level: 9, Takeover: deflate.OwnCompressor},
		"--deflate shared --deflate-frame=-1":      {FrameBytes: -1},
		"--deflate alone --deflate-frame 65536":    {FrameBytes: 65536, Takeover: deflate.NoTakeover},
	} {
		p, err := policyOf(t, flags)
		if err != nil || p == nil || *p != want {
			t.Errorf("%s: %+v, %v; want %+v", flags, p, err, want)
		}
	}
	for _, flags := range []string{"", "--deflate off", "--deflate off --deflate-level 0"} {
		if p, err := policyOf(t, flags); p != nil || err != nil {
			t.Errorf("%s: %+v, %v; want none", flags, p, err)
		}
	}
}

// TestDeflateFlagsAreRefused: each message names the flag and what it may be.
func TestDeflateFlagsAreRefused(t *testing.T) {
	for flags, want := range map[string][]string{
		"--deflate parrot":                         {"--deflate:", `"parrot"`, "off, shared, alone, own"},
		"--deflate SHARED":                         {"--deflate:", "off, shared, alone, own"},
		"--deflate true":                           {"--deflate:", "off, shared, alone, own"},
		"--deflate":                                {"-deflate", "argument"},
		"--deflate-level 3":                        {"--deflate-level", "need --deflate shared, alone or own"},
		"--deflate-window 9":                       {"--deflate-window", "need --deflate shared, alone or own"},
		"--deflate off --deflate-history 512":      {"--deflate-history", "need --deflate shared, alone or own"},
		"--deflate-frame 9":                        {"--deflate-frame", "need --deflate shared, alone or own"},
		"--deflate own --deflate-frame 2147483648": {"deflate-frame", "2147483648"},
		"--deflate alone --deflate-history 512":    {"--deflate-history", "needs --deflate shared", "alone"},
		"--deflate own --deflate-history 512":      {"--deflate-history", "needs --deflate shared", "own"},
		"--deflate shared --deflate-window 7":      {"--deflate-window 7", "8 to 15"},
		"--deflate shared --deflate-window 16":     {"--deflate-window 16", "8 to 15"},
		"--deflate shared --deflate-window=-9":     {"--deflate-window -9", "8 to 15"},
		"--deflate shared --deflate-window 9.5":    {"deflate-window", "9.5"},
		"--deflate shared --deflate-level 10":      {"--deflate-level 10", "0 to 9"},
		"--deflate shared --deflate-level=-1":      {"--deflate-level -1", "0 to 9"},
		"--deflate shared --deflate-history 255":   {"--deflate-history 255", "256 to 32768"},
		"--deflate shared --deflate-history 32769": {"--deflate-history 32769", "256 to 32768"},
	} {
		_, err := policyOf(t, flags)
		for _, part := range want {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v; want %q in it", flags, err, part)
			}
		}
	}
}

// compressing is a connection of which the test writes and reads the frames.
type compressing struct {
	net.Conn
	r *bufio.Reader
}

// offer upgrades and returns the server's answer to an offer of an extension.
func offer(t *testing.T, socket, extension string) (c compressing, answer string) {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: gannet\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: "+extension+"\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	c = compressing{conn, bufio.NewReader(conn)}
	response, err := http.ReadResponse(c.r, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(response, err)
	}
	return c, response.Header.Get("Sec-WebSocket-Extensions")
}

// echo sends a text and reads it back, compressed both ways.
func (c compressing) echo(t *testing.T, text string) {
	t.Helper()
	out, err := wsflate.CompressFrame(ws.NewTextFrame([]byte(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := ws.WriteFrame(c, ws.MaskFrame(out)); err != nil {
		t.Fatal(err)
	}
	header, err := ws.ReadHeader(c.r)
	if err != nil || !header.Rsv1() || header.Length > 1<<16 {
		t.Fatalf("the echo's header is %+v, %v", header, err)
	}
	in := ws.Frame{Header: header, Payload: make([]byte, header.Length)}
	if _, err := io.ReadFull(c.r, in.Payload); err != nil {
		t.Fatal(err)
	}
	if in, err = wsflate.DecompressFrame(in); err != nil || string(in.Payload) != text {
		t.Fatalf("%q, %v", in.Payload, err)
	}
}

// TestServeDeflate: what each kind of server answers to two offers, and that it compresses as it said.
func TestServeDeflate(t *testing.T) {
	const nct = "; server_no_context_takeover; client_no_context_takeover"
	for flags, want := range map[string]struct{ bare, nct string }{
		"--deflate shared":                       {"permessage-deflate", "permessage-deflate" + nct},
		"--deflate own --deflate-level 6":        {"permessage-deflate", "permessage-deflate" + nct},
		"--deflate alone":                        {"permessage-deflate; server_no_context_takeover", "permessage-deflate" + nct},
		"--deflate shared --deflate-history 256": {"permessage-deflate", "permessage-deflate" + nct},
		"--deflate shared --deflate-window 9": {
			"permessage-deflate; server_max_window_bits=9; client_max_window_bits=9",
			"permessage-deflate" + nct + "; server_max_window_bits=9",
		},
	} {
		t.Run(flags, func(t *testing.T) {
			socket := serving(t, strings.Fields(flags)...)
			if _, got := offer(t, socket, "permessage-deflate; client_max_window_bits"); got != want.bare {
				t.Errorf("answered %q, want %q", got, want.bare)
			}
			c, got := offer(t, socket, "permessage-deflate"+nct)
			if got != want.nct {
				t.Errorf("answered %q, want %q", got, want.nct)
			}
			const times = 5
			text := strings.Repeat("a gannet dives, ", 20)
			for range times {
				c.echo(t, text)
			}
			s := stats(t, socket).Deflate
			if bytes := uint64(times * len(text)); s.Conns != 2 || s.MessagesIn != times || s.MessagesOut != times || s.BytesIn != bytes ||
				s.BytesOut != bytes || s.WireBytesIn == 0 || s.WireBytesIn > bytes/4 || s.WireBytesOut == 0 || s.WireBytesOut > bytes/4 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestServeWithoutDeflate: the default declines.
func TestServeWithoutDeflate(t *testing.T) {
	socket := serving(t)
	if _, got := offer(t, socket, "permessage-deflate"); got != "" {
		t.Errorf("answered %q", got)
	}
}

// TestStatsNameDeflate: the names that scripts and the page read.
func TestStatsNameDeflate(t *testing.T) {
	web := overUnix(serving(t))
	defer web.CloseIdleConnections()
	r, err := web.Get("http://gannet/stats")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var all struct {
		Deflate map[string]json.Number `json:"deflate"`
	}
	if err := json.NewDecoder(r.Body).Decode(&all); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"conns", "messagesIn", "wireBytesIn", "bytesIn", "messagesOut", "wireBytesOut", "bytesOut"} {
		if all.Deflate[name] != "0" {
			t.Errorf("deflate %s is %q", name, all.Deflate[name])
		}
	}
}
