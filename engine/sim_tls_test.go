package engine

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"io"
	"iter"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/netio"
	"github.com/gannet-ws/gannet/engine/internal/sim"
)

// TLS in a simulation: the real carrier, netio.Secure, over simulated sockets, and crypto/tls at both ends. Handshakes are coroutines, which go on when
// the simulation has them, so that equal seeds are equal runs as far as anything can be told of ciphertext: its sizes and its order. Its bytes
// differ, as crypto/tls takes no seed.

// simEnd is a simulated peer's end of its connection: a *sim.Peer, or a *sim.TLSPeer. What is written, read and tapped is
// the stream that the engine's handler knows of; what waits, and the room for more, is the network's.
type simEnd interface {
	Write(b []byte) (int, error)
	Read(b []byte) (int, error)
	Flush() (busy bool)
	Tap(f func([]byte))
	CloseWrite()
	Truncate()
	Close()
	Drop()
	Reset()

	Addr() netip.AddrPort
	MoveTo(a netip.AddrPort)
	Left() bool
	Lost() bool
	Broken() bool
	Waiting() int
	Unread() int
	Room() int
	Widen(room int)
}

var (
	_ simEnd = (*sim.Peer)(nil)
	_ simEnd = (*sim.TLSPeer)(nil)
)

// simPoller is a simulated poller, and whom it tells.
type simPoller struct {
	*sim.System
	handler netio.Handler

	// Beneath a carrier of TLS.
	background *simBackground
	begun      bool
	inside     map[int]int // descriptors in whose calls somebody is: the carrier has their lock
}

func (p *simPoller) turn() (alive bool) { return p.System.Turn(p.handler) }

// Run notes whom to tell: the turns are the simulation's. When it is called again the loop has ended, and a goroutine of the carrier's sees to what
// is left of it.
func (p *simPoller) Run(h netio.Handler) error {
	p.handler = h
	if !p.begun {
		p.begun = true
		return nil
	}
	p.background.now.poller = p
	for p.System.Turn(h) {
		p.background.now.yield(struct{}{})
	}
	return nil
}

func (p *simPoller) Read(fd int, b []byte) (int, error) {
	p.inside[fd]++
	defer p.leave(fd)
	return p.System.Read(fd, b)
}

func (p *simPoller) Write(fd int, b []byte) (int, error) {
	p.inside[fd]++
	defer p.leave(fd)
	return p.System.Write(fd, b)
}

func (p *simPoller) CloseWrite(fd int) error {
	p.inside[fd]++
	defer p.leave(fd)
	return p.System.CloseWrite(fd)
}

func (p *simPoller) leave(fd int) { p.inside[fd]-- }

// simulatedSecureLoops are what secureLoops does.
func simulatedSecureLoops(e *engine, w *sim.World, b *simBackground) (loops []*loop, pollers []*simPoller) {
	e.shakes = netio.NewHandshakes(1<<10, b.beginParking) // more than there are: no clock but the simulation's
	for range e.conf.Loops {
		p := &simPoller{System: w.NewSystem(), background: b, inside: map[int]int{}}
		secure := netio.NewSecure(p, e.shakes)
		l := e.newLoop(secure, nil, e.native[0].table)
		_ = secure.Run(l)
		secure.OnWake()
		loops, pollers = append(loops, l), append(pollers, p)
	}
	e.secure = loops
	e.publishLoops(loops)
	return loops, pollers
}

// simParked is a goroutine that was begun and waits for its poller.
type simParked struct {
	next   func() (struct{}, bool)
	yield  func(struct{}) bool
	poller *simPoller
}

// beginParking is begin for what may run a poller.
func (b *simBackground) beginParking(f func()) {
	k := new(simParked)
	k.next, _ = iter.Pull(func(yield func(struct{}) bool) {
		k.yield = yield
		f()
	})
	b.begin(func() { b.step(k) })
}

func (b *simBackground) step(k *simParked) {
	before := b.now
	b.now = k
	if _, more := k.next(); more {
		b.parked = append(b.parked, k)
	}
	b.now = before
}

// goOn has those go on whose pollers have something to tell.
func (b *simBackground) goOn() (busy bool) {
	all := b.parked
	b.parked = nil
	for _, k := range all {
		if k.poller.Idle() {
			b.parked = append(b.parked, k)
			continue
		}
		b.step(k)
		busy = true
	}
	return busy
}

// simTLS is what the two ends of a simulation's connections over TLS have.
type simTLS struct {
	server *tls.Config
	cache  tls.ClientSessionCache // nil: no session is resumed
	time   func() time.Time
	rng    *rand.Rand
}

// simCertificate's signatures have one size.
var simCertificate = sync.OnceValue(func() tls.Certificate {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	about := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: simEpoch.AddDate(10, 0, 0)}
	der, err := x509.CreateCertificate(nil, about, about, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

var simEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newSimTLS(w *sim.World, r *rand.Rand) *simTLS {
	k := &simTLS{rng: r, time: func() time.Time { return simEpoch.Add(w.Clock()) }}
	k.server = &tls.Config{Certificates: []tls.Certificate{simCertificate()}, Time: k.time}
	if r.IntN(2) == 0 {
		k.cache = tls.NewLRUClientSessionCache(8)
	}
	return k
}

// client is a client's config, of either version.
func (k *simTLS) client() *tls.Config {
	c := &tls.Config{InsecureSkipVerify: true, ServerName: "sim.test", Time: k.time, ClientSessionCache: k.cache}
	if c.MinVersion = tls.VersionTLS13; k.rng.IntN(3) == 0 {
		c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	}
	return c
}

// calls makes a peer a client over TLS.
func (k *simTLS) calls(p *sim.Peer) *sim.TLSPeer { return k.cuts(sim.OverTLS(p, false, k.client())) }

// serves makes a peer a server over TLS. chosen is called when the engine sends to it.
func (k *simTLS) serves(p *sim.Peer, chosen func()) *sim.TLSPeer {
	t := k.cuts(sim.OverTLS(p, true, k.server))
	t.Heard = chosen
	return t
}

// cuts makes its ciphertext leave in pieces.
func (k *simTLS) cuts(t *sim.TLSPeer) *sim.TLSPeer {
	most := []int{3, 100, 5000, 1 << 20}[k.rng.IntN(4)]
	t.Cut = func(n int) int { return 1 + k.rng.IntN(min(n, most)) }
	return t
}

// checkTLS: an end that speaks TLS finds nothing wrong with what it reads, and the stream ends with close_notify.
func (d *ledger) checkTLS() {
	t, ok := d.peer.end.(*sim.TLSPeer)
	if !ok {
		return
	}
	if err := t.Err(); err != nil && err != io.EOF && err != sim.ErrParked {
		d.broke("the peer's TLS ends with %v", err)
	}
	if d.peer.truncated && t.Open() && !t.Broken() {
		d.broke("the stream ends without close_notify (%+v)", d.event)
	}
}

// port is where a connection goes that begins here.
func (d *ledger) port() uint16 {
	if d.secured {
		return 443
	}
	return 80
}

// sealing tells whether the carrier is in the middle of something with a connection: it has the lock, and who writes waits for it.
func (m *simulation) sealing(c *Conn) bool {
	for _, p := range m.systems {
		if p.inside[int(c.fd)] > 0 {
			return true
		}
	}
	return false
}

// departed: the engine has closed the descriptor, and the carrier delivers what it has sealed ahead.
func (d *ledger) departed() bool { return d.conn.loop.secure != nil && d.conn.phase == phaseBuried }

// TestSimSpeaksTLS: simulations of both roles shake hands, with both versions, and resume sessions.
func TestSimSpeaksTLS(t *testing.T) {
	done, resumed := [2]uint64{}, [2]uint64{}
	for seed := uint64(0); seed < 300 && min(done[0], done[1], resumed[0], resumed[1]) == 0; seed++ {
		m := newSimulation(seed)
		if err := m.run(); err != nil {
			t.Fatal(err)
		}
		role := 0
		if m.client != nil {
			role = 1
		}
		done[role] += m.engine.shakes.Counts.Done.Load()
		resumed[role] += m.engine.shakes.Counts.Resumed.Load()
	}
	if min(done[0], done[1], resumed[0], resumed[1]) == 0 {
		t.Errorf("servers and clients shook hands %d times, and resumed %d sessions", done, resumed)
	}
}
