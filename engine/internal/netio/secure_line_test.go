package netio_test

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/netio"
	"github.com/gannet-ws/gannet/engine/internal/sim"
)

// A line is one TLS connection between a Secure and a simulated peer. All that happens happens in calls of the test's, so a test
// decides where the ciphertext is cut and what comes between.
type line struct {
	t      testing.TB
	world  *sim.World
	sys    *driven
	secure *netio.Secure
	fd     int
	peer   *sim.TLSPeer
	shakes *netio.Handshakes
	later  []func() // goroutines of handshakes that were begun and have not run
	defers bool     // they wait in later

	watched netio.Interest
	events  netio.Event // since the test looked
	wakes   int

	room    int // how much a Read may take; 0: nothing is read
	got     []byte
	ended   error
	present []byte // of what is to be written, what was not answered
	most    int    // how much of it is presented at once; 0: all
	failed  error  // what Write ended with
	left    int    // bytes of plaintext whose records have left
	answer  int    // bytes that Write has answered
}

// driven is a simulated poller whose turns are the test's: Run only keeps whom to tell.
type driven struct {
	*sim.System
	handler netio.Handler
}

func (d *driven) Run(h netio.Handler) error {
	d.handler = h
	return nil
}

// A role says which end the carrier is, and what the peer speaks.
type role struct {
	serves  bool
	version uint16
}

func (r role) String() string {
	name := map[bool]string{true: "server", false: "client"}[r.serves]
	return name + "/" + map[uint16]string{tls.VersionTLS12: "1.2", tls.VersionTLS13: "1.3"}[r.version]
}

var roles = []role{{true, tls.VersionTLS13}, {true, tls.VersionTLS12}, {false, tls.VersionTLS13}, {false, tls.VersionTLS12}}

func forEachRole(t *testing.T, f func(t *testing.T, r role)) {
	for _, r := range roles {
		t.Run(r.String(), func(t *testing.T) { f(t, r) })
	}
}

// lineCertificate's signatures have one size, so equal calls make equal sizes.
var lineCertificate = sync.OnceValue(func() tls.Certificate {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	about := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(nil, about, about, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

func (r role) configs() (server, client *tls.Config) {
	server = &tls.Config{Certificates: []tls.Certificate{lineCertificate()}, MinVersion: r.version, MaxVersion: r.version}
	client = &tls.Config{InsecureSkipVerify: true, MinVersion: r.version, MaxVersion: r.version}
	return server, client
}

// newLine connects a carrier and a peer, with buffers of so many bytes each way. Nothing was said yet.
func newLine(t testing.TB, r role, seed uint64, toCarrier, fromCarrier int) *line {
	t.Helper()
	w := sim.New(seed, sim.Faults{})
	l := &line{t: t, world: w, sys: &driven{System: w.NewSystem()}, room: 64 << 10}
	l.shakes = netio.NewHandshakes(1000, func(f func()) {
		if l.defers {
			l.later = append(l.later, f)
		} else {
			f()
		}
	})
	l.secure = netio.NewSecure(l.sys, l.shakes)
	if err := l.secure.Run(l); err != nil {
		t.Fatal(err)
	}
	l.secure.OnWake() // Run has returned, but the loop goes on
	door := w.Listen()
	raw := w.Dial(door, toCarrier, fromCarrier)
	fd, _, err := l.secure.Accept(door)
	if err != nil {
		t.Fatal(err)
	}
	l.fd = fd
	server, client := r.configs()
	if r.serves {
		l.peer = sim.OverTLS(raw, false, client)
		l.secure.Server(fd, server)
	} else {
		l.peer = sim.OverTLS(raw, true, server)
		l.secure.Client(fd, client)
	}
	l.peer.Tap(func(p []byte) { l.left += len(p) })
	if err := l.secure.Add(fd); err != nil {
		t.Fatal(err)
	}
	l.watched = netio.Readable
	return l
}

// OnEvent implements netio.Handler: a loop that reads what comes, and writes what it has.
func (l *line) OnEvent(fd int, ev netio.Event) {
	if fd != l.fd {
		l.t.Errorf("an event of descriptor %d", fd)
		return
	}
	if ev&^l.watched != 0 {
		return // stopped being watched earlier in the same turn
	}
	l.events |= ev
	if ev&netio.Readable != 0 && l.room > 0 {
		l.read(l.room)
	}
	if ev&netio.Writable != 0 {
		l.write()
	}
}

// OnWake implements netio.Handler.
func (l *line) OnWake() bool { l.wakes++; return true }

// OnBatchEnd implements netio.Handler.
func (l *line) OnBatchEnd() {}

// read takes at most n bytes.
func (l *line) read(n int) {
	p := make([]byte, n)
	n, err := l.secure.Read(l.fd, p)
	if n > 0 && err != nil || n == 0 && err == nil || n > len(p) {
		l.t.Errorf("Read: %d, %v", n, err)
	}
	l.got = append(l.got, p[:n]...)
	switch {
	case l.ended != nil && err != l.ended && err != netio.ErrAgain:
		l.t.Errorf("Read ends with %v, then with %v, %d bytes", l.ended, err, n)
	case err != nil && err != netio.ErrAgain:
		l.ended = err
		l.watch(l.watched &^ netio.Readable)
	}
}

// write presents what was not answered, and watches for room while there is some.
func (l *line) write() {
	for len(l.present) > 0 && l.failed == nil {
		p := l.present
		if l.most > 0 {
			p = p[:min(len(p), l.most)]
		}
		n, err := l.secure.Write(l.fd, p)
		l.answer += n
		l.present = l.present[n:]
		if want := min(l.left, l.answer-n+len(p)); l.answer != want && (err == nil || err == netio.ErrAgain) {
			l.t.Fatalf("answered are %d bytes, the records of %d have left, %d were presented", l.answer, l.left, l.answer-n+len(p))
		}
		if err == netio.ErrAgain {
			break
		}
		if l.failed = err; n == 0 && err == nil {
			l.t.Fatalf("Write answers 0 and no error")
		}
	}
	if len(l.present) > 0 && l.failed == nil {
		l.watch(l.watched | netio.Writable)
	} else {
		l.watch(l.watched &^ netio.Writable)
	}
}

func (l *line) watch(now netio.Interest) {
	if now == l.watched {
		return
	}
	if err := l.secure.Interest(l.fd, l.watched, now); err != nil {
		l.t.Errorf("Interest: %v", err)
	}
	l.watched = now
}

// send has p written.
func (l *line) send(p []byte) {
	l.present = append(l.present, p...)
	l.write()
}

// turns turns the poller until it finds nothing: a carrier that has nothing to do is silent.
func (l *line) turns() (busy bool) {
	for n := 0; !l.sys.Idle(); n++ {
		if n > 10_000 {
			l.t.Fatalf("the loop spins: watched %b, wakes %d, got %d, ended %v", l.watched, l.wakes, len(l.got), l.ended)
		}
		l.sys.Turn(l.sys.handler)
		busy = true
	}
	if err := l.world.Breach(); err != nil {
		l.t.Fatal(err)
	}
	return busy
}

// settle lets both ends go on until nothing happens. heard is what the peer read.
func (l *line) settle() (heard []byte, ended error) {
	buf := make([]byte, 32<<10)
	for busy := true; busy; {
		if busy = l.turns() || l.runLater(); l.peer.Flush() {
			busy = true
		}
		for ended == nil {
			n, err := l.peer.Read(buf)
			if err == netio.ErrAgain {
				break
			}
			heard, ended, busy = append(heard, buf[:n]...), err, true
		}
	}
	return heard, ended
}

func (l *line) runLater() (busy bool) {
	for ; len(l.later) > 0; busy = true {
		f := l.later[0]
		l.later = l.later[1:]
		f()
	}
	return busy
}

// open shakes hands.
func (l *line) open() {
	l.t.Helper()
	l.settle()
	if state, ok := l.secure.State(l.fd); !ok || !state.HandshakeComplete || !l.peer.Open() {
		l.t.Fatalf("the handshake: %v, the peer's %v, %v; Read ends with %v", ok, l.peer.Open(), l.peer.Err(), l.ended)
	}
}

// say has the peer seal p. It leaves as far as there is room.
func (l *line) say(p []byte) {
	l.t.Helper()
	for len(p) > 0 {
		n, err := l.peer.Write(p)
		if err != nil || n == 0 {
			l.t.Fatalf("the peer's Write: %d, %v", n, err)
		}
		p = p[n:]
	}
}

// close ends the line, and looks for what is left.
func (l *line) close() {
	l.t.Helper()
	l.secure.Remove(l.fd)
	if err := l.secure.Abort(l.fd); err != nil {
		l.t.Errorf("Abort: %v", err)
	}
	l.runLater()
	l.turns()
	if err := l.world.Breach(); err != nil {
		l.t.Error(err)
	}
	l.peer.Drop()
}

// inPieces makes the peer's ciphertext leave in pieces of so many bytes, each of which the carrier sees alone.
func (l *line) inPieces(size int) { l.peer.Cut = func(n int) int { return min(n, size) } }

func pattern(n int, seed uint64) []byte {
	p := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return p
}

func sameBytes(got, want []byte) error {
	if string(got) == string(want) {
		return nil
	}
	at := 0
	for at < len(got) && at < len(want) && got[at] == want[at] {
		at++
	}
	return fmt.Errorf("%d bytes of %d, the same up to %d", len(got), len(want), at)
}
