package load

import "bytes"

// Mark is what makes a message another one than the last.
type Mark struct {
	Conn, Seq uint32 // the connection's number in the run, and the message's on it: both from 0
	Due, Left int64  // when it should leave, and when it does: nanoseconds since 1970
}

// StampBytes is how long a mark is in a message.
const StampBytes = 1 + 16 + 16 + 8 + 8

// stampBegins is where readers look for a mark. It stands in no word that fill makes.
const stampBegins = '~'

// append appends the mark: "~" and its numbers in hexadecimal, which any text and any JSON string may hold.
func (k *Mark) append(b []byte) []byte {
	b = append(b, stampBegins)
	b = appendHex(b, uint64(k.Due), 16)
	b = appendHex(b, uint64(k.Left), 16)
	b = appendHex(b, uint64(k.Conn), 8)
	return appendHex(b, uint64(k.Seq), 8)
}

// FindMark looks for the first mark in a message.
func FindMark(message []byte) (k Mark, ok bool) {
	for {
		at := bytes.IndexByte(message, stampBegins)
		if at < 0 || len(message)-at < StampBytes {
			return Mark{}, false
		}
		if k, ok = readMark(message[at+1 : at+StampBytes]); ok {
			return k, true
		}
		message = message[at+1:]
	}
}

func readMark(b []byte) (k Mark, ok bool) {
	due, a := readHex(b[:16])
	left, c := readHex(b[16:32])
	conn, d := readHex(b[32:40])
	seq, e := readHex(b[40:48])
	return Mark{Conn: uint32(conn), Seq: uint32(seq), Due: int64(due), Left: int64(left)}, a && c && d && e
}

func appendHex(b []byte, v uint64, digits int) []byte {
	for i := digits - 1; i >= 0; i-- {
		b = append(b, "0123456789abcdef"[v>>(4*i)&15])
	}
	return b
}

func readHex(b []byte) (v uint64, ok bool) {
	for _, c := range b {
		switch {
		case '0' <= c && c <= '9':
			v = v<<4 | uint64(c-'0')
		case 'a' <= c && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}
