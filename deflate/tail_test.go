package deflate

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// A stored block takes from the appended octets what it lacks, once each, however little room there is for them. It is
// whole where it lacks none or all four; what other blocks leave of them is no whole block. The next message has its own.
func TestTailInLittleRoom(t *testing.T) {
	tail := string(appendedTail[:])
	for lacks := range len(tail) + 2 {
		for _, text := range []string{"", "H", "Hello"} {
			payload := storedBlock([]byte(text + tail + "more")[:len(text)+lacks])[:5+len(text)]
			want := text + tail[:min(lacks, len(tail))]
			whole := lacks == 0 || lacks == len(tail)
			o := obvious{}
			if _, err := o.inflateMessage(payload); (err == nil) != whole {
				t.Errorf("%d octets lack: the obvious decoder says %v", lacks, err)
			}
			for room := 1; room <= len(tail)+1; room++ {
				r := newReceiver(t, full())
				for message := range 2 {
					got, err := receiveInSteps(r, payload, room)
					if string(got) != want && !(message == 1 && !whole) || (err == nil) != whole {
						t.Errorf("%q and %d octets lack, room %d, message %d: %q, %v; want %q, whole %v", text, lacks, room, message, got, err, want, whole)
					}
				}
			}
		}
	}
}

// receiveInSteps inflates a whole payload with the same room for each call.
func receiveInSteps(r *Receiver, payload []byte, room int) (all []byte, err error) {
	dst := make([]byte, room)
	for {
		n, used, step, err := r.Inflate(dst, payload, true)
		all, payload = append(all, dst[:n]...), payload[used:]
		if err != nil || step == Done {
			return all, err
		}
	}
}

// One or two bits behind the last block, which begin no block, are not looked at, whatever they are: nothing is missing
// from the data. Three are a block's.
func TestDanglingBits(t *testing.T) {
	for bits := 1; bits <= 2; bits++ {
		for value := range 1 << bits {
			r := newReceiver(t, full())
			payload, text := dangling(t, bits, value)
			for message := range 2 {
				if got, err := receive(r, payload, whole()); err != nil || string(got) != text {
					t.Errorf("%d bits, %b, message %d: %q, %v", bits, value, message, got, err)
				}
			}
		}
	}
	payload, _ := dangling(t, 3, 0b110)
	if got, err := receive(newReceiver(t, full()), payload, whole()); err != ErrBlockType {
		t.Errorf("block type 3 in the last three bits: %q, %v", got, err)
	}
}

// dangling is a block of fixed codes that is not final, behind which so many bits fill a byte, and what it inflates to.
func dangling(t *testing.T, bits, value int) (payload []byte, text string) {
	t.Helper()
	var b bitWriter
	b.write(0, 1)
	b.write(fixedBlock, 2)
	for range 6 - bits { // each has nine bits; three and seven are the block's own
		b.fixed(0xe9)
		text += "\xe9"
	}
	b.fixed(endOfBlock)
	b.write(value, bits)
	if b.used%8 != 0 {
		t.Fatal(b.used, "bits")
	}
	return b.bytes, text
}

// Random payloads mostly end anywhere but where they should: the same comes of each however it is cut, to the kind of
// error, and the obvious decoder agrees.
func TestRandomPayloads(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 1))
	whole := map[bool]int{}
	for range 2000 {
		payload := make([]byte, 1+r.IntN(16))
		for i := range payload {
			payload[i] = byte(r.Uint32())
		}
		payload[0] &^= 0b100 // stored or fixed
		got, err := receive(newReceiver(t, full()), payload, cutting{})
		cut, cutErr := receive(newReceiver(t, full()), payload, cutting{r: r, input: 2, room: 2})
		if err != cutErr || !bytes.Equal(got, cut) {
			t.Errorf("%x: %q, %v; cut %q, %v", payload, got, err, cut, cutErr)
		}
		o := obvious{}
		if want, wantErr := o.inflateMessage(payload); (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
			t.Errorf("%x: %q, %v; the obvious decoder %q, %v", payload, got, err, want, wantErr)
		}
		whole[err == nil]++
	}
	if whole[true] < 50 || whole[false] < 50 {
		t.Error("of one kind there are too few:", whole)
	}
}
