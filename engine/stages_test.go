package engine

import (
	"bytes"
	"slices"
	"testing"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// stageLog notes the stages in the order they ran.
type stageLog struct{ ran []string }

// fakeCompressor upper-cases, so that the compress stage shows on the wire.
type fakeCompressor struct{ log *stageLog }

func (f fakeCompressor) Compress(_ Opcode, p []byte) ([]byte, bool) {
	f.log.ran = append(f.log.ran, "compress "+string(p))
	return bytes.ToUpper(p), true
}

// fakeSealer puts brackets around each record.
type fakeSealer struct{ log *stageLog }

func (f fakeSealer) Seal(dst, p []byte) []byte {
	f.log.ran = append(f.log.ran, "seal")
	return append(append(append(dst, '['), p...), ']')
}

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

// stagedConn is an open connection whose stages are fakes.
func stagedConn(t *testing.T, s *stages) (*Conn, *wireSystem) {
	t.Helper()
	_, c := nullConn(t, Funcs{}, nil)
	log := &stageLog{}
	if s.compress != nil {
		s.compress = fakeCompressor{log}
	}
	if s.seal != nil {
		s.seal = fakeSealer{log}
	}
	w := &wireSystem{log: log, room: 1 << 20}
	c.loop.sys = w
	c.stages = s
	return c, w
}

func TestStagesInOrder(t *testing.T) {
	key := [4]byte{1, 2, 3, 4}
	c, w := stagedConn(t, &stages{compress: fakeCompressor{}, seal: fakeSealer{}, mask: func() [4]byte { return key }})
	if err := c.SendText("abc"); err != nil {
		t.Fatal(err)
	}
	if want := []string{"compress abc", "seal", "socket"}; !slices.Equal(w.log.ran, want) {
		t.Errorf("ran %q, not %q", w.log.ran, want)
	}
	// Compressed before it was framed (RSV1), framed before it was masked, masked before it was sealed.
	frame := codec.AppendMaskedFrame(nil, OpText, true, true, key, []byte("ABC"))
	if want := "[" + string(frame) + "]"; string(w.wire) != want {
		t.Errorf("on the wire % x, not % x", w.wire, want)
	}
	if n := c.BufferedAmount(); n != 0 {
		t.Error("bufferedAmount", n)
	}
}

// TestStagesAfterStateAndLimits: what is refused never reaches the compressor, whose
// history must be what is on the wire.
func TestStagesAfterStateAndLimits(t *testing.T) {
	c, w := stagedConn(t, &stages{compress: fakeCompressor{}})
	w.room = 3
	if err := c.SetLimits(Limits{MaxBufferedAmount: 8, Overflow: DropMessage}); err != nil {
		t.Fatal(err)
	}
	if err := c.SendText("first"); err != nil {
		t.Fatal(err)
	}
	if err := c.SendText("dropped"); err != ErrBufferFull {
		t.Fatal(err)
	}
	if err := c.Send(OpText, []byte("as is"), NoCompress); err != ErrBufferFull {
		t.Fatal(err)
	}
	_ = c.Close()
	if err := c.SendText("late"); err != ErrClosed {
		t.Fatal(err)
	}
	if i := slices.Index(w.log.ran, "compress first"); i != 0 || slices.ContainsFunc(w.log.ran[1:], func(s string) bool {
		return s != "socket"
	}) {
		t.Errorf("ran %q", w.log.ran)
	}
}

func TestNoCompressSkipsTheStage(t *testing.T) {
	c, w := stagedConn(t, &stages{compress: fakeCompressor{}})
	if err := c.Send(OpText, []byte("abc"), NoCompress); err != nil {
		t.Fatal(err)
	}
	if want := codec.AppendFrame(nil, OpText, true, false, []byte("abc")); !bytes.Equal(w.wire, want) {
		t.Errorf("% x", w.wire)
	}
}

// TestSealedMessageCountsUntilItsLastByteLeft: bufferedAmount falls when the last sealed
// byte of a message has left, not when it was sealed.
func TestSealedMessageCountsUntilItsLastByteLeft(t *testing.T) {
	c, w := stagedConn(t, &stages{seal: fakeSealer{}})
	w.room = 100
	payload := bytes.Repeat([]byte("x"), 40_000) // three records
	for range 2 {
		if err := c.SendBinary(payload); err != nil {
			t.Fatal(err)
		}
	}
	sealedLen := 2 * (len(payload) + 4)
	for c.BufferedAmount() != 0 {
		left := len(w.wire)
		want := uint64(len(payload)) * 2
		if left >= sealedLen {
			want = 0
		} else if left >= sealedLen/2+6 {
			want /= 2
		}
		if got := c.BufferedAmount(); got > want+uint64(len(payload)) || got < want {
			t.Fatalf("bufferedAmount %d with %d of about %d bytes on the wire", got, left, sealedLen)
		}
		if w.room = 5000; left > 2*sealedLen {
			t.Fatal("more on the wire than was sent")
		}
		c.loop.serveTask(task{conn: c})
		c.onWritable()
	}
	if got := bytes.Count(w.wire, []byte("x")); got != 2*len(payload) {
		t.Errorf("%d bytes of payload left", got)
	}
}
