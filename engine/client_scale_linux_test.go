//go:build !race && !poll_opt && !gannetdebug

package engine

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// What a client's connections cost, many of them and each. The server is a process of its own: nothing of it is counted, and each of
// the two has descriptors of its own.

const echoChildEnv = "GANNET_TEST_ECHO_CHILD"

// runEchoChild is the child: it serves until its input ends, and says where.
func runEchoChild() {
	s, err := NewServer(echoHandler, Options{Loops: 1, Deflate: deflateOn(), Logger: quietLogger, TLSConfig: houseTLS(), HandshakeTimeout: timeoutOf(60)})
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println("error:", err)
		return
	}
	fmt.Println(ln.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = s.Close()
	}()
	if os.Getenv(echoChildEnv) == "wss" {
		_ = s.ServeTLS(ln)
	}
	_ = s.Serve(ln)
}

// startEchoChild returns the URL of an echo server in another process. The scheme is ws or wss.
func startEchoChild(t testing.TB, scheme string) (url string) {
	t.Helper()
	_, out := startSelf(t, echoChildEnv+"="+scheme)
	addr, err := out.ReadString('\n')
	if err != nil || strings.HasPrefix(addr, "error") {
		t.Fatal(addr, err)
	}
	return scheme + "://" + strings.TrimSpace(addr) + "/"
}

// outgoingConns is how many connections a client is to begin at once, and the most that this process may have.
func outgoingConns(t *testing.T) int {
	const wanted, others = 15_000, fewConns + 500
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur >= wanted+others {
		return wanted
	}
	if limit.Cur < 2*others {
		t.Skipf("a process has %d descriptors here (ulimit -n), which tells nothing of many connections", limit.Cur)
	}
	t.Logf("a process has %d descriptors here (ulimit -n): fewer than %d connections", limit.Cur, wanted)
	return int(limit.Cur) - others
}

// TestManyOutgoing: 15,000 connections are begun at once by one client, and are all OPEN soon. Idle, each costs what one of a
// server's does, and no goroutine. What they agreed on about compression costs nothing before the first compressed message.
func TestManyOutgoing(t *testing.T) {
	for _, deflate := range []bool{false, true} {
		t.Run(fmt.Sprintf("deflate %t", deflate), func(t *testing.T) { testManyOutgoing(t, deflate) })
	}
}

func testManyOutgoing(t *testing.T, deflate bool) {
	once(t)
	many := outgoingConns(t)
	url := startEchoChild(t, "ws")
	o := ClientOptions{Loops: 2, LocalAddrs: localAddrs(2), HandshakeTimeout: timeoutOf(30), ConnectTimeout: timeoutOf(30)}
	if deflate {
		o.Deflate = deflateOn()
	}
	var failed atomic.Pointer[error]
	c := newClient(t, Funcs{Error: func(_ *Conn, err error) { failed.CompareAndSwap(nil, &err) }}, o)
	open := func(n int) (took time.Duration, most int) {
		began, want := time.Now(), c.Stats().Open+int64(n)
		for range n {
			if _, err := c.Start(url, DialOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		most = runtime.NumGoroutine()
		within(t, timeoutOf(30), "all connections OPEN", func() bool {
			if err := failed.Load(); err != nil {
				t.Fatal(*err)
			}
			most = max(most, runtime.NumGoroutine())
			return c.Stats().Open == want
		})
		return time.Since(began), most
	}
	open(fewConns)
	heap0 := settledMemory()
	debug.FreeOSMemory()
	rss0, goroutines := residentBytes(t), runtime.NumGoroutine()
	took, most := open(many)
	var heap float64 // what the dials needed goes within a moment
	eventually(timeoutOf(5), func() bool { heap = float64(settledMemory()-heap0) / float64(many); return heap <= maxIdleHeap })
	debug.FreeOSMemory()
	rss := float64(residentBytes(t)-rss0) / float64(many)
	if st := c.Stats(); deflate && st.Deflate.Conns != int64(fewConns+many) {
		t.Errorf("%d connections agreed on permessage-deflate", st.Deflate.Conns)
	}
	t.Logf("%d connections are OPEN after %v: %.0f a second, %.1f bytes of heap each, %.1f of RSS", many, took.Round(time.Millisecond),
		float64(many)/took.Seconds(), heap, rss)
	if heap > maxIdleHeap {
		t.Errorf("an idle connection is %.1f bytes of heap, at most %d are allowed", heap, maxIdleHeap)
	}
	if most > goroutines+10 { // other tests' may come and go
		t.Errorf("%d goroutines before, up to %d while they were begun", goroutines, most)
	}
}

// localAddrs are addresses of this machine.
func localAddrs(n int) (all []netip.Addr) {
	for i := range n {
		all = append(all, netip.AddrFrom4([4]byte{127, 0, 0, byte(2 + i)}))
	}
	return all
}

// maxDialMallocs is what a dial may allocate in all, until it is OPEN: to an IP literal, without TLS, a proxy or cookies.
const maxDialMallocs = 12

// TestDialMallocs counts what Start, and Dial, allocate until the connection is OPEN, on all goroutines.
func TestDialMallocs(t *testing.T) {
	once(t)
	url := startEchoChild(t, "ws")
	for name, o := range map[string]ClientOptions{"plain": {}, "local addresses": {LocalAddrs: localAddrs(2)}, "deflate": {Deflate: deflateOn()}} {
		t.Run(name, func(t *testing.T) { testDialMallocs(t, url, o) })
	}
}

func testDialMallocs(t *testing.T, url string, o ClientOptions) {
	const dials, together = 2000, 20
	opened := make(chan struct{}, together)
	o.Loops = 1
	var closed atomic.Int64
	c := newClient(t, Funcs{Open: func(*Conn) { opened <- struct{}{} }, Close: func(*Conn, CloseEvent) { closed.Add(1) }}, o)
	ctx, cancel := context.WithTimeout(t.Context(), timeoutOf(60))
	defer cancel()
	conns := make([]*Conn, 0, dials)
	keep := func(conn *Conn, err error) {
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	for how, run := range map[string]func(){
		"Start": func() {
			for range dials / together {
				for range together {
					keep(c.Start(url, DialOptions{}))
				}
				for range together {
					select { // receive allocates
					case <-opened:
					case <-ctx.Done():
						t.Fatal("not all were OPEN in time")
					}
				}
			}
		},
		"Dial": func() {
			for range dials {
				keep(c.Dial(ctx, url, DialOptions{}))
				<-opened
			}
		},
	} {
		least := 1e9 // of three: what a pool or a table takes once, and what else the process does, is in one of them
		for range 3 {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			run()
			runtime.ReadMemStats(&after)
			least = min(least, float64(after.Mallocs-before.Mallocs)/dials)
			closed.Store(0)
			for _, conn := range conns {
				conn.Terminate()
			}
			conns = conns[:0]
			within(t, timeoutOf(10), "all are CLOSED", func() bool { return closed.Load() == dials })
		}
		t.Logf("%s: %.2f mallocs", how, least)
		if least > maxDialMallocs {
			t.Errorf("%s: %.2f mallocs, at most %d are allowed", how, least, maxDialMallocs)
		}
	}
}

// BenchmarkDial is a dial and its end.
func BenchmarkDial(b *testing.B) {
	url := startEchoChild(b, "ws")
	c, err := NewClient(Funcs{}, ClientOptions{Loops: 1, Logger: quietLogger})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	b.ReportAllocs()
	for b.Loop() {
		conn, err := c.Dial(context.Background(), url, DialOptions{})
		if err != nil {
			b.Fatal(err)
		}
		conn.Terminate()
	}
}
