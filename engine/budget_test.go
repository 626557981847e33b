package engine

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The choice of who is closed fits together though holders shrink between two looks at them (issue 7, point 15).
func TestBudgetShedsWhileHoldersShrink(t *testing.T) {
	r := newTapeRig(t, Funcs{}, Options{})
	b := &r.s.budget
	b.limit = 1
	var all [3]holding
	for i := range all {
		all[i].set(&Conn{loop: r.l}, 600_000+int64(i))
		b.holders[i].shed = false
	}
	b.mu.Lock()
	over, most := b.lookLocked()
	for i := range all {
		all[i].set(b.holders[i].conn, reserveBytes+1) // needs no lock of the budget's
	}
	worst := b.worstLocked(most)
	b.mu.Unlock()
	if over <= 0 || most != 600_002-reserveBytes || worst == nil {
		t.Error(over, most, worst)
	}
}

// Holders come, shrink and go while others are chosen; in the end nothing is charged.
func TestBudgetStorm(t *testing.T) {
	r := newTapeRig(t, Funcs{}, Options{})
	b := &r.s.budget
	b.limit = 1
	stop := make(chan struct{})
	var all sync.WaitGroup
	for i := range 3 {
		c := &Conn{loop: r.l}
		all.Go(func() {
			var h holding
			defer h.set(c, 0)
			for k := 0; ; k++ {
				select {
				case <-stop:
					return
				default:
				}
				h.set(c, reserveBytes+1+int64((i+k)%7)*100_000)
				if k%16 == 0 {
					h.set(c, 0)
				}
			}
		})
	}
	for end := time.Now().Add(100 * time.Millisecond); time.Now().Before(end); {
		b.shed()
		_ = b.shedOn(r.l)
		b.mu.Lock()
		for _, h := range b.holders {
			h.shed = false
		}
		b.mu.Unlock()
		r.l.mailbox.take(nil)
	}
	close(stop)
	all.Wait()
	if n := b.used.Load(); n != 0 || len(b.holders) != 0 {
		t.Errorf("%d bytes are charged to %d holders", n, len(b.holders))
	}
}

// Who was chosen and has let go of everything meanwhile, is spared.
func TestBudgetSparesWhoLetGo(t *testing.T) {
	r := newTapeRig(t, Funcs{}, Options{InboundBudget: 1 << 20})
	c := r.open()
	var h holding
	h.set(c, 2<<20)
	if c.todo.Load()&todoShed == 0 {
		t.Fatal("nobody was chosen")
	}
	h.set(c, 0)
	r.settle()
	if st := r.s.Stats(); c.ReadyState() != Open || st.Causes["inbound-budget"] != 0 {
		t.Errorf("%v %+v", c.ReadyState(), st)
	}
	h.set(c, 2<<20)
	r.settle()
	if code := r.closeCode(); code != 1013 || r.s.Stats().Causes["inbound-budget"] != 1 {
		t.Error("Close", code)
	}
	h.set(c, 0)
	r.end()
}

// Undecided handshakes (Upgrade.Later) hold what came behind the request, and the copy of it: the budget counts
// that, and those that hold most are refused (issue 7, point 24).
func TestBudgetCountsUndecidedHandshakes(t *testing.T) {
	const budget, waiting, behind = 1 << 20, 60, 120 << 10
	var late []*Upgrade
	s, err := NewServer(Funcs{Upgrade: func(u *Upgrade) {
		u.Later()
		late = append(late, u)
	}}, Options{InboundBudget: budget, Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	m := &meter{credit: 1 << 30}
	m.start = time.Now()
	l := s.newLoop(m, nil, nil)
	s.loops.Store(&[]*loop{l})
	said := append([]byte(requestFor("/", "X-Padding: "+strings.Repeat("x", 8000))), maskedFrame(0x82, make([]byte, behind))...)
	var conns []*Conn
	for i := range waiting {
		if _, ok := s.admitConn(new(arrival)); !ok {
			t.Fatal("not admitted")
		}
		l.adopt(arrival{fd: 5 + i, early: said})
		conns = append(conns, late[i].Conn()) // its refusal may have left, and it the table
		if n := s.Stats().InboundBytes; n > budget+int64(len(said)) {
			t.Fatalf("%d bytes are charged", n)
		}
		l.OnWake()
	}
	st, refused := s.Stats(), 0
	for _, c := range conns {
		if c.ReadyState() == Closed {
			refused++
		}
	}
	// What a connection may hold besides is its reserve.
	if fit := waiting - refused; st.InboundBytes > budget || int64(fit)*int64(behind-reserveBytes) > budget || int64(fit+1)*2*behind < budget {
		t.Errorf("%d wait, and %d bytes are charged", fit, st.InboundBytes)
	}
	if n := strings.Count(string(m.taken), "HTTP/1.1 503"); n != refused || st.Refusals["inbound-budget"] != uint64(refused) {
		t.Errorf("%d were refused, %d got 503: %v", refused, n, st.Refusals)
	}
	for i, u := range late {
		if err := u.Accept(); (err == nil) != (conns[i].ReadyState() == Connecting) {
			t.Errorf("%v: %v", conns[i].ReadyState(), err)
		}
	}
	for range 2 * waiting {
		l.OnWake() // what came behind the request
	}
	l.OnBatchEnd()
	if st := s.Stats(); st.Open != int64(waiting-refused) || st.MessagesIn != uint64(waiting-refused) || st.InboundBytes != 0 {
		t.Errorf("%+v", st)
	}
	l.terminateEach()
	l.OnWake()
	if n := s.Stats().Buffers.Out; n != 0 {
		t.Errorf("%d buffers are out", n)
	}
}

// Small as they are, callbacks that wait for a worker count (posted functions among them), and nobody's reading goes on
// behind a full inbox.
func TestWorkersErrandsCount(t *testing.T) {
	release := make(chan struct{})
	conns := make(chan *Conn, 1)
	var ran atomic.Int32
	s := startServer(t, Funcs{Open: func(c *Conn) { conns <- c; <-release }}, Options{Workers: 1, InboxBytes: 64 << 10})
	letGo := sync.OnceFunc(func() { close(release) })
	t.Cleanup(letGo)
	f := dialForeign(t, s, 0)
	c := receive(t, conns, "the connection")
	const n = 3000
	for range n {
		_ = c.Post(func(*Conn) { ran.Add(1) })
	}
	done := make(chan string)
	c.loop.post(task{call: func() {
		b := c.lockedInbox()
		done <- fmt.Sprint(b.bytes >= n*letterBytes, " ", b.full, " ", c.flags&pausedByInbox != 0)
		b.mu.Unlock()
	}})
	if got := receive(t, done, "the account"); got != "true true true" {
		t.Error(got)
	}
	letGo()
	within(t, timeoutOf(5), "all", func() bool { return ran.Load() == n })
	f.text("reading goes on")
	within(t, timeoutOf(5), "a message", func() bool { return s.Stats().MessagesIn == 1 })
}
