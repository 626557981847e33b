package dom

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/gannet-ws/gannet/engine"
)

// How the peer closes, and what Read says of it.
func TestStreamPeerCloses(t *testing.T) {
	for _, k := range []struct {
		code int
		eof  bool
	}{{1000, true}, {1001, true}, {1005, true}, {1003, false}, {1008, false}, {1011, false}, {3000, false}, {4999, false}} {
		t.Run(fmt.Sprint(k.code), func(t *testing.T) {
			for _, r := range roads() {
				a, b := r.pair(t)
				mustWrite(t, b, engine.OpText, "said before")
				var err error
				if k.code == 1005 {
					err = b.Conn().CloseNoStatus()
				} else {
					err = b.CloseWith(k.code, "why")
				}
				if err != nil {
					t.Fatal(err)
				}
				wantRead(t, a, engine.OpText, "said before")
				_, _, err = a.Read(soon(t))
				var over *StreamClosed
				if !errors.As(err, &over) || over.Code != k.code || k.code != 1005 && over.Reason != "why" {
					t.Errorf("%s: %v", r.name, err)
				}
				if errors.Is(err, io.EOF) != k.eof || !errors.Is(err, net.ErrClosed) || !errors.Is(err, engine.ErrClosed) || errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%s: %v", r.name, err)
				}
				if err := a.Write(soon(t), engine.OpText, nil); !errors.As(err, &over) {
					t.Error(err)
				}
				if e, err := a.Wait(soon(t)); e.Code != k.code || err != nil {
					t.Error(e, err)
				}
			}
		})
	}
}

// CloseWrite ends our side: what the peer still says is read, up to its Close.
func TestStreamCloseWrite(t *testing.T) {
	onRoads(t, func(t *testing.T, a, b *Stream) {
		const messages, size = 300, 10_000
		go func() { // an echo
			for {
				op, p, err := b.Read(soon(t))
				if err != nil {
					return
				}
				if b.Write(soon(t), op, p) != nil {
					return
				}
			}
		}()
		go func() {
			for i := range messages {
				mustWrite(t, a, engine.OpText, fmt.Sprint(i, strings.Repeat(".", size)))
			}
			if err := a.Conn().Drain(soon(t)); err != nil {
				t.Error(err)
			}
			if err := a.CloseWrite(); err != nil {
				t.Error(err)
			}
			if err := a.Write(soon(t), engine.OpText, nil); !errors.Is(err, engine.ErrClosed) {
				t.Error(err)
			}
		}()
		n := 0
		for ; ; n++ {
			_, p, err := a.Read(soon(t))
			if errors.Is(err, io.EOF) {
				break
			}
			if want := fmt.Sprint(n, strings.Repeat(".", size)); err != nil || string(p) != want {
				t.Fatalf("%d: %.20q %v", n, p, err)
			}
		}
		// The peer's echo answers our Close as soon as it sees it: what it had not sent by then it cannot send.
		if n == 0 {
			t.Error("nothing was read")
		}
		if e, err := a.Wait(soon(t)); e.Code != 1000 || !e.WasClean || err != nil {
			t.Error(e, err)
		}
	})
}

// A Close that was refused is none: what the peer ends then ended by the peer, and our own Close ended by us, whoever was first.
func TestStreamCloseRefused(t *testing.T) {
	onRoads(t, func(t *testing.T, a, b *Stream) {
		if err := a.CloseWith(999, ""); !errors.Is(err, engine.ErrInvalidAccess) {
			t.Error(err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := a.Read(soon(t)); !errors.Is(err, io.EOF) {
			t.Error("the peer closed:", err)
		}
		if _, _, err := b.Read(soon(t)); !errors.Is(err, engine.ErrClosed) || errors.Is(err, io.EOF) {
			t.Error("we closed:", err)
		}
	})
}

// After Close nothing is read and nothing is written, and who waits is told.
func TestStreamClose(t *testing.T) {
	onRoads(t, func(t *testing.T, a, b *Stream) {
		mustWrite(t, b, engine.OpText, "unread")
		within(t, "it is there", func() bool { return a.in.held.Load() > 0 })
		if err := a.CloseWith(999, ""); !errors.Is(err, engine.ErrInvalidAccess) {
			t.Error(err)
		}
		wantRead(t, a, engine.OpText, "unread") // an error changes nothing
		mustWrite(t, b, engine.OpText, "unread")
		read, written := make(chan error, 2), make(chan error, 1)
		for range 2 {
			go func() {
				for {
					if _, _, err := b.Read(context.Background()); err != nil {
						read <- err
						return
					}
				}
			}()
		}
		go func() {
			for {
				if err := b.Write(context.Background(), engine.OpBinary, make([]byte, 100_000)); err != nil {
					written <- err
					return
				}
			}
		}()
		within(t, "the writer waits", func() bool { return b.blocked.Load() != nil })
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := receive(t, read, "the reader's error"); !errors.Is(err, engine.ErrClosed) {
				t.Error(err)
			}
		}
		if err := receive(t, written, "the writer's error"); !errors.Is(err, engine.ErrClosed) {
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		if _, err := a.Wait(soon(t)); err != nil {
			t.Error(err)
		}
		for _, s := range []*Stream{a, b} {
			if _, err := s.Wait(soon(t)); err != nil {
				t.Error(err)
			}
			within(t, "what was not read is given back", func() bool { return s.in.held.Load() == 0 })
			if _, _, err := s.Read(soon(t)); err != engine.ErrClosed {
				t.Error(err)
			}
		}
	})
}

// A program that only writes: what comes is dropped, and the peer's Close is seen.
func TestStreamCloseRead(t *testing.T) {
	onRoads(t, func(t *testing.T, a, b *Stream) {
		mustWrite(t, b, engine.OpText, "dropped")
		a.CloseRead()
		for range 200 {
			mustWrite(t, b, engine.OpBinary, strings.Repeat("x", 10_000))
		}
		mustWrite(t, a, engine.OpText, "still writes")
		wantRead(t, b, engine.OpText, "still writes")
		if _, _, err := a.Read(soon(t)); !errors.Is(err, engine.ErrClosed) {
			t.Error(err)
		}
		_ = b.Close()
		if e, err := a.Wait(soon(t)); e.Code != 1000 || err != nil {
			t.Error(e, err)
		}
		within(t, "nothing is held", func() bool { return a.in.held.Load() == 0 })
	})
}

func TestStreamWait(t *testing.T) {
	a, b := roads()[0].pair(t)
	if _, err := a.Wait(shortly(t)); err != context.DeadlineExceeded {
		t.Error(err)
	}
	b.Conn().Terminate()
	if e, err := a.Wait(soon(t)); e.Code != 1006 || e.WasClean || !errors.Is(err, engine.ErrAbnormal) {
		t.Error(e, err)
	}
	if _, _, err := a.Read(soon(t)); !errors.Is(err, engine.ErrAbnormal) || errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

func TestStreamReadLimit(t *testing.T) {
	onRoads(t, func(t *testing.T, a, b *Stream) {
		for _, n := range []int64{0, -1, 1 << 31} {
			if err := a.SetReadLimit(n); !errors.Is(err, engine.ErrSyntax) {
				t.Error(n, err)
			}
		}
		if err := a.SetReadLimit(1000); err != nil {
			t.Fatal(err)
		}
		mustWrite(t, b, engine.OpBinary, strings.Repeat("x", 1000))
		wantRead(t, a, engine.OpBinary, strings.Repeat("x", 1000))
		mustWrite(t, b, engine.OpBinary, strings.Repeat("x", 1001))
		if _, _, err := a.Read(soon(t)); !errors.Is(err, engine.ErrTooLarge) {
			t.Error(err)
		}
		if _, _, err := b.Read(soon(t)); err.(*StreamClosed).Code != 1009 {
			t.Error(err)
		}
	})
}

func TestStreamJSON(t *testing.T) {
	type point struct{ X, Y int }
	onRoads(t, func(t *testing.T, a, b *Stream) {
		if err := a.WriteJSON(soon(t), point{1, 2}); err != nil {
			t.Fatal(err)
		}
		wantRead(t, b, engine.OpText, `{"X":1,"Y":2}`)
		if err := a.WriteJSON(soon(t), "<&>"); err != nil {
			t.Fatal(err)
		}
		wantRead(t, b, engine.OpText, `"<&>"`)
		var p point
		for _, text := range []string{`{"X":3`, `"no point"`, `{"X":3} and more`} {
			mustWrite(t, a, engine.OpText, text)
			if err := b.ReadJSON(soon(t), &p); err == nil || errors.Is(err, engine.ErrClosed) {
				t.Errorf("%s: %v", text, err)
			}
		}
		mustWrite(t, a, engine.OpBinary, `{"X":4,"Y":5}`)
		if err := b.ReadJSON(soon(t), &p); err != nil || p != (point{4, 5}) {
			t.Error(p, err)
		}
		if err := a.WriteJSON(soon(t), func() {}); err == nil {
			t.Error("a func is no JSON")
		}
		for _, n := range []int64{0, -1, 1 << 31} {
			if err := a.SetJSONLimit(n); !errors.Is(err, engine.ErrSyntax) {
				t.Error(n, err)
			}
		}
		if err := errors.Join(a.SetJSONLimit(10), b.SetJSONLimit(10)); err != nil {
			t.Fatal(err)
		}
		if err := a.WriteJSON(soon(t), "123456789"); !errors.Is(err, engine.ErrMessageTooBig) {
			t.Error("11 bytes:", err)
		}
		if err := a.WriteJSON(soon(t), "12345678"); err != nil {
			t.Error("10 bytes:", err)
		}
		var text string
		if err := b.ReadJSON(soon(t), &text); err != nil || text != "12345678" {
			t.Error(text, err)
		}
		mustWrite(t, a, engine.OpText, `"123456789"`)
		mustWrite(t, a, engine.OpText, `"next"`)
		if err := b.ReadJSON(soon(t), &text); !errors.Is(err, engine.ErrTooLarge) {
			t.Error(err)
		}
		if err := b.ReadJSON(soon(t), &text); err != nil || text != "next" {
			t.Error("the stream goes on:", text, err)
		}
	})
}

// What is no message is refused before anything of it leaves.
func TestStreamNoMessage(t *testing.T) {
	onRoads(t, func(t *testing.T, a, b *Stream) {
		long := strings.Repeat("x", 3<<20) + "\xff"
		for _, text := range []string{"\xff", long} {
			var at *engine.UTF8Error
			if err := a.Write(soon(t), engine.OpText, []byte(text)); !errors.As(err, &at) || at.Offset != len(text)-1 {
				t.Error(err)
			}
		}
		for _, op := range []engine.Opcode{engine.OpPing, engine.OpClose, 0, 3} {
			if err := a.Write(soon(t), op, []byte(long)); !errors.Is(err, engine.ErrSyntax) {
				t.Error(op, err)
			}
			if _, err := a.NextWriter(soon(t), op); !errors.Is(err, engine.ErrSyntax) {
				t.Error(op, err)
			}
		}
		w, err := a.NextWriter(soon(t), engine.OpText)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte("\xff"))
		if err := w.Close(); !errors.Is(err, engine.ErrInvalidUTF8) {
			t.Error(err)
		}
		mustWrite(t, a, engine.OpText, "goes on")
		wantRead(t, b, engine.OpText, "goes on")
	})
}

// A writer whose context ends before anything has left gives its message up, and the next one has its turn.
func TestStreamWriterGivesUp(t *testing.T) {
	a, b := roads()[2].pair(t)
	for _, n := range []int{100_000, 1000, 0} { // until there is no room for the least
		for a.Write(shortly(t), engine.OpBinary, make([]byte, n)) == nil {
		}
	}
	for _, n := range []int{10, 2 * writerBytes} {
		ctx := shortly(t)
		w, err := a.NextWriter(ctx, engine.OpText)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Write(make([]byte, n))
		if closed := w.Close(); err == nil {
			err = closed
		}
		if err != context.DeadlineExceeded {
			t.Error(n, err)
		}
	}
	w, err := a.NextWriter(soon(t), engine.OpText)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Write(shortly(t), engine.OpText, nil); err != context.DeadlineExceeded {
		t.Error("another writer waits its turn:", err)
	}
	go func() {
		_, _ = io.WriteString(w, "end")
		_ = w.Close()
	}()
	for {
		op, p, err := b.Read(soon(t))
		if err != nil {
			t.Fatal(err)
		}
		if op == engine.OpText {
			if string(p) != "end" {
				t.Errorf("%.30q", p)
			}
			return
		}
	}
}
