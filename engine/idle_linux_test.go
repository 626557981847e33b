//go:build !race && !poll_opt && !gannetdebug

package engine

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/gobwas/ws"

	"github.com/gannet-ws/gannet/deflate"
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
	once(t)
	testIdleMemory(t, Options{Loops: 1, Deflate: deflateOn()})
}

// TestIdleMemoryAfterBursts: what a busy moment took, the idle connection does not keep, whatever it was busy with. The slope
// is from a few connections that had their burst to many more that had one, too.
func TestIdleMemoryAfterBursts(t *testing.T) {
	once(t)
	echo := func(c *Conn, m Message) { _ = c.Send(m.Op, m.Data) }
	for name, k := range map[string]struct {
		h Handler
		o Options
	}{
		"plain":   {Funcs{Message: echo}, Options{}},
		"workers": {Funcs{Message: echo}, Options{Workers: 4}},
		"chunks":  {Funcs{Chunk: func(c *Conn, k Chunk) { _ = c.Send(k.Op, k.Data) }}, Options{}},
		"workers' chunks": {Funcs{Chunk: func(c *Conn, k Chunk) { _ = c.Send(k.Op, k.Data) }},
			Options{Workers: 4}},
		"paused": {Funcs{Message: func(c *Conn, m Message) {
			c.Pause()
			echo(c, m)
			_ = c.Post((*Conn).Resume)
		}}, Options{}},
		"workers, paused": {Funcs{Message: func(c *Conn, m Message) {
			c.Pause()
			echo(c, m)
			_ = c.Post((*Conn).Resume)
		}}, Options{Workers: 4}},
		"writer": {Funcs{Message: func(c *Conn, m Message) { // what is sent waits behind it
			w := c.NewWriter(m.Op)
			_, _ = w.Write(m.Data)
			_ = w.Close()
		}}, Options{}},
		"deflate":    {Funcs{Message: echo}, Options{Deflate: deflateOn()}},
		"high water": {Funcs{Message: echo}, Options{Limits: Limits{HighWater: 1000}}},
	} {
		t.Run(name, func(t *testing.T) { testMemoryAfterBursts(t, k.h, k.o, 0) })
	}
	t.Run("broadcast", func(t *testing.T) { testMemoryAfterBursts(t, Funcs{}, Options{}, 20) })
}

const (
	fewBursts     = 200
	manyBursts    = 1_700
	burstMessages = 100
	burstSize     = 100
)

func testMemoryAfterBursts(t *testing.T, h Handler, o Options, broadcasts int) {
	o.Loops = 1
	s := startServer(t, h, o)
	k := startHolder(t, s.Addr().String())
	burst := func(conns int) int64 {
		k.hold(t, conns-int(s.Stats().Open))
		back := burstMessages
		if broadcasts > 0 {
			back = broadcasts
			p := prepared(t, OpText, make([]byte, burstSize))
			for range broadcasts {
				s.Broadcast(p, nil)
			}
		}
		k.say(t, fmt.Sprintf("burst %d %t", back, broadcasts == 0))
		for c := range s.Conns() {
			within(t, timeoutOf(5), "a connection at rest", func() bool { return c.inbox.Load() == nil && c.BufferedAmount() == 0 })
			if st := c.deflation.Load(); st != nil { // what the clock does after half a minute
				c.loop.post(task{call: func() { st.use.Store(useLooked); c.rest() }})
			}
		}
		return settledMemory()
	}
	few := burst(fewBursts)
	many := burst(manyBursts)
	each := float64(many-few) / (manyBursts - fewBursts)
	t.Logf("after its burst an idle connection is %.1f bytes of heap", each)
	most := float64(maxIdleHeap)
	if o.Deflate != nil {
		most += float64(unsafe.Sizeof(deflation{})+unsafe.Sizeof(deflate.Sender{})+unsafe.Sizeof(deflate.Receiver{})) + 16 // their size classes
	}
	if each > most {
		t.Errorf("%.1f bytes of heap, at most %.0f are allowed", each, most)
	}
}

func testIdleMemory(t *testing.T, o Options) {
	s := startServer(t, Funcs{}, o)
	h := startHolder(t, s.Addr().String())
	h.hold(t, fewConns)
	heap0, rss0 := settledMemory(), residentBytes(t)
	h.hold(t, manyConns-fewConns)
	heap1, rss1 := settledMemory(), residentBytes(t)
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

// clientHolder is a child process that keeps the client ends of connections open.
type clientHolder struct {
	in  io.WriteCloser
	out *bufio.Reader
}

const (
	holderEnv     = "GANNET_TEST_HOLDER"
	overTLSPrefix = "wss:" // of an address that is dialled so
)

func TestMain(m *testing.M) {
	if addr := os.Getenv(holderEnv); addr != "" {
		runHolder(addr)
		return
	}
	if os.Getenv(echoChildEnv) != "" {
		runEchoChild()
		return
	}
	os.Exit(m.Run())
}

func startHolder(t *testing.T, addr string) *clientHolder {
	t.Helper()
	in, out := startSelf(t, holderEnv+"="+addr)
	return &clientHolder{in, out}
}

// hold has the child open n more connections.
func (h *clientHolder) hold(t *testing.T, n int) {
	t.Helper()
	h.say(t, strconv.Itoa(n))
}

// say tells the child what to do, and waits until it has.
func (h *clientHolder) say(t *testing.T, what string) {
	t.Helper()
	if _, err := fmt.Fprintln(h.in, what); err != nil {
		t.Fatal(err)
	}
	got, err := h.out.ReadString('\n')
	if err != nil || strings.TrimSpace(got) != "ok" {
		t.Fatal("the holder said", got, err)
	}
}

// runHolder is the child: for each number it reads it opens so many connections; for a burst it has all of them
// send and be answered at once; for a size each sends one message of that size and is answered.
func runHolder(addr string) {
	var kept []net.Conn
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var back int
		var speak bool
		var size int
		var err error
		if k, _ := fmt.Sscanf(lines.Text(), "burst %d %t", &back, &speak); k == 2 {
			err = burstOn(kept, bytes.Repeat(maskedFrame(0x81, bytes.Repeat([]byte("x"), burstSize)), burstMessages), back, speak)
		} else if k, _ := fmt.Sscanf(lines.Text(), "size %d", &size); k == 1 {
			err = burstOn(kept, maskedFrame(0x82, make([]byte, size)), 1, true)
		} else {
			kept, err = holdMore(kept, addr, lines.Text())
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

// holdMore opens more connections, as many as the text says.
func holdMore(kept []net.Conn, addr, text string) ([]net.Conn, error) {
	n, err := strconv.Atoi(text)
	for ; err == nil && n > 0; n-- {
		var c net.Conn
		if c, err = dialUpgraded(addr); err == nil {
			kept = append(kept, c)
		}
	}
	return kept, err
}

// burstOn sends what is said on each connection, some at a time, and reads so many messages back.
func burstOn(conns []net.Conn, said []byte, back int, speak bool) error {
	work, failed := make(chan net.Conn), make(chan error, len(conns))
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			for c := range work {
				_ = c.SetDeadline(time.Now().Add(timeoutOf(10)))
				if speak {
					go func() { _, _ = c.Write(said) }()
				}
				r := bufio.NewReader(c)
				for n := 0; n < back; {
					f, err := ws.ReadHeader(r)
					if err == nil {
						_, err = r.Discard(int(f.Length))
					}
					if err != nil {
						failed <- fmt.Errorf("after %d of %d messages: %w", n, back, err)
						break
					}
					if f.Fin {
						n++
					}
				}
			}
		})
	}
	for _, c := range conns {
		work <- c
	}
	close(work)
	all.Wait()
	close(failed)
	return <-failed
}

// dialUpgraded opens one WebSocket connection and reads the whole response.
func dialUpgraded(addr string) (net.Conn, error) {
	addr, secure := strings.CutPrefix(addr, overTLSPrefix)
	c, err := net.DialTimeout("tcp", addr, timeoutOf(5))
	if err != nil {
		return nil, err
	}
	if secure {
		c = tls.Client(c, wordyClient())
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

// wordyClient is a client's configuration whose ClientHello takes 2.1 KB.
func wordyClient() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1", strings.Repeat("x", 250), strings.Repeat("y", 250), strings.Repeat("z", 100)}}
}
