package engine

import (
	"bytes"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// fuzzHandler does what the first byte of a message asks for, so that the fuzzer reaches
// what handlers do inside callbacks.
func fuzzHandler(closes *int, pauses *bool) Funcs {
	act := func(c *Conn, p []byte) {
		if len(p) == 0 {
			return
		}
		switch p[0] {
		case 'C':
			_ = c.Close()
		case 'N':
			_ = c.CloseNoStatus()
		case 'T':
			c.Terminate()
		case 'P':
			panic("the handler of the fuzz test")
		case 'W':
			w := c.NewWriter(OpBinary)
			_, _ = w.Write(p)
			_ = c.SendBinary(p)
			_ = w.Close()
		case 'w':
			_, _ = c.NewWriter(OpBinary).Write(p)
		case 'H':
			_ = c.SendBinary(make([]byte, 20_000))
		case 'Z':
			if *pauses {
				c.Pause()
			}
		case 'L':
			_ = c.SetLimits(Limits{MaxMessageSize: 64, MaxFragments: 3})
		case 'O':
			_ = c.Post(func(c *Conn) { _ = c.SendText("posted") })
		case 'R':
			_ = c.Ping(p[:min(len(p), 125)])
		}
	}
	return Funcs{
		Message: func(c *Conn, m Message) {
			act(c, m.Data)
			_ = c.SendBinary(m.Data)
		},
		Ping: act, Pong: act,
		Drain:     func(c *Conn) { c.Resume() },
		HighWater: func(c *Conn) {},
		Error:     func(c *Conn, _ error) { _ = c.SendText("too late") },
		Close: func(c *Conn, _ CloseEvent) {
			*closes++
			c.Terminate()
			_ = c.Close()
		},
	}
}

// FuzzConnection: whatever comes after the opening handshake, however it is cut, however
// slowly the peer reads and however it goes: no panic, OnClose exactly once, every buffer
// back. cuts says how the bytes come and leave: see tapeRig.play.
func FuzzConnection(f *testing.F) {
	for _, k := range lengthAttacks() {
		f.Add(k.say[:min(len(k.say), 100)], []byte{3, 200, 1}, uint8(0))
	}
	for i, k := range illegalFrames() {
		if len(k.say) < 100 && i%5 == 0 {
			f.Add(k.say, []byte{1, 130, 7}, uint8(i))
		}
	}
	for _, word := range []string{"Close", "N", "Terminate", "Panic", "Writer", "write", "High", "Zzz", "Limits", "O", "R"} {
		say := append(maskedFrame(0x82, []byte(word)), maskedFrame(0x01, []byte(word))...)
		say = append(append(say, maskedFrame(0x89, []byte(word))...), maskedFrame(0x80, []byte("end"))...)
		f.Add(append(say, maskedFrame(0x88, []byte{3, 232})...), []byte{0, 5, 140, 90, 250}, uint8(len(word)))
	}
	closes, pauses := 0, true
	var r *tapeRig
	f.Fuzz(func(t *testing.T, data, cuts []byte, how uint8) {
		if r == nil {
			r = newTapeRig(t, fuzzHandler(&closes, &pauses), Options{
				Limits:        Limits{MaxMessageSize: 1 << 20, HighWater: 4096, MaxBufferedAmount: 64 << 10},
				InboundBudget: 1 << 20, Logger: quietLogger,
			})
		}
		defer func() {
			if t.Failed() {
				r = nil // what is left of this one must not fail the next
			}
		}()
		r.t, closes, pauses = t, 0, true
		c := r.open()
		r.play(data, cuts)
		switch how % 4 {
		case 0:
			r.sys.ended = io.EOF
		case 1:
			r.sys.ended, r.sys.refused = syscall.ECONNRESET, syscall.EPIPE
		case 2:
			r.sys.refused = syscall.EPIPE
		case 3: // silence: the clocks end it
			r.pass(time.Minute)
		}
		r.settle()
		pauses = false // a connection that nobody resumes is not given up
		c.Resume()
		r.end()
		if closes != 1 || c.ReadyState() != Closed {
			t.Fatalf("OnClose %d times, state %v", closes, c.ReadyState())
		}
	})
}

// play feeds data, cut as cuts says: a byte below 128 is the length of the next read; from
// 128 on the socket's room becomes that many times 16 bytes more, and at 255 there is no end
// to it. What cuts leaves over comes as one read.
func (r *tapeRig) play(data, cuts []byte) {
	for _, k := range cuts {
		switch {
		case len(data) == 0 || r.conn() == nil:
			return
		case k == 255:
			r.sys.room = -1
		case k >= 128:
			r.sys.room = max(r.sys.room, 0) + int(k-128)*16
		default:
			n := min(int(k), len(data))
			r.feed(bytes.Clone(data[:n]))
			data = data[n:]
		}
		if k == 127 {
			r.l.OnEvent(tapeFD, netio.Readable|netio.Writable) // a spurious report
		}
		r.settle()
	}
	r.feed(bytes.Clone(data))
}
