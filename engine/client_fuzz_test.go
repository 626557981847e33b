package engine

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine/internal/sim"
)

// FuzzClient: whatever bytes a server sends, the client does not panic, its handler hears what it has to in order, and all of it ends:
// on a native loop, simulated, where the bytes come in pieces, and on a bridge.
//
// The first byte says whether they are an answer, in which KEY stands for the right Sec-WebSocket-Accept, or come behind a right one, and what
// the client asks for. The second decides how they are cut.
func FuzzClient(f *testing.F) {
	right := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: KEY\r\n"
	for _, seed := range []string{
		"", "\x00\x00", "\x00\x01" + right + "\r\n\x81\x01a", "\x02\x02" + right + "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n\xc1\x01\x00",
		"\x00\x03HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", "\x00\x04HTTP/1.1 103 Early\r\n\r\n" + right + "\r\n", "\x00\x05HTTP/1.0 404\r\n\r\n",
		"\x01\x06\x81\x05hello\x89\x00\x88\x02\x03\xe8", "\x01\x07\x82\x7f\x00\x00\x00\x00\x80\x00\x00\x00", "\x01\x08\x01\x01a\x80\x01b\x8a\x00\xff\xff", "\x03\x09\x41\x01\x02\x80\x00",
		"\x04\x0a" + right + "Sec-WebSocket-Protocol: chat\r\n\r\n", "\x00\x0b220 hello\r\n", "\x01\x0c\x81\x81\x00\x00\x00\x00a",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 2 {
			data = append(data, 0, 0)
		}
		if len(data) > 64<<10 {
			return
		}
		k := fuzzedServer{behind: data[0]&1 != 0, bytes: data[2:]}
		k.o.Limits = quietly()
		k.o.Limits.MaxMessageSize, k.o.Workers = 100_000, int(data[0]>>3&1)
		if data[0]&2 != 0 {
			k.o.Deflate = &deflate.Policy{}
		}
		if data[0]&4 != 0 {
			k.d.Protocols = []string{"chat"}
		}
		k.native(t, rand.New(rand.NewPCG(uint64(data[1]), 1)))
		k.bridged(t)
	})
}

// fuzzedServer is what one server sends.
type fuzzedServer struct {
	behind bool
	bytes  []byte
	o      ClientOptions
	d      DialOptions
}

func (k *fuzzedServer) answer(ask *simAsk, key string) []byte {
	if !k.behind {
		return bytes.Replace(k.bytes, []byte("KEY"), []byte(simAcceptKey(key)), 1)
	}
	a := simAnswer{status: "101 Switching Protocols", upgrade: "websocket", connection: "Upgrade", accept: simAcceptKey(key)}
	if len(ask.Protocols) > 0 {
		a.protocol = ask.Protocols[0]
	}
	if k.o.Deflate != nil {
		a.extensions = "permessage-deflate"
	}
	return append([]byte(a.String()), k.bytes...)
}

func (k *fuzzedServer) native(t *testing.T, r *rand.Rand) {
	s := newClientRig(&rig{rng: r, world: sim.New(r.Uint64(), sim.Faults{}), buf: make([]byte, 64<<10)}, k.o)
	a := s.named(simAsk{DialOptions: k.d}, families(1, 0), nil)
	a.mute = true
	s.settle()
	for all := k.answer(a.ask, a.key); len(all) > 0; {
		n := 1 + r.IntN(len(all))
		a.pend, all = append(a.pend, all[:n]...), all[n:]
		s.settle()
	}
	a.answers = false
	a.serve()
	a.end.CloseWrite()
	s.pass(time.Minute)
	s.wants(a.was("OnClose"), "the server has gone, and there is no OnClose: %v", a.events)
	if err := s.finish(); err != nil {
		t.Error(err)
	}
}

func (k *fuzzedServer) bridged(t *testing.T) {
	o := k.o
	o.Logger, o.Loops = quietLogger, 1
	o.DialContext = func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go k.serve(theirs)
		return ours, nil
	}
	opened, ended := 0, make(chan string, 8)
	c, err := NewClient(Funcs{
		Open:  func(*Conn) { opened++ },
		Error: func(c *Conn, _ error) { ended <- "error " + c.ReadyState().String() },
		Close: func(c *Conn, _ CloseEvent) { ended <- "close " + c.ReadyState().String() },
	}, o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Start("ws://fuzz.test/", k.d); err != nil {
		t.Fatal(err)
	}
	what := receive(t, ended, "the end")
	if what == "error CLOSED" {
		what = receive(t, ended, "OnClose")
	} else if opened == 0 {
		t.Error("never OPEN, and no error")
	}
	if what != "close CLOSED" || opened > 1 {
		t.Error(what, opened)
	}
}

// serve plays the server on a pipe: it sends while it reads, or both ends would wait for each other.
func (k *fuzzedServer) serve(nc net.Conn) {
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(timeoutOf(20)))
	b := bufio.NewReader(nc)
	req, err := http.ReadRequest(b)
	if err != nil {
		return
	}
	go func() { _, _ = io.Copy(io.Discard, b) }()
	_, _ = nc.Write(k.answer(&simAsk{DialOptions: k.d}, req.Header.Get("Sec-WebSocket-Key")))
}
