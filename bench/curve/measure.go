package main

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/gannet-ws/gannet/bench/corpus"
	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/pool"
)

// curve is what one corpus becomes and costs under each setting of the grid.
type curve struct {
	Corpus corpus.Corpus
	Points []point
	Rounds int // how often each was measured
}

// point is one setting.
type point struct {
	Policy deflate.Policy
	Bytes  float64 // mean for a message of the second half, when there is a history
	Micros float64 // the least mean of a pass for a message
}

// ratio is p's size in those of zlib's level 6 with context takeover.
func (c curve) ratio(p point) float64 { return p.Bytes / c.Corpus.Zlib6.Takeover }

// find is the point of a setting.
func (c curve) find(is func(deflate.Policy) bool) (point, bool) {
	for _, p := range c.Points {
		if is(p.Policy) {
			return p, true
		}
	}
	return point{}, false
}

const (
	minRounds = 5
	maxRounds = 2000
)

// measure compresses the corpus under every policy in turns, AA BB CC, AA BB CC, until the time is over: twice, because
// the first time finds the encoder's tables outside of the processor's caches, where a server that has one policy has
// them. What is kept is the least: others at work on the machine can only add to it.
func measure(c corpus.Corpus, policies []deflate.Policy, budget time.Duration) (curve, error) {
	result := curve{Corpus: c}
	senders := make([]deflate.Sender, len(policies))
	memory := pool.New()
	for i, p := range policies {
		var err error
		if senders[i], err = newSender(p, memory); err != nil {
			return result, fmt.Errorf("level %d, history %s: %w", p.Level, contextName(p), err)
		}
		defer senders[i].Close()
		result.Points = append(result.Points, point{Policy: p, Micros: math.Inf(1)})
	}
	dst := make([]byte, 0, 1<<17)
	for began := time.Now(); result.Rounds < maxRounds && (result.Rounds < minRounds || time.Since(began) < budget); result.Rounds++ {
		for i := range senders {
			p := &result.Points[i]
			size, cold := sendAll(&senders[i], c.Messages, dst)
			if result.Rounds == 0 {
				p.Bytes = size // later rounds have seen every message before
			}
			_, warm := sendAll(&senders[i], c.Messages, dst)
			p.Micros = min(p.Micros, cold, warm)
		}
	}
	return result, nil
}

// newSender is the server's sender to a client that offers the extension and asks for nothing: a window of 15 bits.
func newSender(p deflate.Policy, memory *pool.Pool) (deflate.Sender, error) {
	x, err := deflate.New(p)
	if err != nil {
		return deflate.Sender{}, err
	}
	a, ok := x.Negotiate([][]byte{[]byte("permessage-deflate")})
	if !ok {
		return deflate.Sender{}, errors.New("no agreement")
	}
	return x.Sender(a, memory), nil
}

// sendAll compresses all messages into dst, one after the other.
func sendAll(s *deflate.Sender, messages [][]byte, dst []byte) (size, micros float64) {
	half := len(messages) / 2
	second := 0
	from := time.Now()
	for i, m := range messages {
		out, ok := s.Compress(dst, m)
		if !ok {
			out = m // it would grow, and is sent as it is
		}
		if i >= half {
			second += len(out)
		}
	}
	took := time.Since(from)
	return float64(second) / float64(len(messages)-half), took.Seconds() * 1e6 / float64(len(messages))
}
