//go:build !race

package engine

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/pool"
)

// residentBytes is the process's RSS: the largest messages live outside the Go heap.
func residentBytes(t testing.TB) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// peakResident runs f and returns how far RSS rose above what it was before.
func peakResident(t *testing.T, f func()) int64 {
	t.Helper()
	pool.Trim()
	debug.FreeOSMemory()
	before, end, peak := residentBytes(t), make(chan struct{}), make(chan int64)
	go func() {
		var most int64
		look := time.NewTicker(2 * time.Millisecond)
		defer look.Stop()
		for {
			most = max(most, residentBytes(t)-before)
			select {
			case <-end:
				peak <- most
				return
			case <-look.C:
			}
		}
	}()
	f()
	close(end)
	return <-peak
}

func bigHeader(n uint64) []byte {
	h := binary.BigEndian.AppendUint64([]byte{0x82, 0x80 | 127}, n)
	return append(h, testKey[:]...)
}

// writeBig sends a binary message of n zero bytes: what leaves is the key, over and over.
func writeBig(c net.Conn, n int64) error {
	if _, err := c.Write(bigHeader(uint64(n))); err != nil {
		return err
	}
	chunk := make([]byte, 1<<20)
	for i := range chunk {
		chunk[i] = testKey[i&3]
	}
	for n > 0 {
		k := min(n, int64(len(chunk)))
		if _, err := c.Write(chunk[:k]); err != nil {
			return err
		}
		n -= k
	}
	return nil
}

// readBig reads a binary message of n zero bytes.
func readBig(t *testing.T, c net.Conn, n int64) {
	t.Helper()
	r := bufio.NewReaderSize(c, 1<<20)
	var h [10]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		t.Fatal(err)
	}
	if h[0] != 0x82 || h[1] != 127 || int64(binary.BigEndian.Uint64(h[2:])) != n {
		t.Fatalf("header % x", h)
	}
	for n > 0 {
		b, err := r.Peek(int(min(n, 1<<20)))
		if err != nil {
			t.Fatal(n, "bytes short:", err)
		}
		for len(b) >= 8 {
			if binary.LittleEndian.Uint64(b) != 0 {
				t.Fatal("not the bytes that were sent")
			}
			b = b[8:]
		}
		k, _ := r.Discard(min(r.Buffered(), int(min(n, 1<<20))))
		n -= int64(k)
	}
}

func dialBig(t *testing.T, s *Server) net.Conn {
	c := dial(t, s)
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
	return c
}

// within15 is 1.5 times the longest message: what receiving it may cost.
const within15 = MaxMessage / 2 * 3

// needsAddresses: a 32-bit process has 3 or 4 GiB of addresses, too few for the longest message and its growth.
func needsAddresses(t *testing.T) {
	if strconv.IntSize == 32 {
		t.Skip("a 32-bit process has no room for a message of 2 GiB")
	}
}

func TestLongestMessageIn(t *testing.T) {
	needsAddresses(t)
	got := make(chan int, 1)
	s := startServer(t, Funcs{Message: func(c *Conn, m Message) {
		if len(m.Data) > 1<<20 {
			got <- len(m.Data)
			return
		}
		_ = c.Send(m.Op, m.Data)
	}}, Options{Loops: 1, InboundBudget: 4 << 30})
	c := dialBig(t, s)
	besideInnocent(t, s, func() {
		peak := peakResident(t, func() {
			if err := writeBig(c, MaxMessage); err != nil {
				t.Fatal(err)
			}
			if n := <-got; n != MaxMessage {
				t.Errorf("%d bytes arrived", n)
			}
		})
		t.Logf("RSS rose by %.3f of the message", float64(peak)/MaxMessage)
		if peak > within15 {
			t.Errorf("RSS rose by %d bytes, at most %d are allowed", peak, int64(within15))
		}
	})
}

func TestLongestMessageEchoed(t *testing.T) {
	needsAddresses(t)
	s := startServer(t, Funcs{Message: func(c *Conn, m Message) {
		if err := c.SendOwned(m.Op, m.Retain()); err != nil {
			t.Error(err)
		}
	}}, Options{Loops: 1, InboundBudget: 4 << 30})
	c := dialBig(t, s)
	besideInnocent(t, s, func() {
		peak := peakResident(t, func() {
			sent := make(chan error, 1)
			go func() { sent <- writeBig(c, MaxMessage) }()
			readBig(t, c, MaxMessage)
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
		})
		t.Logf("RSS rose by %.3f of the message", float64(peak)/MaxMessage)
		if peak > within15+MaxMessage/10 {
			t.Errorf("RSS rose by %d bytes", peak)
		}
	})
}

// TestLongestMessageInChunks: OnChunk's memory does not grow with the message.
func TestLongestMessageInChunks(t *testing.T) {
	got := make(chan int64, 1)
	var n int64
	s := startServer(t, Funcs{Chunk: func(c *Conn, k Chunk) {
		if k.First && k.Last {
			_ = c.Send(k.Op, k.Data) // the innocent's
			return
		}
		if k.First {
			n = 0
		}
		if n += int64(len(k.Data)); k.Last {
			got <- n
		}
	}}, Options{Loops: 1})
	c := dialBig(t, s)
	besideInnocent(t, s, func() {
		peak := peakResident(t, func() {
			if err := writeBig(c, MaxMessage); err != nil {
				t.Fatal(err)
			}
			if n := <-got; n != MaxMessage {
				t.Errorf("%d bytes arrived", n)
			}
		})
		t.Logf("RSS rose by %d KiB", peak>>10)
		if peak > 16<<20 {
			t.Errorf("RSS rose by %d bytes", peak)
		}
	})
}

func TestOneByteTooMany(t *testing.T) {
	s := startServer(t, echoHandler, Options{Loops: 1})
	c := dial(t, s)
	if _, err := c.Write(bigHeader(MaxMessage + 1)); err != nil {
		t.Fatal(err)
	}
	var got [4]byte
	if _, err := io.ReadFull(c, got[:]); err != nil {
		t.Fatal(err)
	}
	if want := [4]byte{0x88, 2, 1009 >> 8, 1009 & 0xff}; got != want {
		t.Errorf("% x, not a Close with 1009", got)
	}
}
