package agent

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/gannet-ws/gannet/bench/load"
	"github.com/gannet-ws/gannet/bench/load/wire"
)

const (
	offered   = time.Minute // so long an offer stands
	mostOffer = 16          // at once: the coordinators of so many runs may call
)

// ErrTooLong ends a run that takes longer than the agent's policy allows.
var ErrTooLong = errors.New("the run took longer than --max-duration")

// Options are what an agent is.
type Options struct {
	Name    string // for people: this machine's
	Version string // of gannet
	Token   []byte // that the coordinator knows, at least 16 bytes
	Prefix  string // of subjects; "": DefaultPrefix
	Policy  Policy

	// Make makes the generator of a share that the policy covers.
	Make func(load.Share) (load.Generator, error)

	// Log hears in a line what the agent does: who it works for, what it refuses, and how it ended. It may be nil.
	Log func(line string)
}

// Run is an agent until ctx ends, which ends a run of its as well; that is no error. It does one run at a time.
// A run ends when its coordinator is gone, too, or silent for 30 seconds.
func Run(ctx context.Context, conn *nats.Conn, o Options) error {
	o.Prefix = cmp.Or(o.Prefix, DefaultPrefix)
	if err := errors.Join(checkToken(o.Token), checkPrefix(o.Prefix), o.Policy.Check()); err != nil {
		return err
	}
	if o.Log == nil {
		o.Log = func(string) {}
	}
	a := &agent{conn: conn, o: o, id: newID(), offers: map[string]*pending{}, taken: make(chan *pending)}
	calls, err := conn.Subscribe(o.Prefix+".call", a.called)
	if err != nil {
		return err
	}
	defer a.leave(calls)
	for {
		select {
		case p := <-a.taken:
			a.work(ctx, p)
		case <-ctx.Done():
			return nil
		}
	}
}

// newID is nobody else's.
func newID() string {
	inbox := nats.NewInbox()
	return inbox[strings.LastIndexByte(inbox, '.')+1:]
}

// agent is one that answers calls.
type agent struct {
	conn  *nats.Conn
	o     Options
	id    string
	taken chan *pending

	mu     sync.Mutex
	busy   bool
	offers map[string]*pending // by run
	left   bool
}

// pending is an offer that may be taken.
type pending struct {
	run     string
	nonce   []byte
	session *session
	expires *time.Timer
}

// called answers a coordinator. NATS calls it from one goroutine.
func (a *agent) called(m *nats.Msg) {
	var c call
	if heard(m.Data, &c) != nil || c.Protocol != protocol || !anID.MatchString(c.Run) {
		return // not ours, or another version's
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.left {
		return
	}
	p := a.offers[c.Run]
	if p == nil && !a.busy && len(a.offers) < mostOffer {
		var err error
		if p, err = a.offerLocked(c.Run); err != nil {
			a.o.Log("cannot answer a call: " + err.Error())
			return
		}
	}
	f := offer{
		Protocol: protocol, Version: a.o.Version, Agent: a.id, Name: a.o.Name, Nonce: make([]byte, nonceLength),
		MaxRate: a.o.Policy.MaxRate, MaxConnections: a.o.Policy.MaxConnections,
	}
	if f.Busy = a.busy || p == nil; !f.Busy {
		f.Nonce = p.nonce
	}
	if err := a.conn.Publish(a.o.Prefix+"."+c.Run+".offers", said(f)); err != nil {
		a.o.Log("cannot answer a call: " + err.Error())
	}
}

// offerLocked begins to wait for a coordinator's first word.
func (a *agent) offerLocked(run string) (*pending, error) {
	p := &pending{run: run, nonce: make([]byte, nonceLength)}
	_, _ = rand.Read(p.nonce) // never fails
	var err error
	if p.session, err = newSession(a.conn, a.o.Prefix, run, a.id, keyOf(a.o.Token, run, a.id, p.nonce), false); err != nil {
		return nil, err
	}
	a.offers[run] = p
	p.expires = time.AfterFunc(offered, func() { a.withdraw(p) })
	go func() {
		if p.session.await() != nil {
			return
		}
		select {
		case a.taken <- p:
		case <-p.session.done:
		}
	}()
	return p, nil
}

// withdraw ends an offer that nobody took.
func (a *agent) withdraw(p *pending) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.offers[p.run] == p {
		delete(a.offers, p.run)
		_ = p.session.Close() // nobody hears it
	}
}

// withdrawAllBut ends all offers but one, which is no offer any more.
func (a *agent) withdrawAllBut(taken *pending) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.busy = taken != nil
	for run, p := range a.offers {
		p.expires.Stop()
		if p != taken {
			_ = p.session.Close() // nobody hears it
		}
		delete(a.offers, run)
	}
}

// work does a run.
func (a *agent) work(ctx context.Context, p *pending) {
	a.withdrawAllBut(p)
	ctx, cancel := context.WithTimeoutCause(ctx, a.o.Policy.MaxDuration, ErrTooLong)
	defer cancel()
	err := wire.Serve(ctx, p.session, a.make)
	switch {
	case err == nil:
		a.o.Log("the run is done")
	case errors.Is(err, context.Canceled):
		a.o.Log("the run was ended: this agent was told to stop")
	default:
		a.o.Log("the run was ended: " + err.Error())
	}
	a.mu.Lock()
	a.busy = false
	a.mu.Unlock()
}

// make makes the generator of a share, if the policy covers it.
func (a *agent) make(s load.Share) (load.Generator, error) {
	if err := a.o.Policy.admit(s); err != nil {
		a.o.Log(err.Error())
		return nil, err
	}
	g, err := a.o.Make(s)
	if err != nil {
		a.o.Log("a share cannot be done: " + err.Error())
		return nil, err
	}
	a.o.Log(fmt.Sprintf("share %d of %d of a run: %s, %d connections, %.6g messages a second", s.Index+1, s.Of, s.Plan.URL, s.Connections, s.Rate))
	return capped{g, a.o.Policy, s}, nil
}

// leave answers no call any more.
func (a *agent) leave(calls *nats.Subscription) {
	_ = calls.Unsubscribe() // a closed connection has none
	a.mu.Lock()
	a.left = true
	a.mu.Unlock()
	a.withdrawAllBut(nil)
}
