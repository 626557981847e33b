package deflate

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/gannet-ws/gannet/bench/corpus"
)

// matchBlock repeats three bytes, from a distance before its beginning.
func matchBlock(distance int) []byte {
	var b bitWriter
	b.beginFinal(fixedBlock)
	b.matchThree(distance)
	b.fixed(endOfBlock)
	return append(b.bytes, flushes()...)
}

// cuttings are the ways of decoding a distance: with output and input ahead, so that the fast path does it, and without.
func cuttings() []cutting {
	return []cutting{whole(), {r: rand.New(rand.NewPCG(1, 1)), room: 200}, {r: rand.New(rand.NewPCG(1, 2)), input: 200, room: 200}}
}

// A distance reaches over the whole window and not a byte further, within a message and into the one before, on the fast
// path and on the slow one.
func TestReachOfTheWindow(t *testing.T) {
	for bits := uint8(minWindowBits); bits <= maxWindowBits; bits++ {
		size := 1 << bits
		plain := corpus.Random(rand.New(rand.NewPCG(1, uint64(bits))), size+300)
		testReach(t, Direction{bits, true}, plain, size, string(plain[300:303]), nil)
		if bits < maxWindowBits { // no distance passes 32 KiB
			testReach(t, Direction{bits, true}, plain, size+1, "", ErrWindow)
		}
	}
}

// A distance reaches the first byte that the peer sent, and not a byte further.
func TestReachOfTheFirstByte(t *testing.T) {
	for _, n := range []int{3, 300, 5000} {
		plain := corpus.Random(rand.New(rand.NewPCG(2, 1)), n)
		testReach(t, full(), plain, n, string(plain[:3]), nil)
		testReach(t, full(), plain, n+1, "", ErrDistance)
	}
}

// testReach repeats three bytes from a distance before the end of plain, in the same message and in the next.
func testReach(t *testing.T, d Direction, plain []byte, distance int, want string, fault error) {
	t.Helper()
	for i, c := range cuttings() {
		got, err := receive(newReceiver(t, d), append(storedBlock(plain), matchBlock(distance)...), c)
		if !errors.Is(err, fault) || string(got) != string(plain)+want {
			t.Errorf("%+v, cutting %d: distance %d within a message: %d bytes, %v; want %v", d, i, distance, len(got), err, fault)
		}
		r := newReceiver(t, d)
		if got, err := receive(r, storedBlock(plain), c); err != nil || !bytes.Equal(got, plain) {
			t.Fatal(err)
		}
		if got, err := receive(r, matchBlock(distance), c); !errors.Is(err, fault) || string(got) != want {
			t.Errorf("%+v, cutting %d: distance %d into the message before: %q, %v; want %q, %v", d, i, distance, got, err, want, fault)
		}
	}
}

// Without takeover a message refers to itself as far as it likes, in one call or in many, and nothing of it is left then.
func TestNothingIsTakenOver(t *testing.T) {
	plain := corpus.Random(rand.New(rand.NewPCG(3, 1)), 1000)
	for i, c := range cuttings() {
		r := newReceiver(t, Direction{15, false})
		got, err := receive(r, append(storedBlock(plain), matchBlock(len(plain))...), c)
		if err != nil || !bytes.Equal(got, append(plain, plain[:3]...)) {
			t.Fatalf("cutting %d: %d bytes, %v", i, len(got), err)
		}
		if r.Held() != 0 || r.InMessage() {
			t.Errorf("cutting %d: %d bytes are held", i, r.Held())
		}
		if i == 0 && r.pool.Stats().Gets != 0 {
			t.Error("a window was taken for a message that one call decodes")
		}
		if got, err := receive(r, matchBlock(1), c); err != ErrDistance {
			t.Errorf("cutting %d: a distance into the message before: %q, %v", i, got, err)
		}
	}
}

// After Abort the connection is like a new one: what was under way is gone, and so is what could be referred to.
func TestAbort(t *testing.T) {
	plain := corpus.Random(rand.New(rand.NewPCG(4, 1)), 1000)
	for _, takeover := range []bool{true, false} {
		for _, within := range []int{0, 1, 500, len(plain)} {
			r := newReceiver(t, Direction{15, takeover})
			if _, err := receive(r, storedBlock(plain), whole()); err != nil {
				t.Fatal(err)
			}
			if within > 0 {
				// The message breaks off in a stored block, or where the next block would begin.
				if n, _, _, err := r.Inflate(make([]byte, within), storedBlock(plain), false); n != within || err != nil {
					t.Fatal(n, err)
				}
			}
			r.Abort()
			if r.Held() != 0 || r.InMessage() {
				t.Errorf("takeover %v, after %d bytes: %d are held, in a message %v", takeover, within, r.Held(), r.InMessage())
			}
			if got, err := receive(r, storedBlock(plain), whole()); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("takeover %v, after %d bytes: the next message is %d bytes, %v", takeover, within, len(got), err)
			}
			r.Abort()
			if got, err := receive(r, matchBlock(1), whole()); err != ErrDistance {
				t.Errorf("takeover %v, after %d bytes: a distance to what was before: %q, %v", takeover, within, got, err)
			}
		}
	}
}
