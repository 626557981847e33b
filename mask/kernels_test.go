package mask

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// A kernel is one implementation behind the door, forced. kernels, in the file
// of each platform, lists all that this machine can run.
type kernel struct {
	name string
	xor  func(b []byte, key uint32) uint32
	copy func(dst, src []byte, key uint32) uint32
}

// allKernels adds the Go twin, which every build has.
func allKernels(t testing.TB) []kernel {
	return append(kernels(t), kernel{
		name: "twin",
		xor: func(b []byte, key uint32) uint32 {
			generic(b, b, key)
			return Rotate(key, len(b))
		},
		copy: func(dst, src []byte, key uint32) uint32 {
			generic(dst, src, key)
			return Rotate(key, len(src))
		},
	})
}

// oracle is RFC 6455 5.3 word for word: octet i of the result is octet i of
// the original xor octet (i MOD 4) of the key.
func oracle(dst, src []byte, k [4]byte, position int) {
	for i := range src {
		dst[i] = src[i] ^ k[(position+i)%4]
	}
}

var alignments = []int{0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 32, 33, 47, 48, 63}

const (
	maxLength = 1024 // beyond it only loops turn more often
	margin    = 128  // bytes watched on both sides
)

// A field is a buffer in which a kernel may change only [at, at+n).
type field struct {
	before, after, want []byte
	at                  int
}

func newField(r *rand.ChaCha8, at int) *field {
	f := &field{at: margin + at}
	size := margin + 64 + maxLength + margin
	f.before = make([]byte, size)
	r.Read(f.before)
	// The page offset of after is the allocator's choice, 64 bytes is not.
	f.after = alignedBytes(size)
	f.want = make([]byte, size)
	return f
}

func (f *field) reset() { copy(f.after, f.before) }

// check fails unless exactly the n bytes are as want has them.
func (f *field) check(t *testing.T, what string, n, position int) {
	t.Helper()
	end := f.at + n
	switch {
	case !bytes.Equal(f.after[f.at:end], f.want[f.at:end]):
		t.Fatalf("%s: %d bytes at alignment %d, key position %d: wrong result", what, n, f.at%64, position)
	case !bytes.Equal(f.after[:f.at], f.before[:f.at]):
		t.Fatalf("%s: %d bytes at alignment %d: wrote before them", what, n, f.at%64)
	case !bytes.Equal(f.after[end:], f.before[end:]):
		t.Fatalf("%s: %d bytes at alignment %d: wrote behind them", what, n, f.at%64)
	}
}

// TestXOREveryLength is the cross product: kernels x lengths x alignments x
// key positions.
func TestXOREveryLength(t *testing.T) {
	seed := rand.NewChaCha8([32]byte{1})
	k := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	for _, kern := range allKernels(t) {
		for _, at := range alignments {
			f := newField(seed, at)
			for position := range 4 {
				oracle(f.want[f.at:], f.before[f.at:], k, position)
				for n := range maxLength + 1 {
					f.reset()
					next := kern.xor(f.after[f.at:f.at+n], Rotate(Key(k), position))
					f.check(t, kern.name+" XOR", n, position)
					if want := Rotate(Key(k), position+n); next != want {
						t.Fatalf("%s XOR of %d bytes returned %08x, want %08x", kern.name, n, next, want)
					}
				}
			}
		}
	}
}

// TestCopyEveryLength does the same for Copy, with sources at other alignments
// than the destination, and watches that the source stays as it was.
func TestCopyEveryLength(t *testing.T) {
	seed := rand.NewChaCha8([32]byte{2})
	k := [4]byte{0x00, 0xff, 0x80, 0x01}
	for _, kern := range allKernels(t) {
		for i, at := range alignments {
			f := newField(seed, at)
			source := newField(seed, alignments[(i*5+3)%len(alignments)])
			source.reset()
			for position := range 4 {
				src := source.after[source.at:]
				oracle(f.want[f.at:f.at+maxLength], src[:maxLength], k, position)
				for n := range maxLength + 1 {
					f.reset()
					next := kern.copy(f.after[f.at:f.at+n], src[:n], Rotate(Key(k), position))
					f.check(t, kern.name+" Copy", n, position)
					if want := Rotate(Key(k), position+n); next != want {
						t.Fatalf("%s Copy of %d bytes returned %08x, want %08x", kern.name, n, next, want)
					}
				}
			}
			if !bytes.Equal(source.after, source.before) {
				t.Fatalf("%s Copy changed its source", kern.name)
			}
		}
	}
}

// TestCopyOntoItself: dst and src may be the same bytes.
func TestCopyOntoItself(t *testing.T) {
	seed := rand.NewChaCha8([32]byte{3})
	k := [4]byte{9, 8, 7, 6}
	for _, kern := range allKernels(t) {
		for _, at := range alignments {
			f := newField(seed, at)
			oracle(f.want[f.at:], f.before[f.at:], k, 0)
			for n := range maxLength + 1 {
				f.reset()
				b := f.after[f.at : f.at+n]
				kern.copy(b, b, Key(k))
				f.check(t, kern.name+" Copy onto itself", n, 0)
			}
		}
	}
}

// TestLongLengths goes where the loops turn many times.
func TestLongLengths(t *testing.T) {
	seed := rand.NewChaCha8([32]byte{4})
	k := [4]byte{1, 2, 4, 8}
	for _, kern := range allKernels(t) {
		for _, n := range []int{4095, 4096, 65535, 65536 + 77, 1<<20 + 13} {
			src := make([]byte, n+3)[3:]
			seed.Read(src)
			want, got := make([]byte, n), make([]byte, n)
			oracle(want, src, k, 1)
			kern.copy(got, src, Rotate(Key(k), 1))
			if !bytes.Equal(got, want) {
				t.Fatalf("%s Copy of %d bytes: wrong result", kern.name, n)
			}
			kern.xor(src, Rotate(Key(k), 1))
			if !bytes.Equal(src, want) {
				t.Fatalf("%s XOR of %d bytes: wrong result", kern.name, n)
			}
		}
	}
}

// TestPieces cuts payloads at random and masks the pieces one after the other,
// each with the key that the one before returned.
func TestPieces(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for _, kern := range allKernels(t) {
		for range 2000 {
			payload := make([]byte, r.IntN(3000))
			for i := range payload {
				payload[i] = byte(r.Uint32())
			}
			key := r.Uint32()
			want := bytes.Clone(payload)
			whole := kern.xor(want, key)

			copied := make([]byte, len(payload))
			xorKey, copyKey := key, key
			for at := 0; at < len(payload); {
				end := at + min(r.IntN(1+r.IntN(700)), len(payload)-at)
				copyKey = kern.copy(copied[at:end], payload[at:end], copyKey)
				xorKey = kern.xor(payload[at:end], xorKey)
				at = end
			}
			if !bytes.Equal(payload, want) || !bytes.Equal(copied, want) {
				t.Fatalf("%s: %d bytes in pieces differ from one call", kern.name, len(payload))
			}
			if xorKey != whole || copyKey != whole {
				t.Fatalf("%s: key after the pieces %08x and %08x, after one call %08x", kern.name, xorKey, copyKey, whole)
			}
		}
	}
}

// TestBestImplementationRuns fails if start-up did not choose the best kernel
// this machine has: a silent fall-back would pass every other test.
func TestBestImplementationRuns(t *testing.T) {
	if want := bestHere(t); Implementation() != want {
		t.Fatalf("running %q, the best here is %q", Implementation(), want)
	}
}
