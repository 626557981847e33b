package deflate

import (
	"bytes"
	"compress/flate"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/bench/corpus"
)

// bomb is n zero bytes, compressed by another library.
func bomb(tb testing.TB, n int) []byte {
	tb.Helper()
	var b bytes.Buffer
	z, err := flate.NewWriter(&b, 9)
	if err != nil {
		tb.Fatal(err)
	}
	for zeros := make([]byte, 1<<20); n > 0; n -= len(zeros) {
		zeros = zeros[:min(n, len(zeros))]
		if _, err := z.Write(zeros); err != nil {
			tb.Fatal(err)
		}
	}
	if err := z.Flush(); err != nil {
		tb.Fatal(err)
	}
	return cutTail(b.Bytes())
}

// A message is inflated exactly to the caller's limit and not a byte further.
func TestLimit(t *testing.T) {
	const limit = 100_000
	for _, c := range []struct {
		size int
		step Step
	}{{limit - 1, Done}, {limit, Done}, {limit + 1, NeedRoom}, {unraced(64, 4) << 20, NeedRoom}} {
		r := newReceiver(t, full())
		payload := bomb(t, c.size)
		dst := make([]byte, limit)
		got := 0
		var step Step
		for step != Done {
			n, used, s, err := r.Inflate(dst[got:min(limit, got+4096)], payload, true)
			if err != nil {
				t.Fatal(err)
			}
			payload, step = payload[used:], s
			if got += n; n == 0 && s == NeedRoom {
				break
			}
		}
		if step != c.step || got != min(limit, c.size) {
			t.Errorf("%d bytes: %d inflated, then %v", c.size, got, step)
		}
		if r.Held() > 32<<10+inflaterBytes {
			t.Errorf("%d bytes: the receiver holds %d", c.size, r.Held())
		}
	}
}

// Blocks that say nothing are work without output: a call does blocksPerCall of them and yields.
func TestEmptyBlocks(t *testing.T) {
	for _, c := range []struct {
		what  string
		block []byte
	}{{"stored", unhex("00 00 00 ff ff")}, {"fixed and final", unhex("03 00")}, {"dynamic and final", emptyDynamicBlock()}} {
		r := newReceiver(t, full())
		payload := bytes.Repeat(c.block, 3000)
		dst := make([]byte, 1)
		calls, longest := 0, time.Duration(0)
		for {
			from := time.Now()
			n, used, step, err := r.Inflate(dst, payload, true)
			longest = max(longest, time.Since(from))
			if calls++; err != nil || n > 0 {
				t.Fatal(c.what, n, err)
			}
			payload = payload[used:]
			if step == Done {
				break
			}
			if step != Yielded {
				t.Fatal(c.what, step)
			}
		}
		if calls < 3000/blocksPerCall {
			t.Errorf("%s: %d calls", c.what, calls)
		}
		t.Logf("%s: %d calls, the longest %v", c.what, calls, longest)
	}
}

// emptyDynamicBlock is the shortest there is: codes for nothing but the end, and the end. It is final, so that it ends
// at a byte boundary and can be repeated.
func emptyDynamicBlock() []byte {
	var b bitWriter
	b.write(1, 1)
	b.write(2, 2)
	b.write(0, 5)  // 257 literals
	b.write(0, 5)  // 1 distance
	b.write(14, 4) // 18 lengths: down to that of symbol 1
	for i := range 18 {
		if i == 2 || i == 17 {
			b.write(1, 3) // of symbols 18 and 1, whose codes are then 1 and 0
		} else {
			b.write(0, 3)
		}
	}
	b.write(1|127<<1, 8) // 138 zeros
	b.write(1|107<<1, 8) // 118 zeros
	b.write(0, 1)        // symbol 256 has one bit
	b.write(0, 1)        // distance 0 too
	b.write(0, 1)        // the end
	return b.bytes
}

func TestRatio(t *testing.T) {
	x, err := New(Policy{MaxRatio: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		size int
		want error
	}{{ratioFree, nil}, {ratioFree + 1, ErrRatio}, {1 << 20, ErrRatio}} {
		r := x.Receiver(Agreement{Receive: full()}, newReceiver(t, full()).pool)
		if got, err := receive(&r, bomb(t, c.size), whole()); err != c.want || len(got) > 2*ratioFree {
			t.Errorf("%d bytes: %v after %d", c.size, err, len(got))
		}
		r.Close()
		text, _ := x.Compress(nil, corpus.Named("json 16 KiB").Messages[0], 15)
		r = x.Receiver(Agreement{Receive: full()}, newReceiver(t, full()).pool)
		for range 20 {
			if _, err := receive(&r, text, whole()); err != nil {
				t.Error(err)
			}
		}
		r.Close()
	}
}

// A message may be as many times its payload as the ratio says, and not a byte more, however it is cut and whatever came
// before it.
func TestRatioToTheByte(t *testing.T) {
	const ratio, in = 100, 1000
	x, err := New(Policy{MaxRatio: ratio})
	if err != nil {
		t.Fatal(err)
	}
	for _, cut := range []cutting{whole(), {r: rand.New(rand.NewPCG(1, 1)), input: 100, room: 5000}} {
		r := x.Receiver(Agreement{Receive: full()}, newReceiver(t, full()).pool)
		for _, c := range []struct {
			size int
			want error
		}{{ratio*in - 1, nil}, {ratio * in, nil}, {ratio*in + 1, ErrRatio}} {
			payload := paddedBomb(t, c.size, in)
			if got, err := receive(&r, payload, cut); err != c.want || len(got) != c.size {
				t.Errorf("%d bytes from %d, room %d: %v after %d; want %v", c.size, len(payload), cut.room, err, len(got), c.want)
			}
		}
		r.Close()
	}
}

// paddedBomb is n zero bytes, behind as many blocks that say nothing as make a payload of the length in.
func paddedBomb(t *testing.T, n, in int) []byte {
	t.Helper()
	payload := bomb(t, n)
	if (in-len(payload))%2 != 0 {
		payload = append(unhex("01 00 00 ff ff"), payload...)
	}
	if len(payload) > in {
		t.Fatalf("%d zeros take %d bytes already", n, len(payload))
	}
	return append(bytes.Repeat(unhex("03 00"), (in-len(payload))/2), payload...)
}
