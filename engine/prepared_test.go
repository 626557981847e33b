package engine

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gobwas/ws"
)

// A message framed once, sent to many (Prepare, SendPrepared).

func TestPrepareCopies(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{})
		f := dialForeign(t, s, 0)
		c := d.conn()
		for _, n := range []int{0, 10, 5000, 70_000} {
			p := bytes.Repeat([]byte("p"), n)
			prepared, err := Prepare(OpBinary, p)
			if err != nil {
				t.Fatal(err)
			}
			for i := range p {
				p[i] = 'x'
			}
			for range 3 { // it is not used up
				if err := c.SendPrepared(prepared); err != nil {
					t.Fatal(err)
				}
				f.wants(ws.OpBinary, string(bytes.Repeat([]byte("p"), n)))
			}
		}
	})
}

func TestPrepareErrors(t *testing.T) {
	for _, op := range []Opcode{0, OpClose, OpPing, OpPong, 3, 15} {
		_, err := Prepare(op, nil)
		isAll(t, err, ErrSyntax)
	}
	_, err := Prepare(OpText, []byte("a\xff"))
	isAll(t, err, ErrInvalidUTF8, ErrSyntax)
}

// Many connections, many goroutines, several messages at once: each whole and each sender's
// in its order.
func TestPreparedToMany(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		const conns, senders, each = 30, 4, 20
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{Loops: 2})
		var clients []*foreign
		var all []*Conn
		for range conns {
			clients = append(clients, dialForeign(t, s, 0))
			all = append(all, d.conn())
		}
		text := func(g, i int) []byte {
			return fmt.Appendf(nil, "%d %d %s", g, i, bytes.Repeat([]byte("="), (g+i)%3*6000))
		}
		for g := range senders {
			go func() {
				for i := range each {
					p, err := Prepare(OpText, text(g, i))
					if err != nil {
						t.Error(err)
						return
					}
					for _, c := range all {
						if err := c.SendPrepared(p); err != nil {
							t.Error(err)
						}
					}
				}
			}()
		}
		var readers sync.WaitGroup
		for _, f := range clients {
			readers.Go(func() {
				var next [senders]int
				for range senders * each {
					fr, err := readFrame(f)
					var g, i int
					if err == nil {
						_, err = fmt.Sscanf(string(fr.Payload), "%d %d", &g, &i)
					}
					if err != nil || next[g] != i || !bytes.Equal(fr.Payload, text(g, i)) {
						t.Errorf("%.20q: %v", fr.Payload, err)
						return
					}
					next[g]++
				}
			})
		}
		readers.Wait()
	})
}

// A queue of prepared messages holds their bytes once, not once a connection; what is cut
// off by a full socket goes on where it stopped.
func TestPreparedInTheQueue(t *testing.T) {
	l, m, c := meteredConn(t, Funcs{}, Options{Limits: Limits{HighWater: 64 << 20}})
	payload := bytes.Repeat([]byte("0123456789"), 10_000)
	p, err := Prepare(OpBinary, payload)
	if err != nil {
		t.Fatal(err)
	}
	const messages = 20
	m.credit = 12_345 // the first is cut in its middle, before anything is queued
	for range messages {
		if err := c.SendPrepared(p); err != nil {
			t.Fatal(err)
		}
	}
	if held := l.engine.snapshot().Buffers.OutBytes; held > 2*int64(len(payload)) {
		t.Errorf("%d bytes of buffers for %d prepared messages of %d", held, messages, len(payload))
	}
	for c.BufferedAmount() > 0 {
		m.room(l, 33_333)
	}
	if want := bytes.Repeat(codec.AppendFrame(nil, p.made.Op(), true, false, p.made.Payload()), messages); !bytes.Equal(m.taken, want) {
		t.Errorf("%d bytes left, want %d, or others", len(m.taken), len(want))
	}
}
