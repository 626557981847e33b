package engine

import (
	"fmt"
	"strings"
	"testing"
)

// TestDeflateOffers: an offer that RFC 7692 7 does not allow is declined, and so is one that we do not understand; the
// upgrade goes on, without compression or with the next offer that can be accepted.
func TestDeflateOffers(t *testing.T) {
	declined := []string{
		"server_max_window_bits=7", "server_max_window_bits=16", "server_max_window_bits=0", "server_max_window_bits=100",
		"server_max_window_bits=", "server_max_window_bits=\"\"", "server_max_window_bits", "server_max_window_bits=010",
		"server_max_window_bits=08", "server_max_window_bits=1 0", "server_max_window_bits=-9", "server_max_window_bits=+9",
		"server_max_window_bits=9.0", "server_max_window_bits=x", "server_max_window_bits=٩", "server_max_window_bits=10; server_max_window_bits=10",
		"client_max_window_bits=7", "client_max_window_bits=16", "client_max_window_bits=", "client_max_window_bits=010",
		"client_max_window_bits=015", "client_max_window_bits; client_max_window_bits", "client_max_window_bits=9; client_max_window_bits",
		"client_max_window_bits=4294967304", "client_max_window_bits=18446744073709551624",
		"server_no_context_takeover=1", "server_no_context_takeover=", "server_no_context_takeover; server_no_context_takeover",
		"client_no_context_takeover=true", "client_no_context_takeover; client_no_context_takeover",
		"unknown", "unknown=1", "server_max_window_bit=9", "mux", "x-webkit-deflate-frame",
	}
	s := startServer(t, echoHandler, Options{Deflate: deflateOn(), MaxHandshakeBytes: 64 << 10})
	answer := func(offer string) (string, *attacker) {
		t.Helper()
		a := knock(t, "tcp", s.Addr().String())
		a.say(t, requestFor("/echo", offering(offer)))
		return a.expectStatus(t, 101).Header.Get("Sec-WebSocket-Extensions"), a
	}
	for _, p := range declined {
		bad := "permessage-deflate; " + p
		got, a := answer(bad)
		if got != "" {
			t.Errorf("%q is answered %q", bad, got)
		}
		a.say(t, string(maskedFrame(0x82, []byte("goes on"))))
		if f, err := a.hear(); err != nil || string(f.payload) != "goes on" {
			t.Errorf("%q: %v", bad, err)
		}
		a.say(t, string(maskedFrame(0xc1, []byte{0}))) // nothing was agreed on
		a.expectClose(t, 1002)
		if strings.ContainsAny(p, "\"٩ ") || strings.HasSuffix(p, "=") {
			continue // nothing behind what does not parse is looked at, or need not be
		}
		if got, _ := answer(bad + ", permessage-deflate; server_max_window_bits=9"); !strings.Contains(got, "server_max_window_bits=9") {
			t.Errorf("an offer behind %q is answered %q", bad, got)
		}
	}
	for bits := 8; bits <= 15; bits++ {
		p := fmt.Sprint("permessage-deflate; server_max_window_bits=", bits)
		if got, _ := answer(p); !strings.HasPrefix(got, "permessage-deflate") || bits < 15 && !strings.Contains(got, fmt.Sprint("server_max_window_bits=", bits)) {
			t.Errorf("%q is answered %q", p, got)
		}
	}
	if got, a := answer("permessage-deflate; server_max_window_bits=\"10\""); got != "" {
		a.say(t, string(maskedFrame(0xc1, []byte{0}))) // a quoted value is the same value (RFC 6455 9.1)
		if f, err := a.hear(); err != nil || f.op != 1 || len(f.payload) != 0 {
			t.Error(f, err)
		}
	}
}

// TestDeflateOffersWithoutEnd: 10,000 parameters, 10,000 offers, or one name of 30 KB, cost what their bytes do, and the
// upgrade goes on; over MaxHandshakeBytes it is 431, as for any header.
func TestDeflateOffersWithoutEnd(t *testing.T) {
	s := startServer(t, echoHandler, Options{Deflate: deflateOn(), MaxHandshakeBytes: 200 << 10})
	offers := map[string]string{
		"10,000 unknown parameters": "permessage-deflate" + strings.Repeat("; x", 10_000),
		"10,000 times one of ours":  "permessage-deflate" + strings.Repeat("; mux", 10_000),
		"10,000 values":             "permessage-deflate" + strings.Repeat("; x=1234567890", 10_000),
		"10,000 repetitions":        "permessage-deflate" + strings.Repeat("; client_no_context_takeover", 5_000),
		"10,000 bad offers":         strings.TrimSuffix(strings.Repeat("permessage-deflate; x, ", 8_000), ", "),
		"10,000 other extensions":   strings.TrimSuffix(strings.Repeat("mux, ", 10_000), ", "),
		"10,000 commas":             strings.Repeat(",", 10_000),
		"10,000 semicolons":         "permessage-deflate" + strings.Repeat(";", 10_000),
		"a long name":               strings.Repeat("x", 30_000),
		"a long parameter":          "permessage-deflate; " + strings.Repeat("x", 30_000),
		"a long number":             "permessage-deflate; server_max_window_bits=" + strings.Repeat("9", 30_000),
		"a quoted value":            "permessage-deflate; x=\"" + strings.Repeat("\\9", 30_000) + "\"",
		"a quote without end":       "permessage-deflate; x=\"" + strings.Repeat("9", 30_000),
	}
	besideInnocent(t, s, func() {
		for name, offer := range offers {
			a := knock(t, "tcp", s.Addr().String())
			a.say(t, requestFor("/echo", offering(offer)))
			if got := a.expectStatus(t, 101).Header.Get("Sec-WebSocket-Extensions"); got != "" {
				t.Errorf("%s: answered %q", name, got)
			}
		}
		a := knock(t, "tcp", s.Addr().String())
		a.say(t, requestFor("/echo", offering("permessage-deflate"+strings.Repeat("; x", 10_000)+", permessage-deflate")))
		if got := a.expectStatus(t, 101).Header.Get("Sec-WebSocket-Extensions"); got != "permessage-deflate" {
			t.Errorf("a good offer behind 10,000 parameters: answered %q", got)
		}
	})
	small := startServer(t, echoHandler, Options{Deflate: deflateOn()})
	a := knock(t, "tcp", small.Addr().String())
	a.say(t, requestFor("/echo", offering(offers["10,000 unknown parameters"])))
	a.expectStatus(t, 431)
}

// TestDeflateOffersInManyLines: the lines of a header are one list (RFC 6455 9.1), first come first preferred.
func TestDeflateOffersInManyLines(t *testing.T) {
	s := startServer(t, echoHandler, Options{Deflate: deflateOn()})
	a := knock(t, "tcp", s.Addr().String())
	a.say(t, requestFor("/echo", offering("permessage-deflate; server_max_window_bits=7"), offering("mux"),
		offering("permessage-deflate; server_max_window_bits=11"), offering("permessage-deflate")))
	if got := a.expectStatus(t, 101).Header.Values("Sec-WebSocket-Extensions"); len(got) != 1 || got[0] != "permessage-deflate; server_max_window_bits=11" {
		t.Errorf("%q", got)
	}
}
