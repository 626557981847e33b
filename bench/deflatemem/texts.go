package main

import (
	"fmt"
	"math/rand/v2"

	"github.com/gannet-ws/gannet/bench/corpus"
)

// texts makes every message that is sent: JSON, no two alike, each of them as often as it is asked for.
type texts struct {
	bodies [][]byte
}

const (
	// bodyCount is a prime, so that connections differ in what they say after what.
	bodyCount = 499
	// historyBytes is the longest window.
	historyBytes = 32 << 10
	// envelope is what each message says of itself; the body is not quite as long as it would be alone.
	envelope = len(`{"to":00000,"seq":0000,"body":}`)
	minSize  = envelope + 100
)

// newTexts makes messages of size bytes, which is minSize or more.
func newTexts(size int) *texts {
	t := &texts{}
	r := rand.New(rand.NewPCG(1, 42))
	for range bodyCount {
		t.bodies = append(t.bodies, corpus.Orders(r, size-envelope))
	}
	return t
}

// append appends message seq of connection id: 0 to 99999, 0 to 9999.
func (t *texts) append(dst []byte, id, seq int) []byte {
	dst = fmt.Appendf(dst, `{"to":%05d,"seq":%04d,"body":`, id, seq)
	dst = append(dst, t.bodies[(id*37+seq*(1+id%11))%bodyCount]...)
	return append(dst, '}')
}

// appendHistory appends the last messages before seq, together at least as long as any window if there are so many.
func (t *texts) appendHistory(dst []byte, id, seq int) []byte {
	each := envelope + len(t.bodies[0])
	for s := max(0, seq-(historyBytes+each-1)/each); s < seq; s++ {
		dst = t.append(dst, id, s)
	}
	return dst
}
