//go:build !race && !poll_opt && !gannetdebug

package engine

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// The bars of an idle connection, in bytes, in the build that is shipped: under poll_opt
// gnet wants an attachment of about 46 bytes kept for each descriptor (262.9 bytes of heap
// were measured), and gannetdebug keeps records of its own.
const (
	maxIdleHeap = 256
	maxIdleRSS  = 300
	fewConns    = 1_000
	manyConns   = 18_000
)

// TestConnSize: a connection and its table slot are what an idle one costs. The size is
// the allocator's: its steps are 208, 224 and 240 bytes.
func TestConnSize(t *testing.T) {
	if n := unsafe.Sizeof(Conn{}); n > 240 {
		t.Errorf("a Conn is %d bytes, more than 240", n)
	}
}

// TestIdleConnectionMemory measures the slope from 1,000 to 18,000 upgraded connections,
// whose other ends a second process holds (a process has 20,000 descriptors).
func TestIdleConnectionMemory(t *testing.T) { testIdleMemory(t, Options{Loops: 1}) }

// TestIdleDeflateConnectionMemory: a connection that agreed on permessage-deflate and had no
// compressed message yet costs what a plain one does.
func TestIdleDeflateConnectionMemory(t *testing.T) {
	testIdleMemory(t, Options{Loops: 1, Deflate: deflateOn()})
}

func testIdleMemory(t *testing.T, o Options) {
	s := startServer(t, Funcs{}, o)
	h := startHolder(t, s.Addr().String())
	h.hold(t, fewConns)
	heap0, rss0 := settledHeap(), residentBytes(t)
	h.hold(t, manyConns-fewConns)
	heap1, rss1 := settledHeap(), residentBytes(t)
	if n := s.Stats().Open; n != manyConns {
		t.Fatal(n, "connections are open")
	}
	if n := s.Stats().Deflate.Conns; o.Deflate != nil && n != manyConns {
		t.Fatal(n, "connections agreed on permessage-deflate")
	}
	heap := float64(heap1-heap0) / (manyConns - fewConns)
	rss := float64(rss1-rss0) / (manyConns - fewConns)
	t.Logf("an idle connection: %.1f bytes of heap, %.1f of RSS", heap, rss)
	if heap > maxIdleHeap {
		t.Errorf("%.1f bytes of heap, at most %d are allowed", heap, maxIdleHeap)
	}
	if rss > maxIdleRSS {
		t.Errorf("%.1f bytes of RSS, at most %d are allowed", rss, maxIdleRSS)
	}
}

func settledHeap() int64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// clientHolder is a child process that keeps the client ends of connections open.
type clientHolder struct {
	in  io.WriteCloser
	out *bufio.Reader
}

const holderEnv = "GANNET_TEST_HOLDER"

func TestMain(m *testing.M) {
	if addr := os.Getenv(holderEnv); addr != "" {
		runHolder(addr)
		return
	}
	os.Exit(m.Run())
}

func startHolder(t *testing.T, addr string) *clientHolder {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), holderEnv+"="+addr)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error("the holder:", err)
		}
	})
	return &clientHolder{in, bufio.NewReader(out)}
}

// hold has the child open n more connections.
func (h *clientHolder) hold(t *testing.T, n int) {
	t.Helper()
	if _, err := fmt.Fprintln(h.in, n); err != nil {
		t.Fatal(err)
	}
	got, err := h.out.ReadString('\n')
	if err != nil || strings.TrimSpace(got) != "ok" {
		t.Fatal("the holder said", got, err)
	}
}

// runHolder is the child: for each number it reads it opens so many connections.
func runHolder(addr string) {
	var kept []net.Conn
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		n, err := strconv.Atoi(lines.Text())
		for ; err == nil && n > 0; n-- {
			var c net.Conn
			if c, err = dialUpgraded(addr); err == nil {
				kept = append(kept, c)
			}
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("ok")
	}
	for _, c := range kept {
		c.Close()
	}
}

// dialUpgraded opens one WebSocket connection and reads the whole response.
func dialUpgraded(addr string) (net.Conn, error) {
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, err
	}
	if _, err := c.Write(nullRequest); err != nil {
		return nil, err
	}
	b := make([]byte, 512)
	for n := 0; !strings.HasSuffix(string(b[:n]), "\r\n\r\n"); {
		k, err := c.Read(b[n:])
		if err != nil {
			return nil, err
		}
		n += k
	}
	return c, nil
}
