package codec

// The exact half of the validator: one byte at a time, straight from the table
// of RFC 3629 section 4. It alone refuses: the fast half only says which bytes
// need no second look, so a block it wrongly suspects costs time, never a text.

// step takes the next byte. On a byte that cannot follow it returns false and
// leaves v failed.
func (v *UTF8) step(b byte) bool {
	if v.need == 0 {
		return b < 0x80 || v.lead(b)
	}
	if b < v.lo || b > v.hi {
		v.fail()
		return false
	}
	v.need--
	v.lo, v.hi = 0x80, 0xBF
	return true
}

// lead takes the first byte of a code point beyond ASCII. Only the second byte
// has a range narrower than 80-BF, and only after E0, ED, F0 and F4.
func (v *UTF8) lead(b byte) bool {
	v.lo, v.hi = 0x80, 0xBF
	switch {
	case b < 0xC2: // 80-BF continue nothing; C0 and C1 begin only overlong forms
		v.fail()
		return false
	case b < 0xE0:
		v.need = 1
	case b < 0xF0:
		v.need = 2
		if b == 0xE0 {
			v.lo = 0xA0 // below: overlong
		} else if b == 0xED {
			v.hi = 0x9F // above: U+D800-DFFF, the surrogates
		}
	case b < 0xF5:
		v.need = 3
		if b == 0xF0 {
			v.lo = 0x90 // below: overlong
		} else if b == 0xF4 {
			v.hi = 0x8F // above: beyond U+10FFFF
		}
	default: // F5-FF
		v.fail()
		return false
	}
	return true
}

// fail leaves v waiting for a byte out of an empty range, so that every later
// Write fails and Complete stays false without a flag to test.
func (v *UTF8) fail() { v.need, v.lo, v.hi = 1, 1, 0 }

func (v *UTF8) failed() bool { return v.lo > v.hi }

// resume is Write in the middle of a code point, or after a failure.
func (v *UTF8) resume(p []byte) (at int, ok bool) {
	if v.failed() {
		return 0, false
	}
	for i, b := range p {
		if !v.step(b) {
			return i, false
		}
		if v.need == 0 {
			at, ok = v.Write(p[i+1:])
			return i + 1 + at, ok
		}
	}
	return len(p), true
}

// reread takes the code point at p[from:] that utf8Prefix stopped at, which is
// not valid or not whole, and finds the byte to blame.
func (v *UTF8) reread(p []byte, from int) (at int, ok bool) {
	for at = from; at < len(p); at++ {
		if !v.step(p[at]) {
			return at, false
		}
	}
	return at, true
}
