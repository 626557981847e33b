package deflate

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gannet-ws/gannet/bench/corpus"
)

// Messages of every length up to 600, and around what one match and one encoder can hold, of every degree of repetition.
func TestShortLengths(t *testing.T) {
	w := newWire(t, Policy{MinSize: 1, HistoryBytes: 8192}, full())
	r := rand.New(rand.NewPCG(1, 1))
	var sizes []int
	for n := 0; n < 600; n += unraced(1, 7) {
		sizes = append(sizes, n)
	}
	for _, around := range []int{3 * maxMatch, 4 * maxMatch, maxHistoryText, maxShort} {
		for d := -3; d <= 3; d++ {
			sizes = append(sizes, around+d)
		}
	}
	for _, n := range sizes {
		for _, letters := range []int{1, 2, 20} {
			m := make([]byte, n)
			for i := range m {
				m[i] = 'a' + byte(r.IntN(letters))
			}
			if w.send(m); n > 20 && letters == 1 && !w.send(m) {
				t.Fatalf("%d equal letters were not compressed", n)
			}
		}
	}
}

// Runs of each length are cut into matches that DEFLATE can say.
func TestLongMatches(t *testing.T) {
	w := newWire(t, Policy{MinSize: 1}, Direction{15, false})
	for n := 5; n < 1100; n++ {
		m := append(bytes.Repeat([]byte("x"), n), "yz and no more of it"...)
		if !w.send(m) && n > 8 {
			t.Fatalf("a run of %d was not compressed", n)
		}
	}
}

// Blocks whose codes are at their limits: counts that want codes of more than 15 bits, one width for all symbols, each
// symbol there is.
func TestExtremeBlocks(t *testing.T) {
	for _, c := range []struct {
		what   string
		counts func(i int) int
		n      int
	}{
		{"Fibonacci", fibonacci, 18},
		{"powers of two", func(i int) int { return 1 << min(i, 12) }, 13},
		{"all alike", func(int) int { return 20 }, 256},
		{"two", func(int) int { return 60 }, 2},
		{"seven", func(int) int { return 60 }, 7},
	} {
		e := shortEncoders.Get().(*shortEncoder)
		e.count = 0
		e.block.reset()
		var plain []byte
		for i := range c.n {
			for range c.counts(i) {
				if e.count == maxShort {
					break
				}
				e.literals([]byte{byte(i)})
				plain = append(plain, byte(i))
			}
		}
		out, ok := e.block.append(nil, e.tokens[:e.count], 1<<20)
		if !ok {
			t.Fatal(c.what, "does not fit")
		}
		newWire(t, Policy{}, full()).check(out, plain, whole())
	}
}

func fibonacci(i int) int {
	a, b := 1, 1
	for range i {
		a, b = b, a+b
	}
	return a
}

// Codes are as short as Huffman's where they need not be cut, and complete always.
func TestCodes(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	var m codeMaker
	for round := range unraced(3000, 300) {
		count := make([]uint16, 1+r.IntN(286))
		for i := range count {
			if r.IntN(3) != 0 {
				count[i] = uint16(math.Exp(r.Float64() * float64(1+round%8)))
			}
		}
		most := maxWidth
		if len(count) <= lengthSymbols {
			most = lengthBits
		}
		codes := make([]symbolCode, len(count))
		end := m.make(codes, count, most)
		kraft, cost, used := 0, 0, 0
		for s, c := range codes {
			if (c != 0) != (count[s] != 0) || c != 0 && s >= end || int(c.width()) > most {
				t.Fatalf("symbol %d, count %d: code %x, end %d", s, count[s], c, end)
			}
			if c != 0 {
				kraft += 1 << (maxWidth - c.width())
				cost += int(count[s]) * int(c.width())
				used++
			}
		}
		if used > 1 && kraft != 1<<maxWidth {
			t.Fatalf("%d codes fill %d of %d", used, kraft, 1<<maxWidth)
		}
		best, deepest := huffmanCost(count)
		cut := deepest > most
		if used > 1 && (cost < best || !cut && cost != best || cost > best+best/10) {
			t.Fatalf("%d codes cost %d bits, Huffman's %d (longest %d, most %d)", used, cost, best, deepest, most)
		}
	}
}

// huffmanCost is what an optimal code costs, the slow way, and an upper bound of its longest code.
func huffmanCost(count []uint16) (cost, deepest int) {
	type node struct{ weight, depth int }
	var nodes []node
	for _, c := range count {
		if c != 0 {
			nodes = append(nodes, node{int(c), 0})
		}
	}
	for len(nodes) > 1 {
		slices.SortFunc(nodes, func(a, b node) int { return a.weight - b.weight })
		sum := node{nodes[0].weight + nodes[1].weight, 1 + max(nodes[0].depth, nodes[1].depth)}
		cost += sum.weight
		deepest = max(deepest, sum.depth)
		nodes = append(nodes[2:], sum)
	}
	return cost, deepest
}

// Positions of earlier messages are out of reach, also where the counter starts over.
func TestBaseStartsOver(t *testing.T) {
	e := &shortEncoder{base: 1<<31 - 3*(maxHistoryText+maxShort)}
	x := corpus.Orders(rand.New(rand.NewPCG(1, 1)), 500)
	for range 8 {
		n := copy(e.text[:], x)
		e.count = 0
		e.block.reset()
		e.prime(0)
		e.search(0, n, 1<<15)
		out, ok := e.block.append(nil, e.tokens[:e.count], len(x))
		if !ok {
			t.Fatal("not compressed")
		}
		newWire(t, Policy{}, full()).check(out, x, whole())
	}
	if e.base > 1<<31 {
		t.Error("the counter did not start over")
	}
}
