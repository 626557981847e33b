//go:build gannetdebug

package engine

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/gannet-ws/gannet/pool"
)

// In this build what was lent is written over when the callback returns.

// isSpoilt tells whether nothing is left of what was lent.
func isSpoilt(b []byte) bool { return bytes.Count(b, []byte{spoilByte}) == len(b) }

// afterwards runs f when the callback at hand has returned, and before anything else is read.
func afterwards(t *testing.T, c *Conn, f func()) {
	if err := c.Post(func(*Conn) { f() }); err != nil {
		t.Error(err)
	}
}

// lentTexts are messages that lie in different places while they are lent: in the loop's slab or a worker's page, in a
// buffer that they were assembled in, in the room for what is inflated.
var lentTexts = []string{"short", strings.Repeat("a page's neighbour ", 20), strings.Repeat("longer ", 20_000)}

// A handler that keeps Data finds nothing in it. What Retain, Clone and JSON gave stays as it was, and so do the messages
// behind it and what was sent of it.
func TestKeptMessageIsSpoilt(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		for _, deflates := range []bool{false, true} {
			t.Run(fmt.Sprint(deflates), func(t *testing.T) {
				type kept struct {
					data   []byte
					clone  Message
					buffer *pool.Buffer
				}
				checked := make(chan string, 100)
				h := Funcs{Message: func(c *Conn, m Message) {
					want := string(m.Data)
					k := kept{m.Data, m.Clone(), m.Retain()}
					other := m.Retain()
					_ = c.SendOwned(m.Op, other)
					_ = c.Send(m.Op, m.Data)
					afterwards(t, c, func() {
						defer k.buffer.Release()
						switch {
						case m.held != nil: // Data is what Retain kept
						case !isSpoilt(k.data):
							checked <- fmt.Sprintf("Data is %.20q yet", k.data)
							return
						}
						if string(k.clone.Data) != want || string(k.buffer.B) != want {
							checked <- fmt.Sprintf("the clone is %.20q, what was retained %.20q, both of %.20q", k.clone.Data, k.buffer.B, want)
							return
						}
						checked <- ""
					})
				}}
				offer := ""
				if deflates {
					offer = justDeflate
				}
				p := dialFlate(t, m.start(t, h, deflating(Options{})), offer)
				for _, text := range lentTexts {
					for _, at := range [][]int{nil, {3}} {
						parts := cutAt([]byte(text), at...)
						say := p.sayParts
						if !deflates {
							say = p.sayPlainParts
						}
						if err := say(OpText, parts...); err != nil {
							t.Fatal(err)
						}
						if why := receive(t, checked, "the check"); why != "" {
							t.Errorf("%d bytes in %d parts: %s", len(text), len(parts), why)
						}
						p.wants(OpText, []byte(text))
						p.wants(OpText, []byte(text))
					}
				}
			})
		}
	})
}

// sayPlainParts sends one message in frames, as it is.
func (p *flatePeer) sayPlainParts(op Opcode, parts ...[]byte) error {
	for i, part := range parts {
		first := byte(0)
		if i == 0 {
			first = byte(op)
		}
		if i == len(parts)-1 {
			first |= finBit
		}
		if err := p.frame(first, part); err != nil {
			return err
		}
	}
	return nil
}

// Whoever keeps nothing of a message that was assembled leaves its buffer to the engine: it is spoilt as well.
func TestKeptAssembledMessageIsSpoilt(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		checked := make(chan bool, 1)
		s := m.start(t, Funcs{Message: func(c *Conn, m Message) {
			kept := m.Data
			afterwards(t, c, func() { checked <- isSpoilt(kept) })
		}}, Options{})
		f := dialForeign(t, s, 0)
		for _, text := range lentTexts {
			f.send(ws.OpText, false, text[:3])
			f.send(ws.OpContinuation, true, text[3:])
			if !receive(t, checked, "the check") {
				t.Errorf("a message of %d bytes is not spoilt", len(text))
			}
		}
	})
}

// One write with many frames: what is written over is the message that was delivered, and nothing of those behind it.
func TestSpoiltMessageHasNeighbours(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		s := m.start(t, echoHandler, Options{})
		f := dialForeign(t, s, 0)
		var all []byte
		for i := range 300 {
			all = append(all, saidFrame(ws.OpText, true, fmt.Appendf(nil, "message %d", i))...)
			all = append(all, saidFrame(ws.OpPing, true, fmt.Appendf(nil, "%d", i))...)
			all = append(all, saidFrame(ws.OpText, false, []byte("in "))...)
			all = append(all, saidFrame(ws.OpContinuation, true, []byte("parts"))...)
		}
		f.write(all)
		for i := 0; i < 600; {
			switch fr := f.next(); {
			case fr.Header.OpCode == ws.OpPong:
			case i%2 == 0 && string(fr.Payload) == fmt.Sprintf("message %d", i/2), i%2 == 1 && string(fr.Payload) == "in parts":
				i++
			default:
				t.Fatalf("%d: %q", i, fr.Payload)
			}
		}
	})
}

func TestKeptChunkIsSpoilt(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		checked := make(chan string, 100)
		s := m.start(t, Funcs{Chunk: func(c *Conn, k Chunk) {
			_ = c.Send(OpBinary, k.Data)
			afterwards(t, c, func() {
				if !isSpoilt(k.Data) {
					checked <- fmt.Sprintf("%.20q", k.Data)
					return
				}
				checked <- ""
			})
		}}, Options{})
		f := dialForeign(t, s, 0)
		for _, part := range []string{"a chunk", strings.Repeat("of a message ", 100)} {
			f.send(ws.OpText, true, part)
			if why := receive(t, checked, "the check"); why != "" {
				t.Error("a chunk is there yet:", why)
			}
			f.wants(ws.OpBinary, part)
		}
	})
}

func TestKeptControlPayloadIsSpoilt(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		checked := make(chan bool, 1)
		keep := func(c *Conn, payload []byte) {
			afterwards(t, c, func() { checked <- isSpoilt(payload) })
		}
		s := m.start(t, Funcs{Ping: keep, Pong: keep}, Options{})
		f := dialForeign(t, s, 0)
		for _, op := range []ws.OpCode{ws.OpPing, ws.OpPong} {
			f.write(saidFrame(op, true, []byte("payload"))) // at once, so that it lies in the slab
			if !receive(t, checked, "the check") {
				t.Errorf("what %v brought is there yet", op)
			}
			if op == ws.OpPing {
				f.wants(ws.OpPong, "payload") // whose answer is not spoilt
			}
		}
	})
}

// A message that no engine made is spoilt by nobody.
func TestMessageOfATestIsNotSpoilt(t *testing.T) {
	m := Message{Op: OpText, Data: []byte("made by a test")}
	echo := Funcs{Message: func(*Conn, Message) {}}
	echo.OnMessage(nil, m)
	if string(m.Data) != "made by a test" {
		t.Errorf("%q", m.Data)
	}
}
