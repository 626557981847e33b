package netio

import (
	"crypto/tls"
	"io"
	"strings"
	"sync"
)

// write is the engine's Write and Writev. Any goroutine.
func (k *session) write(v [][]byte) (n int, err error) {
	total := 0
	for _, p := range v {
		total += len(p)
	}
	switch k.phase.Load() {
	case phaseOpen:
	case phaseFailed:
		return 0, k.readErr
	default:
		if total == 0 {
			return 0, nil
		}
		return 0, ErrAgain
	}
	for {
		k.mu.Lock()
		more := k.sealNext(v, total)
		if !more {
			break
		}
		k.mu.Unlock() // the loop may want it
	}
	n = min(k.gone, total)
	k.gone -= n
	switch {
	case n > 0 || total == 0:
	case k.finWanted.Load():
		err = io.ErrClosedPipe
	case k.outErr != nil:
		err = k.outErr
	default:
		err = ErrAgain
	}
	k.noteOut()
	k.mu.Unlock()
	return n, err
}

// sealNext sends what is sealed and, when that has left, seals the next 64 KiB of v, which holds total bytes, and sends them. It
// reports whether it is to be called again. Under mu.
func (k *session) sealNext(v [][]byte, total int) (more bool) {
	if k.flush(); k.out != nil || k.outErr != nil || k.finWanted.Load() || k.gone >= total {
		return false
	}
	at := cut{v: v}
	at.skip(k.gone)
	left := total - k.gone
	k.sealBatch(&at, min(left, sealAhead))
	k.flush()
	return k.out == nil && k.outErr == nil && left > sealAhead
}

// sealBatch seals the next n bytes.
func (k *session) sealBatch(at *cut, n int) {
	most := recordPlain
	if k.overhead == 0 {
		most = smallRecord // so that each is one record
	}
	for n > 0 && k.outErr == nil {
		p, scratch := at.next(min(n, most))
		n -= len(p)
		k.sealing = int32(len(p))
		k.sent = min(k.sent+k.sealing, fullRecordsAfter)
		// The last record goes to the socket from where crypto/tls has sealed it.
		k.straight = n == 0 && k.oneRecord(len(p))
		if _, err := k.tls.Write(p); err != nil && k.outErr == nil {
			k.failWrites(err)
		}
		k.straight = false
		if k.outErr == nil {
			k.placed(int(k.sealing))
		}
		k.sealing = 0
		if scratch != nil {
			scratchPool.Put(scratch)
		}
	}
}

// smallRecord is the least that crypto/tls puts into one record: what fits into a TCP segment over IPv6, less what carries it.
const smallRecord = 1024

// fullRecordsAfter is after how many bytes crypto/tls fills its records, whatever tls.Config.DynamicRecordSizingDisabled says.
const fullRecordsAfter = 128 << 10

// overheadOf is what a cipher suite adds to each record: its header, a nonce that is sent along, the tag, and in TLS 1.3 the type. The blocks of CBC are
// filled up.
func overheadOf(s tls.ConnectionState) uint8 {
	const tag = 16
	switch {
	case s.Version == tls.VersionTLS13:
		return recordHeader + tag + 1
	case s.CipherSuite == tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, s.CipherSuite == tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256:
		return recordHeader + tag
	case strings.Contains(tls.CipherSuiteName(s.CipherSuite), "_GCM_"):
		return recordHeader + 8 + tag
	}
	return 0
}

// oneRecord tells whether crypto/tls seals n bytes as one record: it begins with small ones.
func (k *session) oneRecord(n int) bool { return n <= smallRecord || k.sent >= fullRecordsAfter }

// cut is a place in slices.
type cut struct {
	v   [][]byte
	off int // into v[0]
}

func (c *cut) skip(n int) {
	for n > 0 {
		here := min(n, len(c.v[0])-c.off)
		c.off += here
		n -= here
		c.tidy()
	}
}

// tidy goes to the next byte, if there is one.
func (c *cut) tidy() {
	for len(c.v) > 0 && c.off == len(c.v[0]) {
		c.v, c.off = c.v[1:], 0
	}
}

var scratchPool = sync.Pool{New: func() any { return new([recordPlain]byte) }}

// next is the next record's plaintext, at most n bytes. Slices that wholly fit one record together are copied into scratch; a longer
// one is sealed from where it lies.
func (c *cut) next(n int) (p []byte, scratch *[recordPlain]byte) {
	c.tidy()
	first := c.v[0][c.off:]
	if len(first) >= n || len(c.v) == 1 || len(first)+len(c.v[1]) > n {
		p = first[:min(n, len(first))]
		c.off += len(p)
		return p, nil
	}
	scratch = scratchPool.Get().(*[recordPlain]byte)
	filled := 0
	for c.tidy(); len(c.v) > 0 && filled+len(c.v[0])-c.off <= n; c.tidy() {
		filled += copy(scratch[filled:], c.v[0][c.off:])
		c.off = len(c.v[0])
	}
	return scratch[:filled], scratch
}
