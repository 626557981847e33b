package sim

import (
	"crypto/tls"
	"errors"
	"io"
	"iter"
)

// TLSPeer is a Peer that speaks TLS: crypto/tls over memory. No goroutine runs beside the caller's: the handshake is a
// coroutine that goes on when something has arrived, so what a peer does depends on the calls alone. The random
// numbers are crypto/tls's own; the sizes and the order of what it writes do not depend on them, if the certificate's
// signatures have one size (Ed25519).
//
// What it writes leaves as far as there is room, in pieces that Cut chooses; Flush goes on with the rest.
type TLSPeer struct {
	*Peer
	// Cut says how many of n sealed bytes go to the network at once, 1 to n; nil: all.
	Cut func(n int) int
	// Heard, if there is one, is called when ciphertext leaves the engine, before it is opened.
	Heard func()

	tls   *tls.Conn
	wire  tlsWire
	shake func() (struct{}, bool) // goes on with the handshake, until it is over
	stop  func()
	begun bool  // the handshake has
	done  bool  // it has succeeded
	gone  bool  // the network takes nothing any more
	err   error // what ended it, or the connection

	out tlsOut
	in  tlsIn
	tap func([]byte)
}

// tlsOut is what a TLSPeer has sealed.
type tlsOut struct {
	sealed []byte // waits for room in the network
	fin    bool   // CloseWrite was called: the end of the stream follows
	finned bool   // it has
}

// tlsIn is what has left the engine for a TLSPeer. It is opened when it leaves, for the tap, and given to the peer when
// the peer has read the ciphertext of the whole record.
type tlsIn struct {
	wired  []byte // ciphertext that has left the engine and was not given to crypto/tls
	tapped int    // how much ciphertext ever left
	taken  int    // how much of it the peer has read
	plain  []tlsPlain
	ended  int // 1 + where close_notify ended; 0: it did not come
}

// fed is how much ciphertext crypto/tls was given.
func (in *tlsIn) fed() int { return in.tapped - len(in.wired) }

// tlsPlain is a record's plaintext, or the rest of it.
type tlsPlain struct {
	from int // which byte of the stream of ciphertext completes it
	p    []byte
}

var (
	// ErrTruncated: the stream of a TLSPeer ended without close_notify (RFC 8446 6.1).
	ErrTruncated = errors.New("sim: TLS stream truncated")
	// ErrParked ends a handshake whose peer was closed.
	ErrParked = errors.New("sim: the peer has left its handshake")
)

// OverTLS makes p speak TLS: as a server if serves, else as a client.
func OverTLS(p *Peer, serves bool, config *tls.Config) *TLSPeer {
	t := &TLSPeer{Peer: p}
	if serves {
		t.tls = tls.Server(&t.wire, config)
	} else {
		t.tls = tls.Client(&t.wire, config)
	}
	t.shake, t.stop = iter.Pull(func(yield func(struct{}) bool) {
		t.wire.park = func() bool { return yield(struct{}{}) }
		t.err = t.tls.Handshake()
		t.wire.park, t.done = nil, t.err == nil
	})
	p.Tap(t.onWire)
	return t
}

// Tap is Peer.Tap, of the plaintext: f hears of a record when the whole of it has left the engine.
func (t *TLSPeer) Tap(f func([]byte)) { t.tap = f }

// Conn is the peer's connection, for what is known of it after the handshake. Nobody reads or writes it.
func (t *TLSPeer) Conn() *tls.Conn { return t.tls }

// Open tells whether the handshake has succeeded, at this end.
func (t *TLSPeer) Open() bool { return t.done }

// Err is what crypto/tls ended with; nil while it has not.
func (t *TLSPeer) Err() error { return t.err }

// onWire notes what leaves the engine. Only a handshake waits until the peer has read.
func (t *TLSPeer) onWire(p []byte) {
	if t.Heard != nil {
		t.Heard()
	}
	t.in.wired = append(t.in.wired, p...)
	t.in.tapped += len(p)
	if t.done {
		t.open()
	}
}

// advance goes on with the handshake, as far as the peer has read.
func (t *TLSPeer) advance() {
	if !t.begun {
		t.begun = true
		t.shake()
	}
	for !t.done && t.err == nil && t.feed(t.in.taken-t.in.fed()) {
		t.shake()
		if t.done {
			t.open()
		}
	}
	t.collect()
}

// open opens the whole records that have left.
func (t *TLSPeer) open() {
	for t.err == nil && t.feed(len(t.in.wired)) {
		t.openRecord(t.in.fed())
	}
}

// feed gives crypto/tls the next record, if it is whole within the next most bytes: so nothing is ever left in crypto/tls's own
// buffer, and each byte of plaintext is known to be of this record.
func (t *TLSPeer) feed(most int) bool {
	const header = 5 // RFC 8446 5.1
	w := t.in.wired[:most]
	if len(w) < header {
		return false
	}
	n := header + int(w[3])<<8 + int(w[4])
	if isRecord := w[0] >= 20 && w[0] <= 23; !isRecord {
		n = len(w) // crypto/tls says what is wrong with it
	}
	if len(w) < n {
		return false
	}
	t.wire.in = append(t.wire.in, w[:n]...)
	t.in.wired = t.in.wired[n:]
	return true
}

// openRecord reads what one record says, whose last byte is this one of the stream.
func (t *TLSPeer) openRecord(at int) {
	for {
		p := make([]byte, 16<<10)
		n, err := t.tls.Read(p)
		if n > 0 {
			t.in.plain = append(t.in.plain, tlsPlain{at, p[:n]})
			if t.tap != nil {
				t.tap(p[:n:n])
			}
		}
		switch {
		case err == nil:
			continue
		case err == io.EOF:
			t.in.ended, t.err = 1+at, err
		case err != error(errDry):
			t.err = err
		}
		t.collect() // an answer to a KeyUpdate
		return
	}
}

// collect takes what crypto/tls wrote.
func (t *TLSPeer) collect() {
	t.out.sealed = append(t.out.sealed, t.wire.out...)
	t.wire.out = t.wire.out[:0]
}

// Write seals b, or answers 0 while the handshake is under way, or what was sealed before waits. ErrReset once the
// connection is gone.
func (t *TLSPeer) Write(b []byte) (int, error) {
	t.Flush()
	if t.gone || t.err != nil && t.err != io.EOF || t.out.fin {
		return 0, ErrReset
	}
	if !t.done || len(t.out.sealed) > 0 || len(b) == 0 {
		return 0, nil
	}
	n, err := t.tls.Write(b)
	t.collect()
	t.Flush()
	return n, err
}

// Flush sends what waits, and reports whether anything has left.
func (t *TLSPeer) Flush() (busy bool) {
	for t.advance(); len(t.out.sealed) > 0; busy = true {
		n := len(t.out.sealed)
		if t.Cut != nil {
			n = t.Cut(n)
		}
		n, err := t.Peer.Write(t.out.sealed[:n])
		if err != nil {
			t.gone, t.out.sealed = true, nil
			return busy
		}
		if t.out.sealed = t.out.sealed[n:]; n == 0 || t.Cut != nil {
			return busy || n > 0
		}
	}
	if t.out.fin && !t.out.finned {
		t.Peer.CloseWrite()
		t.out.finned, busy = true, true
	}
	return busy
}

// Read takes the plaintext of what has arrived. It answers 0 and nil when what it took completes no record, else as
// Peer.Read, with io.EOF at close_notify, and ErrTruncated where the stream ends without one, crypto/tls's error where it found a fault.
func (t *TLSPeer) Read(b []byte) (int, error) {
	if n := t.release(b); n > 0 {
		return n, nil
	}
	if t.in.ended > 0 && t.in.taken >= t.in.ended-1 {
		return 0, io.EOF
	}
	if t.err != nil && t.err != io.EOF {
		return 0, t.err
	}
	n, err := t.Peer.Read(b)
	if t.in.taken += n; n > 0 {
		t.Flush() // goes on with the handshake
		return t.release(b), nil
	}
	if err == io.EOF {
		return 0, ErrTruncated
	}
	return 0, err
}

// release gives the peer the plaintext of records that it has read.
func (t *TLSPeer) release(b []byte) (n int) {
	for len(t.in.plain) > 0 && n < len(b) && t.in.plain[0].from <= t.in.taken {
		first := &t.in.plain[0]
		k := copy(b[n:], first.p)
		n += k
		if first.p = first.p[k:]; len(first.p) == 0 {
			t.in.plain = t.in.plain[1:]
		}
	}
	return n
}

// CloseWrite sends close_notify behind what was written, and then ends this half of the stream.
func (t *TLSPeer) CloseWrite() {
	if t.out.fin {
		return
	}
	if t.out.fin = true; t.done {
		_ = t.tls.CloseWrite()
		t.collect()
	}
	t.Flush()
}

// Truncate ends this half of the stream without close_notify, behind what was written.
func (t *TLSPeer) Truncate() {
	t.out.fin = true
	t.Flush()
}

// Seal answers b as records, which the caller sends, whole or in part (Inject).
func (t *TLSPeer) Seal(b []byte) (records []byte) {
	_, _ = t.tls.Write(b)
	return t.sealed()
}

// SealEnd answers close_notify as a record.
func (t *TLSPeer) SealEnd() []byte {
	_ = t.tls.CloseWrite()
	return t.sealed()
}

func (t *TLSPeer) sealed() []byte {
	records := t.wire.out
	t.wire.out = nil
	return records
}

// Inject sends any bytes, behind what waits.
func (t *TLSPeer) Inject(b []byte) {
	t.out.sealed = append(t.out.sealed, b...)
	t.Flush()
}

// Close closes the peer's socket: with close_notify, if the network takes all that waits.
func (t *TLSPeer) Close() {
	t.CloseWrite()
	t.leave()
	t.Peer.Close()
}

// Drop closes the peer's socket without a word.
func (t *TLSPeer) Drop() {
	t.leave()
	t.Peer.Close()
}

// Reset breaks the connection off.
func (t *TLSPeer) Reset() {
	t.leave()
	t.Peer.Reset()
}

// leave ends a handshake that is under way.
func (t *TLSPeer) leave() {
	t.out = tlsOut{fin: true, finned: true}
	if !t.done {
		t.stop()
		if t.err == nil {
			t.err = ErrParked
		}
	}
}
