package deflate

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gannet-ws/gannet/bench/corpus"
	"github.com/gannet-ws/gannet/pool"
)

// newReceiver makes a receiver whose pool must be empty when the test ends.
func newReceiver(tb testing.TB, d Direction) *Receiver {
	tb.Helper()
	x, err := New(Policy{})
	if err != nil {
		tb.Fatal(err)
	}
	p := pool.New()
	r := x.Receiver(Agreement{Receive: d}, p)
	tb.Cleanup(func() {
		r.Close()
		if n := p.Stats().Out; n != 0 {
			tb.Errorf("%d buffers are still out", n)
		}
	})
	return &r
}

// cutting says how a message is fed: random cuts of input and room, or all at once.
type cutting struct {
	r           *rand.Rand
	input, room int // the most of each; 0: no limit
	limit       int // the most output before the message is too long; 0: none
}

// receive inflates one message.
func receive(r *Receiver, payload []byte, c cutting) ([]byte, error) {
	var out []byte
	for calls := 0; ; calls++ {
		n, final := len(payload), true
		if c.input > 0 {
			if k := c.r.IntN(c.input + 1); k < n {
				n, final = k, false
			}
		}
		room := 1 << 16
		if c.room > 0 {
			room = c.r.IntN(c.room + 1)
		}
		dst := make([]byte, room)
		k, used, step, err := r.Inflate(dst, payload[:n], final)
		out = append(out, dst[:k]...)
		payload = payload[used:]
		switch {
		case err != nil || step == Done:
			return out, err
		case step == NeedInput && (used != n || final):
			return out, fmt.Errorf("NeedInput after %d of %d bytes, final %v", used, n, final)
		case step == NeedRoom && k != room:
			return out, fmt.Errorf("NeedRoom with %d of %d bytes written", k, room)
		case c.limit > 0 && len(out) > c.limit:
			return out, fmt.Errorf("too long")
		case calls > 1<<24:
			return out, fmt.Errorf("no end")
		}
	}
}

func whole() cutting { return cutting{} }

func full() Direction { return Direction{WindowBits: 15, Takeover: true} }

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// RFC 7692's own examples.
func TestExamples(t *testing.T) {
	for _, c := range []struct {
		section, payload, want string
	}{
		{"7.2.3.1 one block", "f2 48 cd c9 c9 07 00", "Hello"},
		{"7.2.3.3 no compression", "00 05 00 fa ff 48 65 6c 6c 6f 00", "Hello"},
		{"7.2.3.4 BFINAL", "f3 48 cd c9 c9 07 00 00", "Hello"},
		{"7.2.3.5 two blocks", "f2 48 05 00 00 00 ff ff ca c9 c9 07 00", "Hello"},
		{"7.2.3.6 empty message", "00", ""},
	} {
		got, err := receive(newReceiver(t, full()), unhex(c.payload), whole())
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %q, %v", c.section, got, err)
		}
	}
	// 7.2.3.2: the second message refers to the first.
	r := newReceiver(t, full())
	for i, p := range []string{"f2 48 cd c9 c9 07 00", "f2 00 11 00 00"} {
		if got, err := receive(r, unhex(p), whole()); err != nil || string(got) != "Hello" {
			t.Errorf("7.2.3.2, message %d: %q, %v", i+1, got, err)
		}
	}
	// 6.1: the payload may be cut into frames anywhere.
	p := unhex("f2 48 cd c9 c9 07 00")
	for cut := range p {
		r := newReceiver(t, full())
		dst := make([]byte, 100)
		n, used, step, err := r.Inflate(dst, p[:cut], false)
		if used != cut || step != NeedInput || err != nil {
			t.Fatal(cut, used, step, err)
		}
		k, _, step, err := r.Inflate(dst[n:], p[cut:], true)
		if step != Done || err != nil || string(dst[:n+k]) != "Hello" {
			t.Error(cut, step, err)
		}
	}
}

// What is no whole message, or one that only a lenient reading makes whole.
func TestEndings(t *testing.T) {
	for _, c := range []struct {
		what, payload, want string
		err                 error
	}{
		{"no payload at all: no block is missing", "", "", nil},
		{"an empty message that keeps its tail", "00 00 00 ff ff", "", nil},
		{"flushes only", "00 00 00 ff ff 00 00 00 ff ff 00", "", nil},
		{"an empty fixed block", "02 00", "", nil},
		{"final, without the octet of 7.2.3.4", "f3 48 cd c9 c9 07 00", "Hello", nil},
		{"final, then more of the message", "f3 48 cd c9 c9 07 00 f2 48 cd c9 c9 07 00", "HelloHello", nil},
		{"final, then a block that refers to it", "f3 48 cd c9 c9 07 00 f2 00 11 00 00", "HelloHello", nil},
		{"final, then bytes that are no block", "f3 48 cd c9 c9 07 00 ff", "", ErrBlockType},
		{"the last block has no flush behind it", "f2 48 cd c9 c9 07", "", ErrTruncated},
		{"a stored block that the tail completes", "00 09 00 f6 ff 48 65 6c 6c 6f", "Hello\x00\x00\xff\xff", nil},
		{"a stored block one byte short of that", "00 0a 00 f5 ff 48 65 6c 6c 6f", "", ErrTruncated},
		{"a stored block without flush", "00 05 00 fa ff 48 65 6c 6c 6f", "Hello", nil},
		{"a stored block that contradicts itself", "00 05 00 fb ff 48 65 6c 6c 6f 00", "", ErrStoredSize},
		{"LEN begun by the sender", "00 00", "", ErrStoredSize},
		{"cut inside a fixed block", "f2 48 cd c9", "", ErrTruncated},
		{"no code for the code lengths", "04 c0", "", ErrCodeLengths},
		{"block type 3", "06", "", ErrBlockType},
		{"symbol 286", "63 18 03", "", ErrSymbol},
		{"a distance before the first byte", "f2 00 11 00 00", "", ErrDistance},
		{"garbage", "de ad be ef de ad be ef", "", ErrBlockType},
	} {
		got, err := receive(newReceiver(t, full()), unhex(c.payload), whole())
		if !errors.Is(err, c.err) || err == nil && string(got) != c.want {
			t.Errorf("%s: %q, %v; want %q, %v", c.what, got, err, c.want, c.err)
		}
		o := obvious{}
		if got, err := o.inflateMessage(unhex(c.payload)); (err != nil) != (c.err != nil) || err == nil && string(got) != c.want {
			t.Errorf("%s: the obvious decoder says %q, %v", c.what, got, err)
		}
	}
}

// A real message cut short anywhere is refused, unless nothing is missing from its data.
func TestTruncated(t *testing.T) {
	x, _ := New(Policy{})
	payload, ok := x.Compress(nil, corpus.Named("json 1 KiB").Messages[0], 15)
	if !ok {
		t.Fatal("not compressed")
	}
	refused := 0
	for cut := range payload {
		got, err := receive(newReceiver(t, full()), payload[:cut], whole())
		o := obvious{}
		want, wantErr := o.inflateMessage(payload[:cut])
		if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
			t.Errorf("cut at %d: %v, the obvious decoder %v", cut, err, wantErr)
		}
		if err != nil {
			refused++
		}
	}
	if refused < len(payload)-3 {
		t.Errorf("%d of %d cuts refused", refused, len(payload))
	}
}

// stream is one file's sequence of messages in testdata.
type stream struct {
	Bits     uint8
	Takeover bool
	How      string
	Payloads []string
}

func readTestdata[T any](tb testing.TB, name string) (v T) {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "streams", name))
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func unbase64(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// What zlib, Node's ws and Python's websockets send, whole and cut.
func TestPeers(t *testing.T) {
	var messages [][]byte
	for _, m := range readTestdata[[]string](t, "messages.json") {
		messages = append(messages, unbase64(t, m))
	}
	for _, file := range []string{"zlib.json", "ws.json", "websockets.json"} {
		peer := readTestdata[struct {
			Library string
			Streams []stream
		}](t, file)
		for _, s := range peer.Streams {
			name := fmt.Sprintf("%s, %d bits, takeover %v, %s", peer.Library, s.Bits, s.Takeover, s.How)
			for _, c := range []cutting{whole(), {r: rand.New(rand.NewPCG(1, 2)), input: 30, room: 500}, {r: rand.New(rand.NewPCG(3, 4)), input: 1, room: 1}} {
				r := newReceiver(t, Direction{s.Bits, s.Takeover})
				for i, p := range s.Payloads {
					got, err := receive(r, unbase64(t, p), c)
					if err != nil || !bytes.Equal(got, messages[i]) {
						t.Fatalf("%s, message %d: %d bytes, %v; want %d", name, i, len(got), err, len(messages[i]))
					}
				}
			}
		}
	}
}

// A peer that compresses with a larger window than was agreed on is told so, however its message is cut.
func TestWindowIsKept(t *testing.T) {
	x, _ := New(Policy{Level: 6})
	far := append(corpus.Random(rand.New(rand.NewPCG(1, 1)), 600), corpus.Named("json 1 KiB").Messages[0]...)
	far = append(far, far[:600]...)
	payload, ok := x.Compress(nil, far, 15)
	if !ok {
		t.Fatal("not compressed")
	}
	for bits := uint8(8); bits <= 15; bits++ {
		want := error(ErrWindow)
		if 1<<bits >= len(far)-600 {
			want = nil
		}
		for seed := range uint64(20) {
			c := cutting{r: rand.New(rand.NewPCG(seed, 1)), input: 100, room: 100}
			if seed == 0 {
				c = whole()
			}
			if _, err := receive(newReceiver(t, Direction{bits, true}), payload, c); !errors.Is(err, want) {
				t.Errorf("%d bits: %v, want %v", bits, err, want)
			}
		}
	}
	if ErrWindow.Code() != 1002 || ErrSymbol.Code() != 1007 {
		t.Error("codes")
	}
}

// After an error nothing more is decoded, and nothing is kept.
func TestErrorIsFinal(t *testing.T) {
	r := newReceiver(t, full())
	if _, err := receive(r, unhex("f2 48 cd c9 c9 07 00"), whole()); err != nil {
		t.Fatal(err)
	}
	if r.Held() == 0 {
		t.Error("no window is kept")
	}
	if _, err := receive(r, unhex("06"), whole()); err != ErrBlockType {
		t.Fatal(err)
	}
	if r.Held() != 0 || r.InMessage() {
		t.Error("something is kept after an error")
	}
	if _, err := receive(r, unhex("f2 48 cd c9 c9 07 00"), whole()); err != ErrBlockType {
		t.Error("a message after the error:", err)
	}
}
