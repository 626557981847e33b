package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/klauspost/compress/flate"
)

// talker sends compressed messages on any number of connections and checks what comes back. It keeps nothing for a
// connection: what was said on it before is made again, and given to one compressor and one decompressor as dictionary.
// One goroutine's.
type talker struct {
	texts   *texts
	agreed  agreement
	writer  *flate.Writer
	reader  io.ReadCloser
	history []byte
	message []byte
	packed  bytes.Buffer
	frame   []byte
	answer  []byte
	plain   bytes.Buffer
}

func newTalker(t *texts, a agreement) (*talker, error) {
	k := &talker{texts: t, agreed: a, reader: flate.NewReader(nil)}
	var err error
	k.writer, err = flate.NewWriterWindow(&k.packed, 1<<a.clientBits)
	return k, err
}

// tail is what DEFLATE's stream lacks at the end of a message (RFC 7692 7.2.1), and an empty last block, for which the
// decompressor would wait.
const tail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

// exchange sends message number seq of a connection, all earlier ones having been sent, and waits for its echo.
func (k *talker) exchange(conn net.Conn, id, seq int) error {
	k.message = k.texts.append(k.message[:0], id, seq)
	k.history = k.texts.appendHistory(k.history[:0], id, seq)
	if err := k.pack(); err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	k.frame = appendFrame(k.frame[:0], finBit|rsv1Bit|opBinary, k.packed.Bytes())
	if _, err := conn.Write(k.frame); err != nil {
		return err
	}
	var compressed bool
	var err error
	if k.answer, compressed, err = readMessage(conn, k.answer[:0]); err != nil {
		return fmt.Errorf("echo: %w", err)
	}
	return k.check(compressed)
}

// pack compresses the message, with as much of the history as the window and the agreement allow.
func (k *talker) pack() error {
	dictionary := k.history[max(0, len(k.history)-1<<k.agreed.clientBits):]
	if k.agreed.clientForgets {
		dictionary = nil
	}
	k.packed.Reset()
	k.writer.ResetDict(&k.packed, dictionary)
	if _, err := k.writer.Write(k.message); err != nil {
		return err
	}
	if err := k.writer.Flush(); err != nil {
		return err
	}
	k.packed.Truncate(k.packed.Len() - 4) // 00 00 ff ff
	return nil
}

// check inflates the answer, which may refer to all that was echoed before, and compares it with the message.
func (k *talker) check(compressed bool) error {
	got := k.answer
	if compressed {
		k.answer = append(k.answer, tail...)
		if err := k.reader.(flate.Resetter).Reset(bytes.NewReader(k.answer), k.history); err != nil {
			return err
		}
		k.plain.Reset()
		if _, err := k.plain.ReadFrom(k.reader); err != nil {
			return fmt.Errorf("echo: %w", err)
		}
		got = k.plain.Bytes()
	}
	if !bytes.Equal(got, k.message) {
		return fmt.Errorf("echo: %d bytes, which are not the %d that were sent", len(got), len(k.message))
	}
	return nil
}
