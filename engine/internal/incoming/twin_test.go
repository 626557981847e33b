package incoming

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"io"
	"unicode/utf8"
)

// twin is the slow, obvious other opinion: it is given a whole stream and says what has to come of it. It shares no code
// with the package, nor with those below it.
type twin struct {
	client   bool // this side is: its peer's frames are not masked
	deflates bool // with takeover in the whole window
	chunks   bool
	lim      Limits
	discard  int // nothing is delivered after so many events; 0: all is

	window []byte // the end of what was inflated
	got    []occurrence
	part   string // what is known of the message under way
	code   int    // of the error; 0: none

	open       bool // inside a message
	op         byte
	compressed bool
	size       uint64
	fragments  int
	wire       []byte // payload of the message, unmasked
	all        bool   // its last frame is whole
	torn       bool   // a message ended in the middle of a block, or with bits that begin none
}

// occurrence is one event; chunks are one together, a Message, with the last of them.
type occurrence struct {
	kind Kind
	op   byte
	data string
}

func (w *twin) discarding() bool { return w.discard > 0 && len(w.got) >= w.discard }

// run takes the whole stream.
func (w *twin) run(b []byte) {
	for len(b) > 0 && w.code == 0 {
		n := w.frame(b)
		if n == 0 {
			return
		}
		b = b[n:]
		if k := len(w.got); k > 0 && w.got[k-1].kind == Close {
			return
		}
	}
}

// frame takes one frame, or what there is of it, and returns its length; 0 at the end.
func (w *twin) frame(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	fin, rsv, op := b[0]&0x80 != 0, b[0]&0x70, b[0]&0x0f
	control := op >= 8
	switch {
	case op > 2 && op < 8 || op > 10, rsv&0x30 != 0,
		rsv&0x40 != 0 && (!w.deflates || control || op == 0),
		(b[1]&0x80 == 0) != w.client,
		control && (!fin || b[1]&0x7f > 125),
		!control && (op == 0) != w.open:
		w.code = 1002
		return 0
	}
	at, length := 2, uint64(b[1]&0x7f)
	switch {
	case length == 126 && len(b) < 4, length == 127 && len(b) < 10:
		return 0
	case length == 126:
		at, length = 4, uint64(binary.BigEndian.Uint16(b[2:]))
		if length < 126 {
			w.code = 1002
		}
	case length == 127:
		at, length = 10, binary.BigEndian.Uint64(b[2:])
		if length < 1<<16 || length >= 1<<63 {
			w.code = 1002
		}
	}
	var key [4]byte
	if w.code != 0 || len(b) < at+4 && !w.client {
		return 0
	}
	if !w.client {
		at += copy(key[:], b[at:])
	}
	payload := bytes.Clone(b[at:min(uint64(len(b)), uint64(at)+length)])
	for i := range payload {
		payload[i] ^= key[i%4]
	}
	whole := uint64(len(payload)) == length
	if control {
		if !whole {
			return 0
		}
		w.got = append(w.got, occurrence{map[byte]Kind{8: Close, 9: Ping, 10: Pong}[op], 0, string(payload)})
	} else {
		w.data(fin, rsv != 0, op, length, payload, whole)
	}
	if !whole {
		return 0
	}
	return at + len(payload)
}

func (w *twin) data(fin, rsv1 bool, op byte, length uint64, payload []byte, whole bool) {
	if op != 0 {
		w.open, w.op, w.compressed, w.size, w.fragments, w.wire, w.all = true, op, rsv1, 0, 0, nil, false
	}
	w.size += length
	w.fragments++
	switch most := uint64(w.lim.MaxMessageSize); {
	case !w.compressed && w.size > most, w.compressed && w.size > 16*most+1024, length > 2147483647:
		w.code = 1009
	case w.fragments > w.lim.MaxFragments:
		w.code = 1008
	}
	if w.code != 0 {
		return
	}
	w.wire = append(w.wire, payload...)
	if w.all = fin && whole; w.all {
		w.open = false
	}
	if w.discarding() {
		return
	}
	w.message()
}

// message judges the message under way, as far as it has come.
func (w *twin) message() {
	text, fault := w.wire, false
	if w.compressed {
		text, fault = w.inflate()
	}
	most := int(w.lim.MaxMessageSize)
	large := len(text) > most
	text = text[:min(len(text), most)]
	at := len(text)
	if w.op == 1 {
		at = validUntil(text)
	}
	switch {
	case at < len(text):
		w.code = 1007
	case large:
		w.code = 1009
	case fault, w.all && w.op == 1 && !utf8.Valid(text):
		w.code = 1007
	}
	if w.part = string(text[:at]); w.code == 0 && w.all {
		w.got = append(w.got, occurrence{Message, w.op, w.part})
		w.part = ""
	}
	if w.code == 0 && w.all && w.compressed {
		w.window = append(w.window, text...)
		w.window = w.window[max(0, len(w.window)-1<<15):]
	}
}

// inflate is RFC 7692 7.2.2, with what there is of the message. fault: it is none.
func (w *twin) inflate() (text []byte, fault bool) {
	wire := bytes.Clone(w.wire)
	if w.all { // what the sender has removed, and an end
		wire = append(wire, 0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff)
	}
	r := flate.NewReaderDict(bytes.NewReader(wire), w.window)
	text, err := io.ReadAll(io.LimitReader(r, w.lim.MaxMessageSize+1))
	if w.all && err != nil {
		_, alone := io.Copy(io.Discard, flate.NewReaderDict(bytes.NewReader(w.wire), w.window))
		w.torn = alone == io.ErrUnexpectedEOF
	}
	return text, err != nil && (w.all || err != io.ErrUnexpectedEOF)
}

// validUntil is the index of the first byte that no valid text can have there.
func validUntil(p []byte) int {
	for i := 0; i < len(p); {
		if _, n := utf8.DecodeRune(p[i:]); n > 1 || p[i] < 0x80 {
			i += n
			continue
		}
		for k := i + 1; k <= len(p); k++ {
			if utf8.FullRune(p[i:k]) {
				return k - 1
			}
		}
		return len(p) // it may go on
	}
	return len(p)
}
