package dom

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

// What a Read had of a message when its context ended is the message's: a net.Conn of the stream reads it first, and no later
// message has it.
func TestNetConnAfterReadThatEnded(t *testing.T) {
	onRoads(t, func(t *testing.T, a, b *Stream) {
		half := strings.Repeat("a", 2*writerBytes)
		w, err := b.NextWriter(soon(t), engine.OpBinary)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, half); err != nil {
			t.Fatal(err)
		}
		within(t, "half of it came", func() bool { return a.in.held.Load() > int64(len(half)) })
		if _, _, err := a.Read(shortly(t)); err == nil {
			t.Fatal("the message has no end yet")
		}
		if _, err := io.WriteString(w, "z"); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		mustWrite(t, b, engine.OpText, "next")
		p := make([]byte, len(half)+len("znext"))
		n := a.NetConn(engine.OpBinary)
		_ = n.SetDeadline(time.Now().Add(patience()))
		if n, err := io.ReadFull(n, p); err != nil || string(p) != half+"znext" {
			t.Errorf("%d bytes, %v", n, err)
		}
		mustWrite(t, b, engine.OpText, "last")
		wantRead(t, a, engine.OpText, "last")
	})
}

// A text that is not UTF-8 at its beginning is given up, whether it is as long as what a writer collects or longer: the stream goes on.
func TestStreamWriterOfNoText(t *testing.T) {
	onRoads(t, func(t *testing.T, a, b *Stream) {
		for _, n := range []int{0, writerBytes} {
			w, err := a.NextWriter(soon(t), engine.OpText)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(w, "\xff")
			_, err = io.WriteString(w, strings.Repeat("a", n))
			if closed := w.Close(); err == nil {
				err = closed
			}
			if !errors.Is(err, engine.ErrInvalidUTF8) {
				t.Error(n, err)
			}
			if err := a.Write(soon(t), engine.OpText, []byte("goes on")); err != nil {
				t.Fatal(n, err)
			}
			wantRead(t, b, engine.OpText, "goes on")
		}
	})
}

// A read and a write of nothing wait for nobody, and tell of a connection that was closed, as those of other connections do.
func TestNetConnOfNothing(t *testing.T) {
	onRoads(t, func(t *testing.T, a, b *Stream) {
		w, err := b.NextWriter(soon(t), engine.OpBinary)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(make([]byte, 2*writerBytes)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := a.NextReader(soon(t)); err != nil { // and its message has no end yet
			t.Fatal(err)
		}
		n := a.NetConn(engine.OpBinary)
		_ = n.SetDeadline(time.Now().Add(patience()))
		for _, call := range []func([]byte) (int, error){n.Read, n.Write} {
			if _, err := call(nil); err != nil {
				t.Error(err)
			}
		}
		_ = n.Close()
		for _, call := range []func([]byte) (int, error){n.Read, n.Write} {
			if _, err := call(nil); !errors.Is(err, net.ErrClosed) {
				t.Error("after Close:", err)
			}
		}
	})
}
