package engine

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine/internal/netio"
	"github.com/gannet-ws/gannet/pool"
)

// stageLog notes the stages in the order they ran.
type stageLog struct{ ran []string }

// wireSystem keeps what is written, up to room bytes at a time.
type wireSystem struct {
	nullSystem
	log  *stageLog
	wire []byte
	room int
}

func (w *wireSystem) Write(_ int, p []byte) (int, error) {
	n := min(len(p), w.room)
	w.room -= n
	w.log.ran = append(w.log.ran, "socket")
	w.wire = append(w.wire, p[:n]...)
	if n == 0 {
		return 0, netio.ErrAgain
	}
	return n, nil
}

func (w *wireSystem) Writev(fd int, v [][]byte) (int, error) { return w.Write(fd, bytes.Join(v, nil)) }

// stagedConn is an open connection that compresses everything.
func stagedConn(t *testing.T) (*Conn, *wireSystem) {
	t.Helper()
	log := &stageLog{}
	_, c := nullConnWith(t, Funcs{}, Options{Deflate: &deflate.Policy{MinSize: 1}}, nil)
	w := &wireSystem{log: log, room: 1 << 20}
	c.loop.sys, c.loop.outgoing.Sink = w, w
	return c, w
}

// deflated is what a peer that has got nothing before would get for p.
func deflated(t *testing.T, c *Conn, p string) []byte {
	t.Helper()
	out, ok := c.loop.engine.conf.deflate.Compress(nil, []byte(p), 15)
	if !ok || len(out) >= len(p) {
		t.Fatalf("%q does not shrink", p)
	}
	return out
}

func TestStagesInOrder(t *testing.T) {
	key := [4]byte{1, 2, 3, 4}
	c, w := stagedConn(t)
	c.loop.outgoing.Mask = func() [4]byte { return key }
	const text = "abcabcabcabcabcabcabc"
	if err := c.SendText(text); err != nil {
		t.Fatal(err)
	}
	if want := []string{"socket"}; !slices.Equal(w.log.ran, want) {
		t.Errorf("ran %q, not %q", w.log.ran, want)
	}
	// Compressed before it was framed (RSV1), framed before it was masked.
	frame := codec.AppendMaskedFrame(nil, OpText, true, true, key, deflated(t, c, text))
	if want := string(frame); string(w.wire) != want {
		t.Errorf("on the wire % x, not % x", w.wire, want)
	}
	if n := c.BufferedAmount(); n != 0 {
		t.Error("bufferedAmount", n)
	}
}

// TestStagesAfterStateAndLimits: what is refused, or sent as it is, never reaches the
// compressor, whose history must be what the peer's window holds.
func TestStagesAfterStateAndLimits(t *testing.T) {
	c, w := stagedConn(t)
	if err := c.SetLimits(Limits{MaxBufferedAmount: 100, Overflow: DropMessage}); err != nil {
		t.Fatal(err)
	}
	text := func(s string) string { return strings.Repeat(s, 20) }
	if err := c.SendText(text("first")); err != nil {
		t.Fatal(err)
	}
	if err := c.Send(OpText, []byte(text("as is")), NoCompress); err != nil {
		t.Fatal(err)
	}
	w.room = 1
	if err := c.SendText(text("second")); err != nil { // into an empty queue, and stuck there
		t.Fatal(err)
	}
	if err := c.SendText(text("dropped")); err != ErrBufferFull {
		t.Fatal(err)
	}
	w.room = 1 << 20
	c.onWritable()
	if err := c.SendText(text("third")); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if err := c.SendText(text("late")); err != ErrClosed {
		t.Fatal(err)
	}
	want := []string{text("first"), text("as is"), text("second"), text("third"), "\x03\xe8"}
	if got := inflateWire(t, w.wire); !slices.Equal(got, want) {
		t.Errorf("the peer read %q", got)
	}
	if k := c.loop.engine.snapshot().Deflate; k.Conns != 1 || k.MessagesOut != 3 {
		t.Errorf("%+v", k)
	}
}

// inflateWire reads unmasked frames as a peer that keeps its window does.
func inflateWire(t *testing.T, wire []byte) (payloads []string) {
	t.Helper()
	x, err := deflate.New(deflate.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	r := x.Receiver(deflate.Agreement{Receive: deflate.Direction{WindowBits: 15, Takeover: true}}, pool.New())
	defer r.Close()
	var d codec.Decoder
	d.Reset(codec.RoleClient, true)
	for len(wire) > 0 {
		var p codec.Piece
		n, err := d.Next(wire, &p)
		if err != nil || n == 0 {
			t.Fatalf("% x: %d, %v", wire, n, err)
		}
		wire = wire[n:]
		data := p.Payload
		if p.RSV1 {
			data = make([]byte, 1<<16)
			n, _, step, err := r.Inflate(data, p.Payload, true)
			if err != nil || step != deflate.Done {
				t.Fatal(step, err)
			}
			data = data[:n]
		}
		payloads = append(payloads, string(data))
	}
	return payloads
}

func TestNoCompressSkipsTheStage(t *testing.T) {
	c, w := stagedConn(t)
	text := []byte("abcabcabcabcabcabcabc")
	if err := c.Send(OpText, text, NoCompress); err != nil {
		t.Fatal(err)
	}
	if want := codec.AppendFrame(nil, OpText, true, false, text); !bytes.Equal(w.wire, want) {
		t.Errorf("% x", w.wire)
	}
}
