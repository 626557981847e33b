package deflate

import "math/bits"

// codeMaker makes Huffman codes for symbols that occur so and so often; what it holds is scratch.
type codeMaker struct {
	used   [286]uint32 // symbols in use: count<<16 | symbol
	sorted [286]uint32 // the same, rarest first
	work   [286]int32
	perBin [sortBins + 1]uint16
}

// sortBins: counts from here on share a bin, and are few.
const sortBins = 64

// make gives each symbol that occurs a code of at most most bits, and returns one more than the last such symbol. The
// codes are as short as can be, but for those that had to be cut to most bits.
func (m *codeMaker) make(to []symbolCode, count []uint16, most int) (end int) {
	n := m.sort(count)
	clear(to)
	switch n {
	case 0:
		return 0
	case 1: // one code has one bit (RFC 1951 3.2.7)
		s := int(m.sorted[0] & 0xffff)
		to[s] = 1 << symbolWidth
		return s + 1
	}
	m.widths(n)
	perWidth := m.limit(n, most)
	at := 0
	for width := most; width > 0; width-- { // the rarest get the longest
		for range perWidth[width] {
			s := int(m.sorted[at] & 0xffff)
			to[s] = symbolCode(width) << symbolWidth
			end = max(end, s+1)
			at++
		}
	}
	assignCodes(to, m.used[:n], &perWidth)
	return end
}

// sort lists the symbols that occur in m.sorted, rarest first, and returns how many.
func (m *codeMaker) sort(count []uint16) int {
	clear(m.perBin[:])
	n := 0
	for s, c := range count {
		if c != 0 {
			m.used[n] = uint32(c)<<16 | uint32(s)
			m.perBin[min(c, sortBins)]++
			n++
		}
	}
	sum := uint16(0)
	for i, c := range m.perBin {
		m.perBin[i] = sum
		sum += c
	}
	often := int(m.perBin[sortBins])
	for _, u := range m.used[:n] {
		bin := min(u>>16, sortBins)
		m.sorted[m.perBin[bin]] = u
		m.perBin[bin]++
	}
	for i := often + 1; i < n; i++ { // the last bin by insertion
		u, k := m.sorted[i], i
		for ; k > often && m.sorted[k-1] > u; k-- {
			m.sorted[k] = m.sorted[k-1]
		}
		m.sorted[k] = u
	}
	return n
}

// widths leaves in m.work the widths of an optimal code for m.sorted[:n], n > 1: in place, in linear time, after Moffat
// and Katajainen, "In-Place Calculation of Minimum-Redundancy Codes", 1995.
func (m *codeMaker) widths(n int) {
	w := m.work[:n]
	for i := range w {
		w[i] = int32(m.sorted[i] >> 16)
	}
	// First: w[:n-1] become the inner nodes, each the index of its parent.
	leaf, node := 0, 0
	least := func(next int) (weight int32) {
		if leaf >= n || node < next && w[node] < w[leaf] {
			weight = w[node]
			w[node] = int32(next)
			node++
			return weight
		}
		leaf++
		return w[leaf-1]
	}
	for next := range n - 1 {
		a := least(next)
		w[next] = a + least(next)
	}
	// Second: the depths of the inner nodes, the root's being 0.
	w[n-2] = 0
	for i := n - 3; i >= 0; i-- {
		w[i] = w[w[i]] + 1
	}
	// Third: the depths of the leaves, from the root down.
	free, depth, inner, at := 1, int32(0), n-2, n-1
	for free > 0 {
		used := 0
		for inner >= 0 && w[inner] == depth {
			used++
			inner--
		}
		for ; free > used; free-- {
			w[at] = depth
			at--
		}
		free = 2 * used
		depth++
	}
}

// limit counts how many codes have which width, none more than most. Cutting codes short makes too many of them; each
// step back gives up one of the longest and puts it beside a shorter one, which becomes longer by a bit.
func (m *codeMaker) limit(n, most int) (perWidth [maxWidth + 1]int) {
	room := 0
	for _, width := range m.work[:n] {
		k := min(int(width), most)
		perWidth[k]++
		room += 1 << (most - k)
	}
	for ; room > 1<<most; room-- {
		perWidth[most]--
		k := most - 1
		for perWidth[k] == 0 {
			k--
		}
		perWidth[k]--
		perWidth[k+1] += 2
	}
	return perWidth
}

// assignCodes fills in the codes for the widths that to has (RFC 1951 3.2.2), of which perWidth tells how many there
// are; symbols says which have one.
func assignCodes(to []symbolCode, symbols []uint32, perWidth *[maxWidth + 1]int) {
	var next [maxWidth + 1]uint16
	for n := 1; n < maxWidth; n++ {
		next[n+1] = (next[n] + uint16(perWidth[n])) << 1
	}
	for _, s := range symbols {
		c := &to[s&0xffff]
		n := c.width()
		*c |= symbolCode(bits.Reverse16(next[n]) >> (16 - n))
		next[n]++
	}
}
