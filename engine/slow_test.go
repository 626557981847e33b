package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"

	"github.com/gannet-ws/gannet/deflate"
)

// Slow and unlucky, not hostile (HOSTILE.md): a peer that takes data slowly and steadily is cut off by no
// clock, and one that takes a byte now and then, or nothing, by the stall clock.

// throttled reads at most so many bytes a second, a little at a time, as a slow line's or a slow reader's end does.
type throttled struct {
	net.Conn
	rate  int
	began time.Time
	read  int
}

func (s *throttled) Read(p []byte) (int, error) {
	if s.began.IsZero() {
		s.began = time.Now()
	}
	due := s.began.Add(time.Duration(s.read) * time.Second / time.Duration(s.rate))
	time.Sleep(time.Until(due))
	n, err := s.Conn.Read(p[:min(len(p), 8<<10)])
	s.read += n
	return n, err
}

// A slow download takes four seconds and a half. That is longer than every clock of hastyLimits, but for the race detector's.
const (
	slowSize = 768 << 10
	slowRate = 175 << 10 // bytes a second
)

// slowWay is a way for a download to take.
type slowWay struct {
	name    string
	door    string
	options Options
	offers  bool // permessage-deflate
}

var slowWays = []slowWay{
	{name: "plain", door: "tcp"},
	{name: "workers", door: "tcp", options: Options{Workers: 2}},
	{name: "deflate", door: "tcp", options: Options{Deflate: &deflate.Policy{}}, offers: true},
	{name: "unix", door: "unix"},
	{name: "bridge", door: "bridged tcp"},
	{name: "tls", door: "tls"},
	{name: "bridged tls", door: "bridged tls"},
	{name: "pipe", door: "bridged pipe"},
}

// slowGuest is a client that reads at slowRate.
func (w slowWay) slowGuest(t *testing.T, h *house) *guest {
	t.Helper()
	nc := h.call(t)
	var dialer ws.Dialer
	if w.offers {
		dialer.Extensions = []httphead.Option{wsflate.Parameters{}.Option()}
	}
	under := nc
	if secure, ok := nc.(*tls.Conn); ok {
		under = secure.NetConn()
	}
	if c, ok := under.(syscall.Conn); ok { // or its machine takes all, and the clocks of a peer that has taken all run
		if raw, err := c.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { _ = setReceiveBuffer(fd, 32<<10) })
		}
	}
	return welcome(t, &throttled{Conn: nc, rate: slowRate}, dialer)
}

// takeAll reads frames, answers pings, and returns how many bytes of data came when a Close frame does, or the error.
func (g *guest) takeAll(t *testing.T, until int) (data int, closed bool, err error) {
	t.Helper()
	for data < until || until == 0 {
		h, err := ws.ReadHeader(g)
		if err != nil {
			return data, false, err
		}
		if h.OpCode.IsControl() {
			p := make([]byte, h.Length)
			if _, err := io.ReadFull(g, p); err != nil {
				return data, false, err
			}
			switch h.OpCode {
			case ws.OpPing:
				g.say(t, ws.OpPong, p)
			case ws.OpClose:
				_, _ = g.Write(saidFrame(ws.OpClose, true, p[:min(len(p), 2)])) // who failed does not wait for it
				return data, true, nil
			}
			continue
		}
		n, err := io.CopyN(io.Discard, g, h.Length)
		if data += int(n); err != nil {
			return data, false, err
		}
	}
	return data, false, nil
}

// hastyLimits are clocks much shorter than a slow download.
func hastyLimits() Limits {
	unit := aliveWithin() / 5 // a reader needs some time between its kernel and what it answers
	return Limits{
		HighWater: 64 << 20, PingInterval: 2 * unit, PongTimeout: 2 * unit,
		IdleTimeout: 5 * unit, WriteStallTimeout: 8 * unit, CloseTimeout: 3 * unit,
	}
}

// forEachWay runs f for all ways at once: it is slow.
func forEachWay(f func(w slowWay)) {
	var all sync.WaitGroup
	for _, w := range slowWays {
		all.Go(func() { f(w) })
	}
	all.Wait()
}

// A download that takes longer than every clock but is steady is not cut off, however it is carried: issue 7, 1.
func TestSlowDownload(t *testing.T) {
	t.Parallel()
	sizes := map[string]int{"one message": slowSize, "many messages": 16 << 10}
	for name, each := range sizes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			forEachWay(func(w slowWay) {
				o := w.options
				o.Limits = hastyLimits()
				ended := make(chan CloseEvent, 1)
				h := doorNamed(t, w.door).raise(t, Funcs{
					Open: func(c *Conn) {
						for range slowSize / each {
							_ = c.SendBinary(noise(rand.New(rand.NewPCG(1, 7)), each))
						}
					},
					Close: func(_ *Conn, e CloseEvent) { ended <- e },
				}, o)
				g := w.slowGuest(t, h)
				if n, closed, err := g.takeAll(t, slowSize); n < slowSize || closed || err != nil {
					t.Errorf("%s: %d of %d bytes came, Close: %v, %v; %v", w.name, n, slowSize, closed, err, h.Stats().Causes)
				}
				select {
				case e := <-ended:
					t.Errorf("%s ended: %+v", w.name, e)
				default:
				}
			})
		})
	}
}

// What was queued before Close arrives, however slowly, and then the Close frame: issue 7, 2.
func TestSlowClose(t *testing.T) {
	t.Parallel()
	ways := map[string]func(h *house, c *Conn, g *guest){
		"Close":         func(_ *house, c *Conn, _ *guest) { _ = c.Close() },
		"CloseNoStatus": func(_ *house, c *Conn, _ *guest) { _ = c.CloseNoStatus() },
		"Shutdown":      func(h *house, _ *Conn, _ *guest) { go func() { _ = h.Shutdown(context.Background()) }() },
		"MaxLifetime": func(_ *house, c *Conn, _ *guest) {
			l := hastyLimits()
			l.MaxLifetime = 100 * time.Millisecond
			_ = c.SetLimits(l)
		},
		"failure": func(_ *house, _ *Conn, g *guest) { _, _ = g.Write([]byte{0x83, 0x80, 1, 2, 3, 4}) },
	}
	for name, end := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			forEachWay(func(w slowWay) {
				o := w.options
				o.Limits = hastyLimits()
				ended, opened := make(chan CloseEvent, 1), make(chan *Conn, 1)
				h := doorNamed(t, w.door).raise(t, Funcs{
					Open:  func(c *Conn) { opened <- c },
					Close: func(_ *Conn, e CloseEvent) { ended <- e },
				}, o)
				g := w.slowGuest(t, h)
				c := <-opened
				if err := c.SendBinary(noise(rand.New(rand.NewPCG(1, 7)), slowSize)); err != nil {
					t.Fatal(err)
				}
				end(h, c, g)
				n, closed, err := g.takeAll(t, 0)
				if n < slowSize || !closed || err != nil {
					t.Errorf("%s: %d of %d bytes came, Close: %v, %v; %v", w.name, n, slowSize, closed, err, h.Stats().Causes)
				}
				if e := receive(t, ended, "OnClose"); e.WasClean == (name == "failure") {
					t.Errorf("%s: %+v", w.name, e)
				}
			})
		})
	}
}

// trickled reads a byte now and then.
type trickled struct{ net.Conn }

func (s trickled) Read(p []byte) (int, error) {
	time.Sleep(20 * time.Millisecond)
	return s.Conn.Read(p[:1])
}

// Who takes a byte now and then, or nothing, is cut off by the stall clock, open and closing.
func TestTrickle(t *testing.T) {
	for _, reads := range []bool{false, true} {
		for _, closing := range []bool{false, true} {
			for _, size := range []int{100 << 10, 8 << 20} { // the second is more than a kernel takes
				name := map[bool]string{false: "nothing", true: "bytes"}[reads] + map[bool]string{false: "", true: " closing"}[closing]
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					ended, opened := make(chan CloseEvent, 1), make(chan *Conn, 1)
					s := startServer(t, Funcs{
						Open:  func(c *Conn) { opened <- c },
						Close: func(_ *Conn, e CloseEvent) { ended <- e },
					}, Options{Limits: hastyLimits()})
					f := dialForeign(t, s, 4096)
					c := <-opened
					if err := c.SendBinary(make([]byte, size)); err != nil {
						t.Fatal(err)
					}
					if closing {
						_ = c.Close()
					}
					if reads {
						go func() { _, _ = io.Copy(io.Discard, trickled{f}) }()
					}
					select {
					case e := <-ended:
						if !errors.Is(e.Err, ErrSlowConsumer) || closing && !errors.Is(e.Err, ErrCloseTimeout) {
							t.Errorf("%+v", e)
						}
					case <-time.After(timeoutOf(5)):
						t.Error("still there:", c.ReadyState())
					}
				})
			}
		}
	}
}
