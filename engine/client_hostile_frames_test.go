package engine

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"

	"github.com/gannet-ws/gannet/deflate"
)

// opens serves each connection by what it says behind a right answer. What the client sends is read meanwhile; codes gets the code of its Close
// frame, or -1 where it sent none, or a reset lost it.
func opens(t *testing.T, say func(io.Writer), extra ...string) (at string, codes chan int) {
	codes = make(chan int, 1000)
	return scripted(t, func(nc net.Conn, r *bufio.Reader, req *http.Request) {
		go func() { codes <- closeCodeFrom(r) }()
		if _, err := io.WriteString(nc, switching(req, extra...)); err == nil {
			say(nc)
		}
		_, _ = io.Copy(io.Discard, eofReader{t})
	}), codes
}

// eofReader holds a connection open until its test ends.
type eofReader struct{ t *testing.T }

func (e eofReader) Read([]byte) (int, error) { <-e.t.Context().Done(); return 0, io.EOF }

// says writes once.
func says(parts ...[]byte) func(io.Writer) {
	return func(w io.Writer) { _, _ = w.Write(bytes.Join(parts, nil)) }
}

// floodOf writes a beginning, and then the same again and again until the client hangs up.
func floodOf(begin, unit []byte) func(io.Writer) {
	many := bytes.Repeat(unit, 1000)
	return func(w io.Writer) {
		_, err := w.Write(begin)
		for err == nil {
			_, err = w.Write(many)
		}
	}
}

// hostileFrame is what a server should not say, and the code that it is answered with.
type hostileFrame struct {
	say  func(io.Writer)
	code int
}

// hostileFloods go on until the client hangs up.
var hostileFloods = map[string]hostileFrame{
	"a flood of pings":              {floodOf(nil, bareFrame(0x89, bytes.Repeat([]byte("p"), 125))), 1008},
	"a flood of empty pings":        {floodOf(nil, bareFrame(0x89, nil)), 1008},
	"a flood of pongs":              {floodOf(nil, bareFrame(0x8a, []byte("p"))), 1008},
	"a flood of empty fragments":    {floodOf(bareFrame(0x01, nil), bareFrame(0x00, nil)), 1008},
	"a flood of one-byte fragments": {floodOf(bareFrame(0x01, []byte("x")), bareFrame(0x00, []byte("x"))), 1008},
	"a flood of fragments":          {floodOf(bareFrame(0x02, []byte("x")), bareFrame(0x00, make([]byte, 1000))), 1009},
	"garbage for ever":              {floodOf(nil, []byte{0xff}), 1002},
}

// hostileFrames are said once.
var hostileFrames = map[string]hostileFrame{
	"a masked frame":                {says(maskedFrame(0x82, []byte("x"))), 1002},
	"an empty masked frame":         {says(maskedFrame(0x81, nil)), 1002},
	"a masked ping":                 {says(maskedFrame(0x89, nil)), 1002},
	"a masked Close":                {says(maskedFrame(0x88, []byte{3, 232})), 1002},
	"a masked fragment":             {says(bareFrame(0x01, []byte("x")), maskedFrame(0x80, []byte("x"))), 1002},
	"more than the limit":           {says(bareHead(0x82, hostileLimit+1)), 1009},
	"1 GiB":                         {says(bareHead(0x82, 1<<30), []byte("ten bytes.")), 1009},
	"2^62":                          {says(bareHead(0x82, 1<<62)), 1009},
	"the top bit":                   {says(bareHead(0x82, 1<<63)), 1002},
	"a sum over the limit":          {says(bareFrame(0x02, make([]byte, 60_000)), bareHead(0x80, 60_000)), 1009},
	"a sum over int64":              {says(bareFrame(0x02, []byte("x")), bareHead(0x80, 1<<63-1)), 1009},
	"16 bits for 125":               {says([]byte{0x82, 126, 0, 125}), 1002},
	"64 bits for 65535":             {says([]byte{0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff}), 1002},
	"compressed, though not agreed": {says(bareFrame(0xc2, []byte{0})), 1002},
}

// expects meets a server of such frames, and checks what comes of it.
func (k hostileFrame) expects(t *testing.T, c *Client, name, at string, codes chan int) {
	t.Helper()
	a := meet(t, c, at, DialOptions{})
	if e := a.ends(t); e.Code != 1006 || closeCodeOf(e.Err) != k.code || a.messages != 0 {
		t.Errorf("%s: %+v after %d messages, want %d", name, e, a.messages, k.code)
	}
	if got := receive(t, codes, "the end that the server heard"); got != k.code && got != -1 {
		t.Errorf("%s: the server got %d, want %d", name, got, k.code)
	}
}

// TestClientHostileFrames: each is answered with its code, costs that connection only, and nothing behind it is heard.
func TestClientHostileFrames(t *testing.T) {
	type server struct {
		at    string
		codes chan int
	}
	servers := map[string]server{}
	for name, k := range hostileFrames {
		at, codes := opens(t, k.say)
		servers[name] = server{at, codes}
	}
	for way := range waysToTransport {
		t.Run(way, func(t *testing.T) {
			c := hostileClient(t, way, ClientOptions{Limits: Limits{MaxMessageSize: hostileLimit}})
			besideInnocentOf(t, c, func() {
				for name, k := range hostileFrames {
					k.expects(t, c, name, servers[name].at, servers[name].codes)
				}
				nothingWaits(t, c)
			})
		})
	}
}

// TestClientHostileFloods: each is ended at its limit, and holds next to nothing until then.
func TestClientHostileFloods(t *testing.T) {
	for way := range waysToTransport {
		for name, k := range hostileFloods {
			t.Run(way+"/"+name, func(t *testing.T) {
				at, codes := opens(t, k.say)
				c := hostileClient(t, way, ClientOptions{Limits: Limits{MaxFragments: 50_000, MaxMessageSize: hostileLimit}})
				besideInnocentOf(t, c, func() {
					if peak := peakMemory(c, func() { k.expects(t, c, name, at, codes) }); peak > 8<<20 {
						t.Errorf("%d bytes of memory", peak)
					}
					nothingWaits(t, c)
				})
			})
		}
	}
}

// TestClientFloodOfSmallMessages: 200,000 of them, empty or of one byte, are heard, one by one; they hold nothing, with workers or without, and others are served between
// them.
func TestClientFloodOfSmallMessages(t *testing.T) {
	const blocks, block = 200, 1000
	for name, unit := range map[string][]byte{"empty": bareFrame(0x82, nil), "one byte": bareFrame(0x81, []byte("x"))} {
		for _, workers := range []int{0, 2} {
			for way := range waysToTransport {
				t.Run(fmt.Sprint(name, "/", workers, "/", way), func(t *testing.T) {
					many := bytes.Repeat(unit, block)
					at, _ := opens(t, func(w io.Writer) {
						for range blocks {
							_, _ = w.Write(many)
						}
						_, _ = w.Write(bareFrame(0x88, []byte{3, 232}))
					})
					c := hostileClient(t, way, ClientOptions{Workers: workers})
					besideInnocentOf(t, c, func() {
						peak := peakMemory(c, func() {
							a := meet(t, c, at, DialOptions{})
							if e := a.ends(t); e.Code != 1000 || !e.WasClean || a.messages != blocks*block {
								t.Errorf("%+v after %d messages", e, a.messages)
							}
						})
						if peak > 8<<20 {
							t.Errorf("%d bytes of memory", peak)
						}
					})
				})
			}
		}
	}
}

// TestClientMemoryFollowsBytesReceived: 500 connections whose servers each announce 1 GiB and send 10 bytes cost less than 64 KiB each, everything
// counted: the servers' own ends too.
func TestClientMemoryFollowsBytesReceived(t *testing.T) {
	const conns, each = 500, 64 << 10
	at, _ := opens(t, says(bareHead(0x82, 1<<30), []byte("ten bytes.")))
	for way := range waysToTransport {
		t.Run(way, func(t *testing.T) {
			c := hostileClient(t, way, ClientOptions{})
			beside, ends := besideInnocentOf, int64(0)
			if secured(t) && way == "bridge" { // its handshakes are in goroutines, all 500 at once: what they take is the machine's
				beside = func(_ *testing.T, _ *Client, attack func()) { attack() }
				ends = 32 << 10 // crypto/tls keeps its own buffers at both ends, 10.6 KB for each that has only shaken hands, and more while it does
			}
			beside(t, c, func() {
				runtime.GC()
				before, out := memoryInUse(c), c.Stats().Buffers.Out
				all := make([]*attacked, conns)
				for i := range all {
					all[i] = meet(t, c, at, DialOptions{})
				}
				within(t, timeoutOf(10), "all have a message under way", func() bool { return c.Stats().Buffers.Out >= out+conns })
				st := c.Stats().Buffers
				runtime.GC()
				grown := memoryInUse(c) - before
				t.Logf("buffers: %d bytes each; heap and mappings grew by %d bytes each", st.OutBytes/conns, grown/conns)
				if st.OutBytes/conns >= each || grown/conns >= each+ends {
					t.Errorf("%d bytes of buffers, %d of memory each: over %d", st.OutBytes/conns, grown/conns, each+ends)
				}
				for _, a := range all {
					a.Terminate()
				}
				for _, a := range all {
					receive(t, a.closed, "the end")
				}
			})
		})
	}
}

// TestClientBombs: what inflates to more than MaxMessageSize is refused (1009) at the limit, in one frame and in fragments, and holds no more than the limit; what is no deflate stream ends
// with 1007.
func TestClientBombs(t *testing.T) {
	const limit = 1 << 20
	large := bomb(256 << 20)
	half := len(large) / 2
	for name, k := range map[string]struct {
		say  func(io.Writer)
		code int
	}{
		"one frame":        {says(bareFrame(0xc2, large)), 1009},
		"fragments":        {says(bareFrame(0x42, large[:half]), bareFrame(0x80, large[half:])), 1009},
		"many in a row":    {floodOf(nil, bareFrame(0xc2, bomb(limit+1))), 1009},
		"no deflate":       {says(bareFrame(0xc2, []byte{0xff, 0xff, 0xff})), 1007},
		"RSV1 on a ping":   {says(bareFrame(0xc9, nil)), 1002},
		"RSV1 in the rest": {says(bareFrame(0x42, large[:10]), bareFrame(0xc0, nil)), 1002},
	} {
		for way := range waysToTransport {
			t.Run(name+"/"+way, func(t *testing.T) {
				at, codes := opens(t, k.say, "Sec-WebSocket-Extensions: permessage-deflate")
				c := hostileClient(t, way, ClientOptions{Limits: Limits{MaxMessageSize: limit}, Deflate: &deflate.Policy{}})
				besideInnocentOf(t, c, func() {
					before := c.Stats().Deflate.BytesIn
					peak := peakMemory(c, func() {
						a := meet(t, c, at, DialOptions{})
						if e := a.ends(t); e.Code != 1006 || closeCodeOf(e.Err) != k.code || a.messages != 0 {
							t.Errorf("%+v after %d messages", e, a.messages)
						}
						if got := receive(t, codes, "the end that the server heard"); got != k.code && got != -1 {
							t.Errorf("the server got %d", got)
						}
					})
					if in := c.Stats().Deflate.BytesIn - before; in > limit {
						t.Errorf("%d bytes were inflated", in)
					}
					if peak > limit+8<<20 {
						t.Errorf("%d bytes of memory", peak)
					}
				})
			})
		}
	}
}

// TestClientNothingBehindAClose: data, pings, garbage or a second Close behind a server's Close are not heard, and do not change its outcome.
func TestClientNothingBehindAClose(t *testing.T) {
	for name, behind := range map[string][]byte{
		"message": bareFrame(0x82, []byte("x")), "ping": bareFrame(0x89, []byte("x")), "Close": bareFrame(0x88, []byte{3, 233}),
		"garbage": []byte("\xff\xff\xff\xff\xff\xff"), "masked": maskedFrame(0x82, nil), "much": make([]byte, 1<<20),
	} {
		for way := range waysToTransport {
			t.Run(name+"/"+way, func(t *testing.T) {
				at, codes := opens(t, says(bareFrame(0x82, []byte("before")), bareFrame(0x88, []byte{0x0f, 0xa0}), behind))
				c := hostileClient(t, way, ClientOptions{})
				besideInnocentOf(t, c, func() {
					a := meet(t, c, at, DialOptions{Handler: Funcs{Ping: func(*Conn, []byte) { t.Error("a ping was heard") }}})
					if e := a.ends(t); e.Code != 4000 || !e.WasClean || a.messages != 1 {
						t.Errorf("%+v after %d messages", e, a.messages)
					}
					if got := receive(t, codes, "our Close"); got != 4000 && got != -1 {
						t.Errorf("the server got %d", got)
					}
				})
			})
		}
	}
}
