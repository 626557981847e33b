package deflate

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"testing"
	"time"

	"github.com/klauspost/compress/flate"

	"github.com/gannet-ws/gannet/bench/corpus"
	"github.com/gannet-ws/gannet/pool"
)

// TestBars prints the curve of CPU against ratio, and holds the defaults to their bars. It is a measurement, so it runs
// only where somebody asks for it:
//
//	GANNET_BARS=1 go test ./deflate -run TestBars -v
//
// GANNET_BARS=print prints without judging. Microseconds are the least of many short rounds, because the machine is
// shared and a round can only be disturbed one way. bench/curve charts the same.
func TestBars(t *testing.T) {
	mode := os.Getenv("GANNET_BARS")
	if mode == "" {
		return
	}
	for _, c := range corpus.All() {
		t.Logf("%s: %d bytes a message; zlib level 6 makes %.0f with takeover, %.0f without", c.Name, c.PlainSize(), c.Zlib6.Takeover, c.Zlib6.Alone)
		t.Log("   level   history      out        us")
		for _, p := range curve() {
			size, cost := measureSending(t, c, p)
			t.Logf("%8d %9s %8.0f %9.2f", p.Level, historyName(p), size, cost)
		}
		size, cost := measureSending(t, c, Policy{})
		alone, aloneCost := measureSending(t, c, Policy{Takeover: NoTakeover})
		in, theirs := measureReceiving(t, c)
		t.Logf("default: %.0f bytes in %.2f us; without takeover %.0f in %.2f; inflated in %.2f us, by klauspost in %.2f",
			size, cost, alone, aloneCost, in, theirs)
		t.Logf("default against zlib level 6: %.2f with takeover, %.2f without", size/c.Zlib6.Takeover, alone/c.Zlib6.Alone)
		if mode != "print" && c.Name == "json 1 KiB" {
			judge(t, cost+in, size/c.Zlib6.Takeover, measureClock(c))
		}
	}
}

const (
	// barBoth is what inflating and compressing 1 KiB of JSON may take together, in microseconds of a quiet machine: one
	// where klauspost's level 1 compresses such a message without a dictionary in quietClock.
	barBoth    = 8.0
	quietClock = 4.9
	// barRatio is how much more than zlib's level 6 the default may make of it.
	barRatio = 1.10
)

func judge(t *testing.T, both, ratio, clock float64) {
	t.Helper()
	quiet := both * quietClock / clock
	t.Logf("in and out together %.2f us, %.2f if the machine were quiet (klauspost's level 1 took %.2f here, %v there)", both, quiet, clock, quietClock)
	if quiet > barBoth {
		t.Errorf("the bar is %v us", barBoth)
	}
	if ratio > barRatio {
		t.Errorf("%.2f times zlib's size, the bar is %v", ratio, barRatio)
	}
}

// measureClock is what klauspost's level 1 takes for a message without a dictionary.
func measureClock(c corpus.Corpus) float64 {
	e := newEncoder(encoderKind{level: 1})
	dst := make([]byte, 0, 1<<17)
	return least(len(c.Messages), func(i int) {
		e.begin(dst, cap(dst), nil)
		e.write(c.Messages[i])
		e.flush()
	})
}

func curve() (all []Policy) {
	for _, level := range []int{1, 2, 3, 5, 6} {
		all = append(all, Policy{Level: level, Takeover: NoTakeover})
		for _, history := range []int{512, 1 << 10, 2 << 10, 4 << 10, 8 << 10, 32 << 10} {
			all = append(all, Policy{Level: level, HistoryBytes: history})
		}
		all = append(all, Policy{Level: level, Takeover: OwnCompressor})
	}
	return all
}

func historyName(p Policy) string {
	switch p.Takeover {
	case NoTakeover:
		return "none"
	case OwnCompressor:
		return "own"
	}
	return fmt.Sprint(p.HistoryBytes)
}

// measureSending sends a corpus over and over: least mean microseconds for a message, and mean bytes on the wire for the
// second half when it is sent the first time, when there is a history and no message came before.
func measureSending(tb testing.TB, c corpus.Corpus, p Policy) (size, cost float64) {
	x, err := New(p)
	if err != nil {
		tb.Fatal(err)
	}
	s := x.Sender(Agreement{Send: Direction{15, p.Takeover != NoTakeover}}, pool.New())
	defer s.Close()
	dst := make([]byte, 0, 1<<17)
	half := len(c.Messages) / 2
	cost = math.Inf(1)
	for round := range barRounds {
		from := time.Now()
		for i, m := range c.Messages {
			out, ok := s.Compress(dst, m)
			if !ok {
				out = m
			}
			if round == 0 && i >= half {
				size += float64(len(out)) / float64(len(c.Messages)-half)
			}
		}
		took := time.Since(from)
		cost = min(cost, took.Seconds()*1e6/float64(len(c.Messages)))
		if round > 3 && took > 20*time.Millisecond {
			break
		}
	}
	return size, cost
}

const barRounds = 200

// measureReceiving inflates what a default sender without takeover makes of a corpus: least mean microseconds for a
// message, here and with klauspost's reader.
func measureReceiving(tb testing.TB, c corpus.Corpus) (ours, theirs float64) {
	x, _ := New(Policy{})
	var payloads [][]byte
	for _, m := range c.Messages {
		if out, ok := x.Compress(nil, m, 15); ok {
			payloads = append(payloads, out)
		}
	}
	if payloads == nil {
		return 0, 0
	}
	r := x.Receiver(Agreement{Receive: full()}, pool.New())
	defer r.Close()
	dst := make([]byte, 1<<17)
	ours = least(len(payloads), func(i int) {
		if _, _, step, err := r.Inflate(dst, payloads[i], true); step != Done || err != nil {
			tb.Fatal(step, err)
		}
	})
	reader := flate.NewReader(nil)
	var in bytes.Reader
	theirs = least(len(payloads), func(i int) {
		in.Reset(append(payloads[i], 0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff))
		_ = reader.(flate.Resetter).Reset(&in, nil)
		if _, err := io.ReadFull(reader, dst); err != io.ErrUnexpectedEOF {
			tb.Fatal(err)
		}
	})
	return ours, theirs
}

// least is the least mean of microseconds that f took for each of n arguments.
func least(n int, f func(int)) float64 {
	cost := math.Inf(1)
	for range barRounds {
		from := time.Now()
		for i := range n {
			f(i)
		}
		cost = min(cost, time.Since(from).Seconds()*1e6/float64(n))
	}
	return cost
}
