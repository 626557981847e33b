package engine

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/deflate"
)

// What is agreed on, on the wire and in Conn.Extensions. All offers that there are, and
// their answers, are package deflate's own tests: here they go through a handshake.

const justDeflate = "permessage-deflate"

// lotsOfText shrinks at any level, in any window.
var lotsOfText = []byte(strings.Repeat("a gannet dives from thirty metres; ", 20))

// noteOpen is h with each connection noted as it opens.
func noteOpen(h Funcs) (Funcs, chan *Conn) {
	conns := make(chan *Conn, 256)
	h.Open = func(c *Conn) { conns <- c }
	return h, conns
}

var agreements = []struct {
	name   string
	policy deflate.Policy
	lines  []string // Sec-WebSocket-Extensions, one header line each
	answer string
}{
	{"the plainest", deflate.Policy{}, []string{justDeflate}, justDeflate},
	{"in other letters, with spaces", deflate.Policy{}, []string{" permessage-deflate ;  client_max_window_bits "}, justDeflate},
	{"as browsers ask", deflate.Policy{}, []string{"permessage-deflate; client_max_window_bits"}, justDeflate},
	{"quoted value", deflate.Policy{}, []string{`permessage-deflate; server_max_window_bits="10"`}, "permessage-deflate; server_max_window_bits=10"},
	{"the client's wishes", deflate.Policy{}, []string{"permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits=8"},
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9; client_max_window_bits=8"},
	{"the smaller windows of both", deflate.Policy{SendWindowBits: 10, ReceiveWindowBits: 11}, []string{"permessage-deflate; server_max_window_bits=12; client_max_window_bits=15"},
		"permessage-deflate; server_max_window_bits=10; client_max_window_bits=11"},
	{"a window nobody asked for", deflate.Policy{SendWindowBits: 12}, []string{justDeflate}, "permessage-deflate; server_max_window_bits=12"},
	{"a client that can not be told", deflate.Policy{ReceiveWindowBits: 9}, []string{justDeflate}, "permessage-deflate; client_no_context_takeover"},
	{"a client that can", deflate.Policy{ReceiveWindowBits: 9}, []string{"permessage-deflate; client_max_window_bits"}, "permessage-deflate; client_max_window_bits=9"},
	{"no takeover", deflate.Policy{Takeover: deflate.NoTakeover}, []string{justDeflate}, "permessage-deflate; server_no_context_takeover"},
	{"nor the peer's", deflate.Policy{PeerNoTakeover: true}, []string{justDeflate}, "permessage-deflate; client_no_context_takeover"},
	{"own compressor", deflate.Policy{Takeover: deflate.OwnCompressor}, []string{justDeflate}, justDeflate},
	{"the first of two", deflate.Policy{}, []string{"permessage-deflate; server_max_window_bits=9, permessage-deflate"}, "permessage-deflate; server_max_window_bits=9"},
	{"the second, as the first is unknown", deflate.Policy{}, []string{"permessage-bzip2; x=1, permessage-deflate; client_no_context_takeover"}, "permessage-deflate; client_no_context_takeover"},
	{"the second, as the first is wrong", deflate.Policy{}, []string{"permessage-deflate; server_max_window_bits=16, permessage-deflate; server_no_context_takeover"}, "permessage-deflate; server_no_context_takeover"},
	{"the second, as the first repeats itself", deflate.Policy{}, []string{"permessage-deflate; client_max_window_bits; client_max_window_bits, permessage-deflate"}, justDeflate},
	{"in the second line", deflate.Policy{}, []string{"permessage-deflate; server_max_window_bits=010", "x-other", "permessage-deflate; server_max_window_bits=15"}, "permessage-deflate; server_max_window_bits=15"},
	{"three lines, the first counts", deflate.Policy{}, []string{"permessage-deflate; server_no_context_takeover", justDeflate, justDeflate}, "permessage-deflate; server_no_context_takeover"},
}

func offers(lines []string) (first string, further []string) {
	for _, l := range lines[1:] {
		further = append(further, "Sec-WebSocket-Extensions: "+l)
	}
	return lines[0], further
}

func TestDeflateAgreements(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		for _, k := range agreements {
			t.Run(k.name, func(t *testing.T) {
				h, conns := noteOpen(echoHandler)
				s := m.start(t, h, Options{Deflate: &k.policy})
				first, further := offers(k.lines)
				p := dialFlate(t, s, first, further...)
				c := receive(t, conns, "OnOpen")
				if got := c.Extensions(); p.answer != k.answer || got != k.answer {
					t.Errorf("answered %q, Extensions() %q, want %q", p.answer, got, k.answer)
				}
				for range 3 {
					if !p.echoes(OpText, lotsOfText).compressed {
						t.Error("not compressed")
					}
				}
				if d := s.Stats().Deflate; d.Conns != 1 {
					t.Errorf("%+v", d)
				}
			})
		}
	})
}

// The same through net/http, which has read the request.
func TestDeflateAgreementsBehindHTTP(t *testing.T) {
	for _, k := range agreements {
		h, conns := noteOpen(echoHandler)
		nc, err := behindHTTP(t, h, Options{Loops: 2, Deflate: &k.policy}).knock()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		_ = nc.SetDeadline(time.Now().Add(timeoutOf(20)))
		first, further := offers(k.lines)
		p := flateOver(t, attackerOn(nc), "/", first, further...)
		if got := receive(t, conns, "OnOpen").Extensions(); p.answer != k.answer || got != k.answer {
			t.Errorf("%s: answered %q, Extensions() %q, want %q", k.name, p.answer, got, k.answer)
		}
		for range 3 {
			if !p.echoes(OpText, lotsOfText).compressed {
				t.Error(k.name, "not compressed")
			}
		}
	}
}

// An offer that can not be accepted is declined, and the connection opens without: RFC 7692
// 5, 7. What must not be is a failed handshake.
func TestDeflateDeclined(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		h, conns := noteOpen(echoHandler)
		s := m.start(t, h, Options{Deflate: &deflate.Policy{}})
		for _, line := range []string{
			"", "permessage-gzip", "x-webkit-deflate-frame", "deflate", "permessage_deflate",
			"permessage-deflate; unknown", "permessage-deflate; unknown=1",
			"permessage-deflate; server_no_context_takeover=1", "permessage-deflate; client_no_context_takeover=true",
			"permessage-deflate; server_no_context_takeover; server_no_context_takeover",
			"permessage-deflate; server_max_window_bits", "permessage-deflate; server_max_window_bits=",
			"permessage-deflate; server_max_window_bits=7", "permessage-deflate; server_max_window_bits=16",
			"permessage-deflate; server_max_window_bits=010", "permessage-deflate; server_max_window_bits=+9",
			"permessage-deflate; server_max_window_bits=9.0", "permessage-deflate; server_max_window_bits=256",
			"permessage-deflate; server_max_window_bits=9; server_max_window_bits=9",
			"permessage-deflate; client_max_window_bits=0", "permessage-deflate; client_max_window_bits=99999999999999999999",
			"permessage-deflate; client_max_window_bits=; x", `permessage-deflate; client_max_window_bits=""`,
			"permessage-deflate; =10", "permessage-deflate; client_max_window_bits=9=9", "permessage-deflate permessage-deflate",
			`permessage-deflate; client_max_window_bits="9`, "permessage-deflate=1", ";", ",,,", "=",
		} {
			p := dialFlate(t, s, line)
			c := receive(t, conns, "OnOpen")
			if p.agreed || c.Extensions() != "" {
				t.Errorf("%q was accepted: %q, %q", line, p.answer, c.Extensions())
			}
			if err := p.sayPlain(OpText, lotsOfText); err != nil {
				t.Fatal(err)
			}
			if p.wants(OpText, lotsOfText).compressed {
				t.Error("compressed")
			}
		}
		if d := s.Stats().Deflate; d != (DeflateStats{}) {
			t.Errorf("%+v", d)
		}
	})
}

// Without Options.Deflate nothing is agreed on, and RSV1 is what it was before (RFC 6455 5.2).
func TestDeflateOff(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		h, conns := noteOpen(echoHandler)
		s := m.start(t, h, Options{})
		p := dialFlate(t, s, justDeflate)
		if p.agreed || receive(t, conns, "OnOpen").Extensions() != "" {
			t.Errorf("agreed on %q", p.answer)
		}
		p.sends(OpText, lotsOfText)
		p.wantsClose(1002)
	})
}

// Upgrade.NoDeflate declines for one connection, at once and after Later.
func TestUpgradeNoDeflate(t *testing.T) {
	everyUpgrade(t, func(t *testing.T, build func(Handler, Options) *house) {
		h, conns := noteOpen(echoHandler)
		h.Upgrade = func(u *Upgrade) {
			decide := func() {
				if u.Header("X-Plain") != "" {
					if err := u.NoDeflate(); err != nil {
						t.Error(err)
					}
				}
			}
			if u.Header("X-Later") == "" {
				decide()
				return
			}
			u.Later()
			go func() {
				decide()
				if err := u.Accept(); err != nil {
					t.Error(err)
				}
				isAll(t, u.NoDeflate(), ErrInvalidState)
			}()
		}
		w := build(h, Options{Deflate: &deflate.Policy{}})
		for i, lines := range [][]string{{}, {"X-Plain: 1"}, {"X-Later: 1"}, {"X-Later: 1", "X-Plain: 1"}} {
			nc, err := w.knock()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = nc.Close() })
			_ = nc.SetDeadline(time.Now().Add(timeoutOf(20)))
			p := flateOver(t, attackerOn(nc), "/", justDeflate, lines...)
			want := []string{justDeflate, ""}[i%2]
			if c := receive(t, conns, "OnOpen"); p.answer != want || c.Extensions() != want {
				t.Errorf("%v: %q on the wire, Extensions() %q", lines, p.answer, c.Extensions())
			}
			if err := p.sayPlain(OpText, lotsOfText); err != nil {
				t.Fatal(err)
			}
			if m := p.wants(OpText, lotsOfText); m.compressed != (i%2 == 0) {
				t.Errorf("%v: compressed: %v", lines, m.compressed)
			}
		}
		if d := w.Stats().Deflate; d.Conns != 2 {
			t.Errorf("%+v", d)
		}
	})
}

// While CONNECTING there are no extensions yet, after the end there still are.
func TestExtensionsBeforeAndAfter(t *testing.T) {
	during := make(chan string, 3)
	closed := make(chan *Conn, 1)
	s := startServer(t, Funcs{
		Upgrade: func(u *Upgrade) { during <- u.Conn().Extensions() },
		Open:    func(c *Conn) { during <- c.Extensions() },
		Close:   func(c *Conn, _ CloseEvent) { during <- c.Extensions(); closed <- c },
	}, Options{Deflate: &deflate.Policy{}})
	p := dialFlate(t, s, justDeflate)
	p.sayClose(1000, "")
	p.wantsClose(1000)
	c := receive(t, closed, "OnClose")
	for i, want := range []string{"", justDeflate, justDeflate} {
		if got := <-during; got != want {
			t.Errorf("%d: %q", i, got)
		}
	}
	if c.Extensions() != justDeflate {
		t.Error("after OnClose:", c.Extensions())
	}
}

// RSV1 from a client is right on the first frame of a message only (RFC 7692 6.1), and only
// where it was agreed on.
func TestRSV1FromTheClient(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		for name, attack := range map[string]func(p *flatePeer) []error{
			"on a ping":  func(p *flatePeer) []error { return []error{p.frame(finBit|rsv1Bit|9, nil)} },
			"on a pong":  func(p *flatePeer) []error { return []error{p.frame(finBit|rsv1Bit|10, nil)} },
			"on a Close": func(p *flatePeer) []error { return []error{p.frame(finBit|rsv1Bit|8, nil)} },
			"on a continuation": func(p *flatePeer) []error {
				return []error{p.frame(rsv1Bit|2, []byte{0}), p.frame(finBit|rsv1Bit, []byte{0})}
			},
			"on a plain message's continuation": func(p *flatePeer) []error {
				return []error{p.frame(2, []byte{0}), p.frame(finBit|rsv1Bit, []byte{0})}
			},
			"with RSV2": func(p *flatePeer) []error { return []error{p.frame(finBit|rsv1Bit|0x20|2, []byte{0})} },
			"with RSV3": func(p *flatePeer) []error { return []error{p.frame(finBit|rsv1Bit|0x10|2, []byte{0})} },
		} {
			t.Run(name, func(t *testing.T) {
				s := m.start(t, echoHandler, Options{Deflate: &deflate.Policy{}})
				p := dialFlate(t, s, justDeflate)
				p.echoes(OpText, lotsOfText)
				for _, err := range attack(p) {
					if err != nil {
						t.Fatal(err)
					}
				}
				p.wantsClose(1002)
			})
		}
	})
}

// Connections of different agreements share loops and compressors: none disturbs another.
func TestAgreementsSideBySide(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		s := m.start(t, echoHandler, Options{Loops: 2, Deflate: &deflate.Policy{}})
		var all []*flatePeer
		for i := range 24 {
			offer := ""
			if i%4 != 0 {
				offer = fmt.Sprintf("permessage-deflate; server_max_window_bits=%d; client_max_window_bits=%d", 8+i%8, 15-i%8)
			}
			if i%3 == 0 && offer != "" {
				offer += "; server_no_context_takeover"
			}
			all = append(all, dialFlate(t, s, offer))
		}
		for round := range 5 {
			for i, p := range all {
				text := []byte(fmt.Sprintf("%s round %d connection %d", lotsOfText[:200], round, i))
				if p.agreed {
					p.echoes(OpText, text)
				} else if err := p.sayPlain(OpText, text); err != nil || p.wants(OpText, text).compressed {
					t.Fatal(err)
				}
			}
		}
	})
}
