package bench

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/codec"
)

// echoLoad is a set of open connections and the one message that all of them send.
type echoLoad struct {
	conns           []net.Conn
	depth           int    // messages per batch
	request, answer []byte // a batch of each
}

// echoes are what a load has sent and read.
type echoes struct {
	messages  int
	latencies latencies
}

// latencies are of batches: from the start of a batch's write to the end of its last answer. Under the closed loop they are
// mostly queueing, and say little about a server that is not busy.
type latencies []time.Duration

// percentile is the least time that so many per cent of the batches were done in.
func (l latencies) percentile(percent float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	slices.Sort(l)
	rank := math.Ceil(float64(len(l))*percent/100 - 1e-6) // 99.9 % of 1000 is a little more than 999 in binary
	return l[max(int(rank), 1)-1]
}

func dialEchoes(tb testing.TB, server *echoServer, size, depth, conns int) *echoLoad {
	tb.Helper()
	payload := bytes.Repeat([]byte("gannet! "), size/8+1)[:size]
	l := &echoLoad{depth: depth}
	for range depth {
		l.request = codec.AppendMaskedFrame(l.request, codec.OpBinary, true, false, maskingKey, payload)
		l.answer = codec.AppendFrame(l.answer, codec.OpBinary, true, false, payload)
	}
	if server.mode == floorMode { // it gives back what it gets
		l.answer = slices.Clone(l.request)
	}
	tb.Cleanup(func() {
		for _, conn := range l.conns {
			conn.Close()
		}
	})
	for range conns {
		l.conns = append(l.conns, dialEcho(tb, server))
	}
	return l
}

func dialEcho(tb testing.TB, server *echoServer) net.Conn {
	tb.Helper()
	conn, err := net.Dial("tcp", server.addr)
	if err != nil {
		tb.Fatal(err)
	}
	switch server.mode {
	case floorMode:
		return conn
	case "wss":
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	conn.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", server.addr)
	var head []byte
	for last := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); head = append(head, last...) {
		if _, err := io.ReadFull(conn, last); err != nil {
			tb.Fatalf("handshake: %v after %q", err, head)
		}
	}
	if !strings.HasPrefix(string(head), "HTTP/1.1 101 ") {
		tb.Fatalf("handshake: %q", head)
	}
	conn.SetDeadline(time.Time{})
	return conn
}

// run exchanges at least n messages, in whole batches, over all connections.
func (l *echoLoad) run(tb testing.TB, n int) echoes {
	tb.Helper()
	batches := (n + l.depth - 1) / l.depth
	took := make(latencies, batches)
	var taken atomic.Int64
	var failed atomic.Pointer[error]
	var done sync.WaitGroup
	for _, conn := range l.conns {
		done.Go(func() {
			buf := make([]byte, len(l.answer))
			for {
				i := int(taken.Add(1)) - 1
				if i >= batches {
					return
				}
				start := time.Now()
				if err := l.batch(conn, buf); err != nil {
					failed.Store(&err)
					return
				}
				took[i] = time.Since(start)
			}
		})
	}
	done.Wait()
	if err := failed.Load(); err != nil {
		tb.Fatal(*err)
	}
	return echoes{batches * l.depth, took}
}

// batch sends once and reads the answers into buf. They are compared: a server that echoes garbage fast is not fast.
func (l *echoLoad) batch(conn net.Conn, buf []byte) error {
	if _, err := conn.Write(l.request); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, buf); err != nil {
		return err
	}
	if !bytes.Equal(buf, l.answer) {
		return fmt.Errorf("the answer is not what was sent")
	}
	return nil
}

// TestPercentile: by the nearest rank, and no percentile is outside of what was measured.
func TestPercentile(t *testing.T) {
	var thousand latencies
	for i := range 1000 {
		thousand = append(thousand, time.Duration(1000-i))
	}
	for _, c := range []struct {
		of      latencies
		percent float64
		want    time.Duration
	}{
		{thousand, 50, 500}, {thousand, 99, 990}, {thousand, 99.9, 999}, {thousand, 100, 1000}, {thousand, 0, 1},
		{latencies{7}, 50, 7}, {latencies{7}, 99.9, 7}, {latencies{1, 2, 3}, 50, 2}, {nil, 50, 0},
	} {
		if got := c.of.percentile(c.percent); got != c.want {
			t.Errorf("p%v of %d: %d, want %d", c.percent, len(c.of), got, c.want)
		}
	}
}
