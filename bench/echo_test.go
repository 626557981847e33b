package bench

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/bench/internal/rig"
	"github.com/gannet-ws/gannet/codec"
)

// echoCells mirror those of bench/compare.
var echoCells = []struct{ size, depth, conns int }{
	{128, 1, 50},
	{128, 16, 50},
	{1 << 10, 1, 50},
	{16 << 10, 1, 50},
	{1 << 20, 1, 10},
}

// BenchmarkEcho loads a server in a process of its own. An op is one message there and back; server-ns/msg is the CPU
// time that it cost the server.
func BenchmarkEcho(b *testing.B) { benchmarkEcho(b, "ws") }

// BenchmarkEchoWSS is the same over TLS.
func BenchmarkEchoWSS(b *testing.B) { benchmarkEcho(b, "wss") }

func benchmarkEcho(b *testing.B, scheme string) {
	server := startEchoServer(b, scheme)
	for _, c := range echoCells {
		b.Run(fmt.Sprintf("%s/depth%d", sizeName(c.size), c.depth), func(b *testing.B) {
			l := dialEchoes(b, server, c.size, c.depth, c.conns)
			l.run(b, c.depth*c.conns) // the first messages fill pools
			b.SetBytes(int64(c.size))
			before := rig.CPUTime(server.pid)
			b.ResetTimer()
			messages := l.run(b, b.N)
			b.StopTimer()
			b.ReportMetric(float64((rig.CPUTime(server.pid)-before).Nanoseconds())/float64(messages), "server-ns/msg")
		})
	}
}

// TestEcho proves that the benchmark's server echoes and that its load would notice if it did not.
func TestEcho(t *testing.T) {
	var server *echoServer
	for _, scheme := range []string{"wss", "ws"} {
		server = startEchoServer(t, scheme)
		for _, c := range echoCells {
			dialEchoes(t, server, c.size, c.depth, 3).run(t, 4*c.depth)
		}
	}
	broken := dialEchoes(t, server, 128, 1, 1)
	broken.answer[5] ^= 1
	if err := broken.batch(broken.conns[0], make([]byte, len(broken.answer))); err == nil {
		t.Error("a wrong answer went unnoticed")
	}
}

// echoLoad is a set of upgraded connections and the one message that all of them send.
type echoLoad struct {
	conns           []net.Conn
	depth           int    // messages per batch
	request, answer []byte // a batch of each
}

func dialEchoes(tb testing.TB, server *echoServer, size, depth, conns int) *echoLoad {
	tb.Helper()
	payload := bytes.Repeat([]byte("gannet! "), size/8+1)[:size]
	l := &echoLoad{depth: depth}
	for range depth {
		l.request = codec.AppendMaskedFrame(l.request, codec.OpBinary, true, false, maskingKey, payload)
		l.answer = codec.AppendFrame(l.answer, codec.OpBinary, true, false, payload)
	}
	tb.Cleanup(func() {
		for _, conn := range l.conns {
			conn.Close()
		}
	})
	for range conns {
		l.conns = append(l.conns, dialWebSocket(tb, server))
	}
	return l
}

func dialWebSocket(tb testing.TB, server *echoServer) net.Conn {
	tb.Helper()
	conn, err := net.Dial("tcp", server.addr)
	if err != nil {
		tb.Fatal(err)
	}
	if server.scheme == "wss" {
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

// run exchanges at least n messages, in whole batches, over all connections, and returns how many it were.
func (l *echoLoad) run(tb testing.TB, n int) (messages int) {
	tb.Helper()
	batches := int64((n + l.depth - 1) / l.depth)
	var taken atomic.Int64
	var failed atomic.Pointer[error]
	var done sync.WaitGroup
	for _, conn := range l.conns {
		done.Go(func() {
			for buf := make([]byte, len(l.answer)); taken.Add(1) <= batches; {
				if err := l.batch(conn, buf); err != nil {
					failed.Store(&err)
					return
				}
			}
		})
	}
	done.Wait()
	if err := failed.Load(); err != nil {
		tb.Fatal(*err)
	}
	return int(batches) * l.depth
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
