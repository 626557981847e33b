package codec

import "strings"

// utf8ABNF is RFC 3629 section 4 as it stands there, one line per form: the
// slow, obvious validator that the fast ones are held to.
//
//	UTF8-1 = %x00-7F
//	UTF8-2 = %xC2-DF UTF8-tail
//	UTF8-3 = %xE0 %xA0-BF UTF8-tail / %xE1-EC 2( UTF8-tail ) /
//	         %xED %x80-9F UTF8-tail / %xEE-EF 2( UTF8-tail )
//	UTF8-4 = %xF0 %x90-BF 2( UTF8-tail ) / %xF1-F3 3( UTF8-tail ) /
//	         %xF4 %x80-8F 2( UTF8-tail )
//	UTF8-tail = %x80-BF
var utf8ABNF = [][]utf8Range{
	{{0x00, 0x7F}},
	{{0xC2, 0xDF}, utf8Tail},
	{{0xE0, 0xE0}, {0xA0, 0xBF}, utf8Tail},
	{{0xE1, 0xEC}, utf8Tail, utf8Tail},
	{{0xED, 0xED}, {0x80, 0x9F}, utf8Tail},
	{{0xEE, 0xEF}, utf8Tail, utf8Tail},
	{{0xF0, 0xF0}, {0x90, 0xBF}, utf8Tail, utf8Tail},
	{{0xF1, 0xF3}, utf8Tail, utf8Tail, utf8Tail},
	{{0xF4, 0xF4}, {0x80, 0x8F}, utf8Tail, utf8Tail},
}

var utf8Tail = utf8Range{0x80, 0xBF}

type utf8Range struct{ from, to byte }

// utf8Verdict is all there is to know of a text.
type utf8Verdict struct {
	whole int  // bytes in whole code points before the first bad byte or the end
	at    int  // index of the first byte that continues no valid text, or the length
	ok    bool // there is no such byte
}

func (v utf8Verdict) valid() bool { return v.ok && v.whole == v.at }

// utf8Judge takes one code point of the ABNF after the other.
func utf8Judge(p []byte) (v utf8Verdict) {
	for v.whole < len(p) {
		size, at := utf8Match(p, v.whole)
		if size == 0 {
			v.at, v.ok = at, at == len(p)
			return v
		}
		v.whole += size
	}
	return utf8Verdict{whole: len(p), at: len(p), ok: true}
}

// utf8Match returns the length of the code point at p[start:], or 0 and the index
// of the first byte that no form allows there.
func utf8Match(p []byte, start int) (size, at int) {
	at = start
	for _, form := range utf8ABNF {
		n := 0
		for n < len(form) && start+n < len(p) && form[n].from <= p[start+n] && p[start+n] <= form[n].to {
			n++
		}
		if n == len(form) {
			return n, start + n
		}
		at = max(at, start+n)
	}
	return 0, at
}

// utf8Edges is the bytes where some range of the ABNF begins or ends.
var utf8Edges = []byte("\x00\x7F\x80\x8F\x90\x9F\xA0\xBF\xC0\xC1\xC2\xDF" +
	"\xE0\xE1\xEC\xED\xEE\xEF\xF0\xF1\xF3\xF4\xF5\xF7\xF8\xFF")

// utf8Bad is the classes of what is not valid, each with its shortest and its
// longest example, and what comes near it from the valid side.
var utf8Bad = []struct{ class, bytes string }{
	{"continuation alone", "\x80"}, {"continuation alone", "\xBF"},
	{"continuation too many", "é\x80"}, {"continuation too many", "漢\xBF"}, {"continuation too many", "😀\x80"},
	{"overlong of two", "\xC0\x80"}, {"overlong of two", "\xC1\xBF"},
	{"overlong of three", "\xE0\x80\x80"}, {"overlong of three", "\xE0\x9F\xBF"},
	{"overlong of four", "\xF0\x80\x80\x80"}, {"overlong of four", "\xF0\x8F\xBF\xBF"},
	{"high surrogate", "\xED\xA0\x80"}, {"high surrogate", "\xED\xAF\xBF"},
	{"low surrogate", "\xED\xB0\x80"}, {"low surrogate", "\xED\xBF\xBF"},
	{"surrogate pair", "\xED\xA0\xBD\xED\xB8\x80"},
	{"above U+10FFFF", "\xF4\x90\x80\x80"}, {"above U+10FFFF", "\xF4\xBF\xBF\xBF"},
	{"lead of four out of range", "\xF5\x80\x80\x80"}, {"lead of four out of range", "\xF7\xBF\xBF\xBF"},
	{"lead of five", "\xF8\x88\x80\x80\x80"}, {"lead of six", "\xFD\xBF\xBF\xBF\xBF\xBF"},
	{"byte-order mark of UTF-16", "\xFE\xFF"}, {"byte-order mark of UTF-16", "\xFF\xFE"},
	{"lead alone", "\xC2a"}, {"lead alone", "\xE1a"}, {"lead alone", "\xF1a"},
	{"lead after lead", "\xC2\xC2\x80"}, {"lead after lead", "\xE1\xE1\x80\x80"}, {"lead after lead", "\xF1\xF1\x80\x80\x80"},
	{"three cut to two", "\xE1\x80a"}, {"three cut to two", "\xEF\xBF漢"},
	{"four cut to two", "\xF1\x80a"}, {"four cut to three", "\xF1\x80\x80a"}, {"four cut to three", "\xF4\x8F\xBF😀"},
}

// utf8Good is what a careless check would refuse, or an end of a range.
var utf8Good = []string{
	"\x00", "\x7F", "\u0080", "\u07FF", "\u0800", "\u0FFF", "\u1000", "\uCFFF", "\uD7FF", "\uE000",
	"\uFDD0", "\uFEFF", "\uFFFD", "\uFFFE", "\uFFFF", "\U00010000", "\U0001FFFE", "\U0003FFFF", "\U00040000", "\U000FFFFF", "\U00100000", "\U0010FFFF",
}

// utf8Fillers are texts to hide a sequence in, by the length of their code points.
var utf8Fillers = []string{
	strings.Repeat("a", 300), strings.Repeat("é", 150), strings.Repeat("漢", 100), strings.Repeat("😀", 75),
	strings.Repeat("aé漢😀", 30),
}

// utf8Filler is n bytes of a filler, in whole code points but for ASCII in front.
func utf8Filler(filler string, n int) string {
	for cut := n; ; cut-- {
		if utf8Judge([]byte(filler[:cut])).valid() {
			return strings.Repeat("a", n-cut) + filler[:cut]
		}
	}
}
