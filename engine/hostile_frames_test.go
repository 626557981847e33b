package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/outgoing"
)

// illegalFrame is a stream of frames of which one is illegal, and the code it is answered with.
type illegalFrame struct {
	name string
	say  []byte
	code int
}

func illegalFrames() (all []illegalFrame) {
	add := func(name string, code int, frames ...[]byte) {
		all = append(all, illegalFrame{name, bytes.Join(frames, nil), code})
	}
	add("unmasked", 1002, []byte{0x82, 1, 'x'})
	add("unmasked and empty", 1002, []byte{0x82, 0})
	add("unmasked ping", 1002, []byte{0x89, 0})
	add("unmasked Close", 1002, []byte{0x88, 2, 3, 232})
	for bit, name := range map[byte]string{0x40: "RSV1 without deflate", 0x20: "RSV2", 0x10: "RSV3", 0x70: "all RSV bits"} {
		for op, what := range map[byte]string{1: "text", 2: "binary", 8: "Close", 9: "ping", 10: "pong"} {
			add(name+" on "+what, 1002, maskedFrame(0x80|bit|op, nil))
		}
		add(name+" on a continuation", 1002, maskedFrame(0x01, nil), maskedFrame(0x80|bit, nil))
	}
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		add(fmt.Sprintf("reserved opcode %d", op), 1002, maskedFrame(0x80|op, nil))
		add(fmt.Sprintf("reserved opcode %d without FIN", op), 1002, maskedFrame(op, []byte("x")))
		add(fmt.Sprintf("reserved opcode %d inside a message", op), 1002, maskedFrame(0x02, nil), maskedFrame(0x80|op, nil))
	}
	for op, what := range map[byte]string{8: "Close", 9: "ping", 10: "pong"} {
		add("fragmented "+what, 1002, maskedFrame(op, nil))
		add(what+" of 126 bytes", 1002, frameHead(0x80|op, 126))
		add(what+" of 64 KiB", 1002, frameHead(0x80|op, 1<<16))
		add(what+" of 2^62 bytes", 1002, longHead(0x80|op, 1<<62))
	}
	add("a continuation with nothing to continue", 1002, maskedFrame(0x80, nil))
	add("a continuation without FIN and nothing to continue", 1002, maskedFrame(0x00, []byte("x")))
	add("a continuation behind a whole message", 1002, maskedFrame(0x82, []byte("x")), maskedFrame(0x80, nil))
	add("a new message inside one", 1002, maskedFrame(0x01, []byte("x")), maskedFrame(0x81, []byte("y")))
	add("the same message begun twice", 1002, maskedFrame(0x02, nil), maskedFrame(0x02, nil))
	return append(all, illegalCloses()...)
}

func illegalCloses() (all []illegalFrame) {
	add := func(name string, code int, body []byte) {
		all = append(all, illegalFrame{name, maskedFrame(0x88, body), code})
	}
	add("Close with a 1-byte body", 1002, []byte{3})
	for _, code := range []uint16{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		add(fmt.Sprintf("Close with code %d", code), 1002, binary.BigEndian.AppendUint16(nil, code))
	}
	for name, reason := range map[string]string{
		"overlong": "\xc0\xaf", "surrogate": "\xed\xa0\x80", "cut": "abc\xe2\x82", "lone continuation": "\x80", "over U+10FFFF": "\xf4\x90\x80\x80",
	} {
		add("Close with a reason that is "+name, 1007, append([]byte{3, 232}, reason...))
	}
	return all
}

// TestIllegalFrames: each is answered with its code, nothing of it is delivered, and the
// innocent goes on.
func TestIllegalFrames(t *testing.T) {
	h, ends := watching(echoHandler)
	s := startServer(t, h, Options{})
	besideInnocent(t, s, func() {
		for i, k := range illegalFrames() {
			t.Run(k.name, func(t *testing.T) {
				path := fmt.Sprintf("/%d", i)
				a := attackAt(t, s, path)
				a.say(t, string(k.say))
				a.expectClose(t, k.code)
			})
		}
	})
	for i, k := range illegalFrames() {
		path := fmt.Sprintf("/%d", i)
		eventually(timeoutOf(10), func() bool { _, c := ends.of(path); return len(c) > 0 })
		if _, c := ends.of(path); len(c) == 0 || c[0].Code != 1006 || c[0].WasClean {
			t.Errorf("%s: OnClose said %+v", k.name, c)
		}
	}
}

// TestIllegalFramesWhereverTheyAreCut: the answer does not depend on how the bytes come,
// and nothing behind the illegal frame is looked at.
func TestIllegalFramesWhereverTheyAreCut(t *testing.T) {
	messages := 0
	r := newTapeRig(t, Funcs{Message: func(*Conn, Message) { messages++ }}, Options{})
	behind := maskedFrame(0x82, []byte("never to be seen"))
	for _, k := range illegalFrames() {
		want := 0
		if k.name == "a continuation behind a whole message" {
			want = 1
		}
		say := append(bytes.Clone(k.say), behind...)
		for cut := 0; cut <= len(say) && cut <= 64; cut++ {
			messages = 0
			r.open()
			r.feed(say[:cut])
			r.feed(say[cut:])
			if got := r.closeCode(); got != k.code || messages != want {
				t.Errorf("%s, cut at %d: Close %d, %d messages", k.name, cut, got, messages)
			}
			r.end()
		}
	}
}

// TestFloodOfFragments: more fragments than MaxFragments end the connection (1008), be
// they empty or of one byte, and hold next to nothing until then.
func TestFloodOfFragments(t *testing.T) {
	const most = 200_000
	s := startServer(t, echoHandler, Options{Limits: Limits{MaxFragments: most}})
	for name, payload := range map[string]string{"empty": "", "one byte": "x"} {
		t.Run(name, func(t *testing.T) {
			besideInnocent(t, s, func() {
				peak := peakMemory(s, func() {
					a := attack(t, s)
					a.say(t, string(maskedFrame(0x01, []byte(payload))))
					flood := bytes.Repeat(maskedFrame(0x00, []byte(payload)), 1000)
					for n := 0; n < most && a.try(flood); n += 1000 {
					}
					a.expectClose(t, 1008)
				})
				if peak > 16<<20 {
					t.Errorf("%d bytes of memory", peak)
				}
			})
		})
	}
}

// TestMillionsOfFragments of no byte, inside the limits, are one empty message, or one
// fragment too many.
func TestMillionsOfFragments(t *testing.T) {
	messages := 0
	r := newTapeRig(t, Funcs{Message: func(_ *Conn, m Message) { messages++ }}, Options{})
	empty := bytes.Repeat(maskedFrame(0x00, nil), 1<<16)
	for more, want := range map[int]int{0: 0, 1: 1008} {
		messages = 0
		r.open()
		r.feed(maskedFrame(0x02, nil))
		for range 15 {
			r.feed(bytes.Clone(empty))
		}
		r.feed(bytes.Clone(empty)[:(1<<16-2+more)*6], maskedFrame(0x80, nil))
		if got := r.closeCode(); got != want || messages != 1-more {
			t.Errorf("2^20+%d fragments: Close %d, %d messages", more, got, messages)
		}
		r.end()
	}
}

// TestFragmentsInterleavedWithControls: pings between fragments are answered, and the
// message is whole.
func TestFragmentsInterleavedWithControls(t *testing.T) {
	var got string
	r := newTapeRig(t, Funcs{Message: func(_ *Conn, m Message) { got = string(m.Data) }}, Options{})
	r.open()
	r.feed(maskedFrame(0x01, []byte("a")))
	for range 1000 {
		r.feed(maskedFrame(0x89, []byte("p")), maskedFrame(0x00, []byte("b")))
	}
	r.feed(maskedFrame(0x80, []byte("c")))
	if got != "a"+strings.Repeat("b", 1000)+"c" {
		t.Errorf("%d bytes", len(got))
	}
	if pongs := bytes.Count(r.sent(), []byte{0x8a, 1, 'p'}); pongs != 1000 {
		t.Error(pongs, "pongs")
	}
	r.end()
}

// TestFloodOfPings faster than MaxControlRate ends the connection (1008).
func TestFloodOfPings(t *testing.T) {
	s := startServer(t, echoHandler, Options{})
	for op, name := range map[byte]string{0x89: "ping", 0x8a: "pong"} {
		t.Run(name, func(t *testing.T) {
			besideInnocent(t, s, func() {
				a := attack(t, s)
				go func() { // six seconds' worth of pings, as fast as they are taken
					flood := bytes.Repeat(maskedFrame(op, bytes.Repeat([]byte("p"), 125)), 1000)
					for k := 0; k < 60 && a.try(flood); k++ {
					}
				}()
				a.expectFailure(t, 1008)
			})
		})
	}
}

// TestFloodOfPingsNobodyReads: of the pongs that the peer does not take only the newest
// waits (RFC 6455 5.5.3), so the flood holds no memory.
func TestFloodOfPingsNobodyReads(t *testing.T) {
	r := newTapeRig(t, Funcs{}, Options{Limits: Limits{MaxControlRate: 60_000}})
	r.open()
	r.sys.room = 0
	for i := range 50_000 {
		r.feed(maskedFrame(0x89, fmt.Appendf(nil, "ping %d", i)))
	}
	if b := r.s.Stats().Buffers; b.OutBytes > outgoing.TailBytes {
		t.Errorf("unanswered pings hold %d bytes", b.OutBytes)
	}
	r.sys.room = -1
	r.settle()
	r.feed(maskedFrame(0x89, []byte("last")))
	if out := string(r.sent()); !strings.HasSuffix(out, "last") || !strings.Contains(out, "ping 0") || len(out) > 100 {
		t.Errorf("%d bytes of pongs: %.100q", len(out), out)
	}
	r.end()
}

// TestFloodOfMessagesNobodyReadsTheAnswersOf: reading stops at HighWater, and the stall
// clock ends the connection.
func TestFloodOfMessagesNobodyReadsTheAnswersOf(t *testing.T) {
	h, ends := watching(echoHandler)
	s := startServer(t, h, Options{Limits: Limits{HighWater: 256 << 10, WriteStallTimeout: aliveWithin() / 2}})
	n := 0
	besideInnocent(t, s, func() {
		n++
		path := fmt.Sprintf("/%d", n)
		peak := peakMemory(s, func() {
			a := attackAt(t, s, path)
			_ = a.SetWriteDeadline(time.Now().Add(timeoutOf(20)))
			flood := bytes.Repeat(maskedFrame(0x82, make([]byte, 1000)), 100)
			for a.try(flood) {
			}
			if e := ends.one(t, path); e.Code != 1006 || !strings.Contains(fmt.Sprint(e.Err), "1013") {
				t.Errorf("%+v", e)
			}
		})
		if peak > 8<<20 {
			t.Errorf("%d bytes of memory", peak)
		}
	})
	if s.Stats().Pauses == 0 || s.Stats().Causes["write-stall"] == 0 {
		t.Errorf("%+v", s.Stats())
	}
}

// TestAnswersLargerThanQuestions: a handler that sends much for little is asked no more once HighWater is passed,
// however many questions were read at once; a peer that does not read then is closed by the stall clock (1013), and
// MaxBufferedAmount, which is above HighWater by many answers, is never reached.
func TestAnswersLargerThanQuestions(t *testing.T) {
	big := make([]byte, 64<<10)
	h, ends := watching(Funcs{Message: func(c *Conn, m Message) { _ = c.SendBinary(big) }})
	s := startServer(t, h, Options{Limits: Limits{MaxBufferedAmount: 2 << 20, HighWater: 1 << 20, WriteStallTimeout: aliveWithin() / 2}})
	a := attackAt(t, s, "/big")
	peak := peakMemory(s, func() {
		flood := bytes.Repeat(maskedFrame(0x82, []byte("x")), 50_000)
		a.try(flood)
		if e := ends.one(t, "/big"); e.Code != 1006 || closeCodeOf(e.Err) != 1013 {
			t.Errorf("%+v", e)
		}
	})
	if peak > 32<<20 {
		t.Errorf("%d bytes of memory", peak)
	}
	if n := s.Stats().Causes["write-stall"]; n != 1 {
		t.Errorf("%+v", s.Stats().Causes)
	}
}

// TestCloseIgnored: a peer that does not answer our Close, and goes on sending, is cut
// off at CloseTimeout and hears nothing more.
func TestCloseIgnored(t *testing.T) {
	t.Parallel()
	h, ends := watching(Funcs{
		Open:    func(c *Conn) { _ = c.CloseWith(4000, "go") },
		Message: func(c *Conn, _ Message) { t.Error("a message was delivered after Close") },
	})
	s := startServer(t, h, Options{Limits: Limits{CloseTimeout: 200 * time.Millisecond, WriteStallTimeout: time.Second}})
	for name, more := range map[string][]byte{
		"silent": nil, "messages": maskedFrame(0x82, make([]byte, 500)), "pings": maskedFrame(0x89, nil), "half a frame": frameHead(0x82, 1<<30),
	} {
		path := "/" + strings.ReplaceAll(name, " ", "-")
		a := attackAt(t, s, path)
		if f, err := a.hear(); err != nil || f.op != 8 {
			t.Fatal(f, err)
		}
		began := time.Now()
		for len(more) > 0 && time.Since(began) < time.Second && a.try(more) {
			if name == "half a frame" {
				more = make([]byte, 4096)
			}
			time.Sleep(time.Millisecond) // the attacker's pace
		}
		if f, err := a.hear(); err == nil {
			t.Errorf("%s: after our Close came %+v", name, f)
		}
		if e := ends.one(t, path); e.Code != 1006 || e.WasClean {
			t.Errorf("%s: %+v", name, e)
		}
	}
	within(t, timeoutOf(5), "no buffer is out", func() bool { return s.Stats().Buffers.Out == 0 })
}

// TestDataAfterClose: nothing behind a Close is processed, wherever it is cut.
func TestDataAfterClose(t *testing.T) {
	calls := ""
	r := newTapeRig(t, Funcs{
		Message: func(_ *Conn, m Message) { calls += "m" },
		Ping:    func(*Conn, []byte) { calls += "p" },
		Close:   func(_ *Conn, e CloseEvent) { calls += fmt.Sprint(e.Code, e.WasClean) },
		Error:   func(*Conn, error) { calls += "e" },
	}, Options{})
	for name, behind := range map[string][]byte{
		"message": maskedFrame(0x82, []byte("x")), "ping": maskedFrame(0x89, []byte("x")), "Close": maskedFrame(0x88, []byte{3, 233}),
		"garbage": []byte("\xff\xff\xff\xff\xff\xff"), "unmasked": {0x82, 0}, "much": make([]byte, 1<<20),
	} {
		say := bytes.Join([][]byte{maskedFrame(0x82, []byte("x")), maskedFrame(0x88, []byte{3, 232}), behind}, nil)
		for cut := range min(len(say), 40) {
			calls = ""
			r.open()
			r.feed(bytes.Clone(say[:cut]), bytes.Clone(say[cut:]))
			if code := r.closeCode(); code != 1000 {
				t.Errorf("%s: Close %d", name, code)
			}
			r.end()
			if calls != "m1000 true" {
				t.Errorf("%s, cut at %d: %q", name, cut, calls)
			}
		}
	}
}

// expectFailure waits until the server has sent a Close frame of that code, or has reset a
// stream in which it was lost: bytes that nobody read make a kernel do so.
func (a *attacker) expectFailure(t testing.TB, code int) {
	t.Helper()
	for {
		f, err := a.hear()
		if err != nil || f.op == 8 && len(f.payload) >= 2 && int(binary.BigEndian.Uint16(f.payload)) == code {
			if err != nil && !isReset(err) {
				t.Fatalf("wanted Close %d, got %v", code, err)
			}
			return
		}
		if f.op == 8 {
			t.Fatalf("Close %q, want %d", f.payload, code)
		}
	}
}
