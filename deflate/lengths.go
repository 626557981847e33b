package deflate

// lengthSequence is a dynamic block's description of its codes: their widths, as a sequence of symbols which has a code
// itself (RFC 1951 3.2.7).
type lengthSequence struct {
	literals, all int // widths of the first code, of both
	widths        [286 + 30]uint8
	symbols       [286 + 30]uint16 // symbol | value of its extra bits << 8
	count         int              // of symbols
	sent          int              // widths of the code for symbols that are sent
	perSymbol     [lengthSymbols]uint16
	codes         [lengthSymbols]symbolCode
}

// Repetitions: of the width before, and of zero.
const (
	repeatLast  = 16 // 3 to 6 times, 2 bits
	repeatZero  = 17 // 3 to 10 times, 3 bits
	repeatZeros = 18 // 11 to 138 times, 7 bits
)

var repeatExtra = [lengthSymbols]uint8{repeatLast: 2, repeatZero: 3, repeatZeros: 7}

func (l *lengthSequence) set(literals, distances []symbolCode, m *codeMaker) {
	for i, c := range literals {
		l.widths[i] = uint8(c.width())
	}
	for i, c := range distances {
		l.widths[len(literals)+i] = uint8(c.width())
	}
	l.count = 0
	l.perSymbol = [lengthSymbols]uint16{}
	widths := l.widths[:l.all]
	for i := 0; i < len(widths); {
		run := 1
		for i+run < len(widths) && widths[i+run] == widths[i] {
			run++
		}
		l.run(widths[i], run)
		i += run
	}
	l.makeCode(m)
}

// run adds a width that occurs n times in a row.
func (l *lengthSequence) run(width uint8, n int) {
	if width == 0 {
		for ; n >= 11; n -= min(n, 138) {
			l.add(repeatZeros, min(n, 138)-11)
		}
		if n >= 3 {
			l.add(repeatZero, n-3)
			return
		}
	} else {
		l.add(int(width), 0)
		for n--; n >= 3; n -= min(n, 6) {
			l.add(repeatLast, min(n, 6)-3)
		}
	}
	for ; n > 0; n-- {
		l.add(int(width), 0)
	}
}

func (l *lengthSequence) add(symbol, extra int) {
	l.symbols[l.count] = uint16(symbol | extra<<8)
	l.count++
	l.perSymbol[symbol]++
}

func (l *lengthSequence) makeCode(m *codeMaker) {
	m.make(l.codes[:], l.perSymbol[:], lengthBits)
	l.complete()
	for l.sent = lengthSymbols; l.sent > 4 && l.codes[lengthOrder[l.sent-1]] == 0; l.sent-- {
	}
}

// complete adds a code where there is only one: zlib refuses a description that leaves bit patterns unused.
func (l *lengthSequence) complete() {
	only := -1
	for s, c := range l.codes {
		if c != 0 {
			if only >= 0 {
				return
			}
			only = s
		}
	}
	other := (only + 1) % repeatLast
	l.codes[min(only, other)] = 1 << symbolWidth
	l.codes[max(only, other)] = 1<<symbolWidth | 1
}

// size is how many bits writeTo writes.
func (l *lengthSequence) size() int {
	n := 5 + 5 + 4 + 3*l.sent
	for s, count := range l.perSymbol {
		n += int(count) * (int(l.codes[s].width()) + int(repeatExtra[s]))
	}
	return n
}

func (l *lengthSequence) writeTo(w *bitSink) {
	w.write(uint64(l.literals-257), 5)
	w.write(uint64(l.all-l.literals-1), 5)
	w.write(uint64(l.sent-4), 4)
	for _, s := range lengthOrder[:l.sent] {
		w.write(uint64(l.codes[s].width()), 3)
	}
	for _, v := range l.symbols[:l.count] {
		s := v & 0xff
		w.writeCode(l.codes[s])
		w.write(uint64(v>>8), uint(repeatExtra[s]))
	}
}
