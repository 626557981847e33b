package deflate

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/pool"
)

// TestBars prints the curve of CPU against ratio, and holds the defaults to their bars. It is a measurement, so it runs
// only where somebody asks for it:
//
//	GANNET_BARS=1 go test ./deflate -run TestBars -v
//
// GANNET_BARS=print prints without judging. Microseconds are the least of many short rounds, because the machine is
// shared and a round can only be disturbed one way. zlib's sizes are in testdata/zlib6.txt.
func TestBars(t *testing.T) {
	mode := os.Getenv("GANNET_BARS")
	if mode == "" {
		return
	}
	zlib := zlibSizes(t)
	for _, c := range corpora() {
		plain := plainSize(c)
		t.Logf("%s: %d bytes a message; zlib level 6 makes %.0f with takeover, %.0f without", c.name, plain, zlib[c.name][0], zlib[c.name][1])
		t.Log("   level   history      out        us")
		for _, p := range curve() {
			size, cost := measureSending(t, c, p)
			t.Logf("%8d %9s %8.0f %9.2f", p.Level, historyName(p), size, cost)
		}
		size, cost := measureSending(t, c, Policy{})
		alone, aloneCost := measureSending(t, c, Policy{Takeover: NoTakeover})
		in := measureReceiving(t, c)
		t.Logf("default: %.0f bytes in %.2f us; without takeover %.0f in %.2f; inflated in %.2f us", size, cost, alone, aloneCost, in)
		t.Logf("default against zlib level 6: %.2f with takeover, %.2f without", size/zlib[c.name][0], alone/zlib[c.name][1])
		if mode != "print" && c.name == "json 1 KiB" && cost+in > barBoth {
			t.Errorf("1 KiB of JSON takes %.2f us in and out, the bar is %v", cost+in, barBoth)
		}
	}
}

// barBoth is what inflating and compressing 1 KiB of JSON may take together, in microseconds.
const barBoth = 8.0

func curve() (all []Policy) {
	for _, level := range []int{1, 2, 3, 4, 5, 6} {
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

func plainSize(c corpus) int {
	n := 0
	for _, m := range c.messages {
		n += len(m)
	}
	return n / len(c.messages)
}

// measureSending sends a corpus over and over: mean bytes on the wire and least mean microseconds for a message.
func measureSending(tb testing.TB, c corpus, p Policy) (size, cost float64) {
	x, err := New(p)
	if err != nil {
		tb.Fatal(err)
	}
	s := x.Sender(Agreement{Send: Direction{15, p.Takeover != NoTakeover}}, pool.New())
	defer s.Close()
	dst := make([]byte, 0, 1<<17)
	cost = math.Inf(1)
	for round := range barRounds {
		bytes, from := 0, time.Now()
		for _, m := range c.messages {
			out, ok := s.Compress(dst, m)
			if !ok {
				out = m
			}
			bytes += len(out)
		}
		cost = min(cost, time.Since(from).Seconds()*1e6/float64(len(c.messages)))
		if round == 1 { // the first has no history at its beginning
			size = float64(bytes) / float64(len(c.messages))
		}
		if round > 3 && time.Since(from) > 20*time.Millisecond {
			break
		}
	}
	return size, cost
}

const barRounds = 200

// measureReceiving inflates what a default sender makes of a corpus: least mean microseconds for a message.
func measureReceiving(tb testing.TB, c corpus) (cost float64) {
	x, _ := New(Policy{})
	mem := pool.New()
	s := x.Sender(Agreement{Send: full()}, mem)
	r := x.Receiver(Agreement{Receive: full()}, mem)
	defer s.Close()
	defer r.Close()
	dst := make([]byte, 1<<17)
	cost = math.Inf(1)
	for round := range barRounds {
		var payloads [][]byte
		for _, m := range c.messages {
			if out, ok := s.Compress(nil, m); ok {
				payloads = append(payloads, out)
			}
		}
		from := time.Now()
		for _, p := range payloads {
			if _, _, step, err := r.Inflate(dst, p, true); step != Done || err != nil {
				tb.Fatal(step, err)
			}
		}
		cost = min(cost, time.Since(from).Seconds()*1e6/float64(max(1, len(payloads))))
		if round > 3 && time.Since(from) > 20*time.Millisecond {
			break
		}
	}
	return cost
}

func zlibSizes(tb testing.TB) map[string][2]float64 {
	tb.Helper()
	f, err := os.Open("testdata/zlib6.txt")
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	sizes := map[string][2]float64{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var with, without float64
		name, rest, _ := strings.Cut(lines.Text(), ": ")
		if n, _ := fmt.Sscan(rest, &with, &without); n == 2 {
			sizes[name] = [2]float64{with, without}
		}
	}
	return sizes
}

// TestDumpCorpora writes the corpora where testdata/make_zlib6.py reads them, if asked:
//
//	GANNET_DUMP=corpora.json go test ./deflate -run TestDumpCorpora && python3 testdata/make_zlib6.py corpora.json
func TestDumpCorpora(t *testing.T) {
	path := os.Getenv("GANNET_DUMP")
	if path == "" {
		return
	}
	all := map[string][]string{}
	for _, c := range corpora() {
		for _, m := range c.messages {
			all[c.name] = append(all[c.name], base64.StdEncoding.EncodeToString(m))
		}
	}
	b, err := json.Marshal(all)
	if err == nil {
		err = os.WriteFile(path, b, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}
