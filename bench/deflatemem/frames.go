package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// What of RFC 6455 5.2 is needed to talk to an echo server.
const (
	finBit, rsv1Bit, maskBit         = 0x80, 0x40, 0x80
	opContinuation, opBinary         = 0x0, 0x2
	opClose, opPing, opPong          = 0x8, 0x9, 0xa
	opMask, lengthMask, len16, len64 = 0x0f, 0x7f, 126, 127
	longestFrame                     = 1 << 20 // no answer is a tenth of it
)

// maskingKey hides nothing from a server under test.
var maskingKey = [4]byte{0x5a, 0x17, 0xe3, 0x88}

// appendFrame appends a masked frame with payload to dst.
func appendFrame(dst []byte, first byte, payload []byte) []byte {
	dst = append(dst, first)
	switch n := len(payload); {
	case n < len16:
		dst = append(dst, maskBit|byte(n))
	case n <= 0xffff:
		dst = binary.BigEndian.AppendUint16(append(dst, maskBit|len16), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, maskBit|len64), uint64(n))
	}
	dst = append(dst, maskingKey[:]...)
	for i, b := range payload {
		dst = append(dst, b^maskingKey[i&3])
	}
	return dst
}

// readMessage appends the payload of the next message to dst, and reports whether it is compressed. It answers pings.
func readMessage(conn io.ReadWriter, dst []byte) (payload []byte, compressed bool, err error) {
	for begun := false; ; {
		at := len(dst)
		var first byte
		if first, dst, err = readFrame(conn, dst); err != nil {
			return dst, compressed, err
		}
		switch op := first & opMask; {
		case op == opPing:
			if _, err = conn.Write(appendFrame(nil, finBit|opPong, dst[at:])); err != nil {
				return dst, compressed, err
			}
			dst = dst[:at]
			continue
		case op == opClose:
			return dst, compressed, fmt.Errorf("the server closed: % x", dst[at:])
		case op == opPong || (op == opContinuation) != begun:
			return dst, compressed, fmt.Errorf("the server sent a frame of opcode %d", op)
		}
		if !begun {
			begun, compressed = true, first&rsv1Bit != 0
		}
		if first&finBit != 0 {
			return dst, compressed, nil
		}
	}
}

// readFrame appends a frame's payload to dst and returns its first byte.
func readFrame(r io.Reader, dst []byte) (first byte, payload []byte, err error) {
	var header [8]byte
	if _, err := io.ReadFull(r, header[:2]); err != nil {
		return 0, dst, err
	}
	first = header[0]
	if header[1]&maskBit != 0 {
		return first, dst, errors.New("the server masks")
	}
	n := uint64(header[1] & lengthMask)
	switch n {
	case len16:
		_, err = io.ReadFull(r, header[:2])
		n = uint64(binary.BigEndian.Uint16(header[:]))
	case len64:
		_, err = io.ReadFull(r, header[:8])
		n = binary.BigEndian.Uint64(header[:])
	}
	if err != nil {
		return first, dst, err
	}
	if n > longestFrame {
		return first, dst, fmt.Errorf("a frame of %d bytes", n)
	}
	at := len(dst)
	dst = append(dst, make([]byte, n)...)
	_, err = io.ReadFull(r, dst[at:])
	return first, dst, err
}
