package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/netio"
	"github.com/gannet-ws/gannet/engine/internal/sim"
)

// A client in a simulation: the network and the names are the simulation's, and each connection has laws besides
// those of every connection. Goroutines that the engine begins run when the simulation has them run.

// simBackground are goroutines that were begun and have not run.
type simBackground struct {
	waiting []func()
	parked  []*simParked // those that have run, and wait
	now     *simParked   // which of them is running
}

func (b *simBackground) begin(f func()) { b.waiting = append(b.waiting, f) }

// run runs the first one, as a goroutine would: in the middle of whatever the loops do.
func (b *simBackground) run() bool {
	if len(b.waiting) == 0 {
		return b.goOn()
	}
	f := b.waiting[0]
	b.waiting = b.waiting[1:]
	f()
	return true
}

// simNames resolves names by calling itself.
type simNames func(ctx context.Context, name string) ([]netip.Addr, error)

func (f simNames) LookupNetIP(ctx context.Context, network, name string) ([]netip.Addr, error) {
	if network != "ip" {
		return nil, fmt.Errorf("network %q", network)
	}
	return f(ctx, name)
}

// clientOptions are a client's that mean what these mean.
func clientOptions(o Options) ClientOptions {
	return ClientOptions{
		Loops: o.Loops, Limits: o.Limits, MaxConns: o.MaxConns, InboundBudget: o.InboundBudget, MaxClosing: o.MaxClosing,
		HandshakeTimeout: o.HandshakeTimeout, MaxHandshakeBytes: o.MaxHandshakeBytes, Deflate: o.Deflate, Compress: o.Compress,
		Workers: o.Workers, InboxBytes: o.InboxBytes, Logger: o.Logger,
	}
}

// isClients tells whether a seed's run is a client's: every third is.
func isClients(seed uint64) bool { return seed%3 == 2 }

// simAddr is the kth address of connection id. The odd ones are of IPv6.
func simAddr(id, k int) netip.Addr {
	if k%2 == 0 {
		return netip.AddrFrom4([4]byte{10, 1, byte(id), byte(k)})
	}
	return netip.AddrFrom16([16]byte{0: 0xfd, 13: byte(id), 15: byte(k)})
}

func idOfAddr(a netip.Addr) (id int) {
	if a.Is4() {
		return int(a.As4()[2])
	}
	return int(a.As16()[13])
}

// tried is an attempt to connect of which the network knows.
type tried struct {
	end    simEnd
	addr   netip.Addr
	index  int           // of its address
	at     time.Duration // when
	until  time.Duration // when it fails; 0: it does not
	denied uint64        // what the machine had denied by then

	refused bool // at once
}

// dialledLaws is what a ledger knows of a connection that begins here.
type dialledLaws struct {
	ask     *simAsk
	addrs   []netip.Addr // in the order in which they are to be tried; nil: not resolved yet
	tried   []*tried
	chosen  *tried // which of them sends
	secured bool   // over TLS
	early   int    // of them began sooner than connectStagger after the one before
	gaveUp  bool   // closed by us in CONNECTING
	noNames bool   // its name has no address
}

// begin starts a connection.
func (m *simulation) begin() {
	d := &ledger{m: m, id: len(m.ledgers)}
	d.secured = m.tls != nil && m.tls.rng.IntN(4) != 0
	host := fmt.Sprintf("n%d.test", d.id)
	if m.rng.IntN(3) == 0 {
		d.addrs = []netip.Addr{simAddr(d.id, m.rng.IntN(2))}
		host = strings.TrimSuffix(netip.AddrPortFrom(d.addrs[0], 80).String(), ":80")
	}
	offer := ""
	if x := m.engine.conf.deflate; x != nil {
		offer = x.Offer()
	}
	ask := randomAsk(m.rng, host, d.id, offer)
	if d.secured {
		ask.url, ask.TLSConfig = "wss"+strings.TrimPrefix(ask.url, "ws"), m.tls.client()
	}
	d.ask, d.wire.to, d.wire.client = &ask, d, true
	d.peer = newSimServer(m.rng, m.world.NewPeer(0, 0), d.id, d.ask)
	d.peer.rarelyLong, d.peer.kind = m.rarelyLong, m.quiet
	d.peer.onAnswer = func() { d.wire.agree(d.peer.agreed) }
	m.ledgers = append(m.ledgers, d)
	total := m.engine.total
	c, err := m.client.Start(ask.url, ask.DialOptions)
	if err != nil {
		m.ledgers = m.ledgers[:d.id]
		if full := total >= m.engine.conf.MaxConns; (err != ErrTooManyConns || !full) && err != ErrClientClosed {
			m.broke("Start: %v, of %d connections there are %d", err, m.engine.conf.MaxConns, total)
		}
		return
	}
	d.conn = c
	m.byConn[c] = d
	if s := c.ReadyState(); s != Connecting || c.URL() != ask.url {
		d.broke("Start returns in %v, with %s", s, c.URL())
	}
	if m.rng.IntN(4) != 0 {
		_ = c.SetLimits(m.randomLimits())
	}
}

// resolve answers for the names of all connections.
func (m *simulation) resolve(ctx context.Context, name string) ([]netip.Addr, error) {
	id, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(name, "n"), ".test"))
	if err != nil || id >= len(m.ledgers) || m.ledgers[id].addrs != nil {
		m.broke("%q is to be resolved", name)
		return nil, errors.New("no such name")
	}
	d := m.ledgers[id]
	d.noNames = true
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case m.rng.IntN(12) == 0 && !m.quiet:
		return nil, errors.New("no such name")
	case m.rng.IntN(20) == 0 && !m.quiet:
		return nil, nil
	}
	d.noNames = false
	var all, first, second []netip.Addr
	for _, k := range m.rng.Perm(6)[:1+m.rng.IntN(4)] {
		all = append(all, simAddr(id, k))
	}
	for _, a := range all {
		if a.Is4() == all[0].Is4() {
			first = append(first, a)
		} else {
			second = append(second, a)
		}
	}
	for len(first)+len(second) > 0 { // RFC 8305 4
		for _, some := range []*[]netip.Addr{&first, &second} {
			if len(*some) > 0 {
				d.addrs, *some = append(d.addrs, (*some)[0]), (*some)[1:]
			}
		}
	}
	return all, nil
}

// connects is the network: an attempt to connect begins.
func (m *simulation) connects(to netio.Target) (r sim.Route) {
	id := idOfAddr(to.Addr.Addr())
	if to.Unix != "" || id >= len(m.ledgers) || to.Addr.Port() != m.ledgers[id].port() {
		m.broke("an attempt to connect to %v", to)
		return sim.Route{Refuses: syscall.EINVAL}
	}
	d := m.ledgers[id]
	k := d.tries(to)
	rooms := []int{200, 4 << 10, 64 << 10, 256 << 10}
	if m.quiet {
		rooms = rooms[2:]
	}
	r.Peer = m.world.NewPeer(rooms[m.rng.IntN(len(rooms))], rooms[m.rng.IntN(len(rooms))])
	k.end = r.Peer
	if d.secured {
		k.end = m.tls.serves(r.Peer, func() { d.choose(k) })
	}
	k.end.Tap(func(p []byte) {
		d.choose(k)
		d.onWire(p)
	})
	if m.quiet {
		d.tried = append(d.tried, k)
		return r
	}
	r.After = time.Duration(m.rng.IntN(int(3 * time.Millisecond)))
	switch f := m.rng.IntN(20); {
	case f < 3:
		r.Fails = syscall.ECONNREFUSED
	case f == 3:
		r.Refuses = []error{syscall.EADDRNOTAVAIL, syscall.ENETUNREACH, syscall.EMFILE}[m.rng.IntN(3)]
		k.refused, k.until = true, m.world.Clock()
	case f < 6:
		r.Silent = true
	case f < 8:
		r.After = time.Duration(m.rng.Int64N(int64(3 * time.Second)))
	case f == 8:
		r.After, r.Fails = time.Duration(m.rng.IntN(int(2*time.Second))), syscall.ETIMEDOUT
	}
	if r.Fails != nil {
		k.until = m.world.Clock() + r.After
	}
	d.tried = append(d.tried, k)
	return r
}

// tries: an attempt begins. They come in order, none sooner than it may, and none when all is over.
func (d *ledger) tries(to netio.Target) *tried {
	now := d.m.world.Clock()
	k := &tried{at: now, index: -1, denied: d.m.world.Denied()}
	for i, a := range d.addrs {
		if a == to.Addr.Addr() {
			k.index = i
		}
	}
	if d.conn == nil || d.conn.ReadyState() == Closed || d.chosen != nil || d.opened {
		d.broke("tries %v; chosen %v, opened %v, closed %v", to.Addr, d.chosen, d.opened, d.closed)
	}
	if n := len(d.tried); n > 0 {
		last := d.tried[n-1]
		if k.index <= last.index {
			d.broke("tries address %d after %d", k.index, last.index)
		}
		if now-last.at < connectStagger && last.denied == k.denied {
			d.early++
		}
		failed := 0
		for _, t := range d.tried {
			if t.until != 0 && t.until <= now || t.end.Lost() {
				failed++
			}
		}
		if d.early > failed {
			d.broke("tries the next address %v after the last one; %d attempts have failed", now-last.at, failed)
		}
	} else if k.index < 0 {
		d.broke("tries %v, of %v", to.Addr, d.addrs)
	}
	return k
}

// choose: the engine sends to this one.
func (d *ledger) choose(k *tried) {
	if d.chosen == nil {
		d.chosen, d.peer.end = k, k.end
	}
	if d.chosen != k {
		d.broke("sends to two servers")
	}
}

// asks: the request is on the wire.
func (d *ledger) asks(request string) {
	key, wrong := d.ask.check(request)
	if wrong != nil {
		d.broke("%v", wrong)
	}
	if d.m.keys[key] {
		d.broke("the key %q a second time", key)
	}
	d.m.keys[key] = true
}

// checkOpened: a connection that began here opens for a right answer alone, as it says.
func (d *ledger) checkOpened() {
	p := d.peer
	if d.gaveUp || !p.open || p.fault != "" {
		d.broke("OPEN; closed before: %v, the server's answer: %v, %s", d.gaveUp, p.open, p.fault)
	}
	if c := d.conn; c.Protocol() != p.protocol || (c.Extensions() != "") != (p.agreed != nil) {
		d.broke("agreed on %q and %q, not %q and %+v", c.Protocol(), c.Extensions(), p.protocol, p.agreed)
	}
	if d.m.engine.workers == nil && d.m.rng.IntN(6) == 0 { // else something may have left already
		d.m.seal(d)
	}
}

// checkNeverOpened: how an attempt ended.
func (d *ledger) checkNeverOpened(e CloseEvent) {
	if !d.err || e.Code != StatusAbnormalClosure || e.WasClean || e.Err == nil {
		d.broke("never OPEN, OnError: %v, OnClose: %+v", d.err, e)
	}
	var h *HandshakeError
	if errors.As(e.Err, &h) && h.Reason != "timeout" && h.Reason != "connection-lost" && h.Reason != d.peer.fault {
		d.broke("the server's answer is %s, and the error %v", d.peer.fault, e.Err)
	}
	var k *DialError
	if errors.As(e.Err, &k) && k.Op != "dial" && (k.Op != "tls" || !d.secured) && d.chosen != nil { // "dial": ended from here
		d.broke("connected, and the error is %v", e.Err)
	}
}

// checkAttempts: only the chosen one is left.
func (d *ledger) checkAttempts() {
	if d.conn.ReadyState() == Connecting && d.chosen == nil {
		return
	}
	for _, k := range d.tried {
		if k != d.chosen && !k.refused && !k.end.Left() {
			d.broke("an attempt is kept, in %v", d.conn.ReadyState())
		}
	}
}

// meddle has a server that was not asked anything yet go.
func (m *simulation) meddle() {
	d := m.ledgers[m.rng.IntN(len(m.ledgers))]
	if len(d.tried) == 0 || d.chosen != nil {
		return
	}
	k := d.tried[m.rng.IntN(len(d.tried))]
	if m.rng.IntN(2) == 0 {
		k.end.Reset()
	} else {
		k.end.Close()
	}
}

// makeClient is for a simulation of a client.
func (m *simulation) makeClient(o Options) {
	own := rand.New(rand.NewPCG(m.seed, 8305))
	k := clientOptions(o)
	k.Resolver = simNames(m.resolve)
	k.ConnectTimeout = time.Duration(1+own.IntN(10)) * time.Second
	h := m.handler()
	h.Upgrade = nil // a server's
	c, err := NewClient(h, k)
	if err != nil {
		panic(err)
	}
	m.client, m.engine, m.door, m.keys = c, &c.engine, -1, map[string]bool{}
	m.engine.background = m.background.begin
	m.world.SetNetwork(m.connects)
}
