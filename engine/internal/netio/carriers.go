package netio

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

// closeWriter is what *net.TCPConn, *net.UnixConn and *tls.Conn have.
type closeWriter interface{ CloseWrite() error }

// read is the reading goroutine. It reads only when what it read before was taken and
// the engine wants more, so a peer that is not read fills one buffer.
func (k *carried) read() {
	small := make([]byte, smallRead)
	var big *[bigRead]byte
	full := false // the last read filled its buffer
	for k.waitToRead() {
		buf := small
		if full {
			if big == nil {
				big = inPool.Get().(*[bigRead]byte)
			}
			buf = big[:]
		} else if big != nil {
			inPool.Put(big)
			big = nil
		}
		k.hurry()
		n, err := k.conn.Read(buf)
		k.arrived(buf[:n], err)
		if err != nil {
			return // with big, in which unread bytes may lie
		}
		full = n == len(buf)
	}
	if big != nil {
		inPool.Put(big)
	}
}

// waitToRead waits until nothing is left in the reader's buffer and more is wanted.
// It is false when the connection is released.
func (k *carried) waitToRead() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for !k.released && !k.detached && (len(k.in) > 0 || k.watched&Readable == 0) {
		k.mayRead.Wait()
	}
	return !k.released && !k.detached
}

// hurry gives each read of a connection whose writes fail a moment: what the peer said
// before it left is there already, however late the engine asks for it.
func (k *carried) hurry() {
	k.mu.Lock()
	broken := k.outErr != nil
	k.mu.Unlock()
	if broken {
		_ = k.conn.SetReadDeadline(time.Now().Add(brokenTime))
	}
}

// arrived hands over what a read returned.
func (k *carried) arrived(p []byte, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.released {
		return
	}
	if k.detached {
		k.late = append(k.late, p...)
		return
	}
	k.in = p
	if err != nil {
		k.inErr = plainError(err)
		if k.outErr != nil && errors.Is(err, os.ErrDeadlineExceeded) {
			k.inErr = k.outErr // the deadline that sent set
		}
	}
	k.reportLocked()
}

// step is what the writer does next.
type step uint8

const (
	stepSend step = iota
	stepFinish
	stepClose
	stepEnd
)

// write is the writing goroutine. It ends when the connection is released, and unless
// that was an Abort it closes conn, which also ends the reader.
func (k *carried) write() {
	for {
		switch buf, n, s := k.waitToWrite(); s {
		case stepSend:
			_, err := k.conn.Write(buf[:n])
			outPool.Put(buf)
			k.sent(err)
		case stepFinish:
			k.sent(k.conn.(closeWriter).CloseWrite())
		case stepClose:
			_ = k.conn.Close()
			k.closed()
			return
		case stepEnd:
			return
		}
	}
}

// waitToWrite waits for something to do: first what was written, then the half-close,
// then, when the connection is released, the end.
func (k *carried) waitToWrite() (*[outLimit]byte, int, step) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for {
		switch {
		case k.aborted || k.detached && k.outLen == 0:
			return nil, 0, stepEnd
		case k.outLen > 0:
			buf, n := k.out, k.outLen
			k.out, k.outLen, k.flying = nil, 0, n
			return buf, n, stepSend
		case k.fin && !k.finDone && k.outErr == nil:
			k.finDone = true
			return nil, 0, stepFinish
		case k.released:
			return nil, 0, stepClose
		}
		k.mayWrite.Wait()
	}
}

// sent takes the result of a write or half-close. After an error nothing more leaves;
// the reader gets a moment to fetch what the peer sent before.
func (k *carried) sent(err error) {
	if err != nil {
		_ = k.conn.SetReadDeadline(time.Now().Add(brokenTime))
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil {
		k.passed += uint64(k.flying)
	}
	k.flying = 0
	if err != nil && k.outErr == nil {
		k.outErr = plainError(err)
		k.dropLocked()
	}
	k.reportLocked()
}

// closed is the writer's last act.
func (k *carried) closed() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.linger != nil {
		k.linger.Stop()
	}
}

// resetConn ends a connection without delivering anything: by a reset where there is a
// TCP socket beneath (SO_LINGER 0), also one inside a *tls.Conn, whose own Close would
// send an alert first.
func resetConn(c net.Conn) {
	transport := c
	if t, ok := c.(interface{ NetConn() net.Conn }); ok {
		transport = t.NetConn()
	}
	if l, ok := transport.(interface{ SetLinger(int) error }); ok {
		_ = l.SetLinger(0)
	}
	_ = transport.Close()
	if transport != c {
		_ = c.Close() // a wrapper may count its closings
	}
}

// plainError takes off what package net wraps errors in, so that a bridge answers as a
// socket does: io.EOF, an errno, os.ErrDeadlineExceeded, net.ErrClosed, or, from other
// kinds of connections, what they said.
func plainError(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	for _, plain := range [...]error{net.ErrClosed, os.ErrDeadlineExceeded} {
		if errors.Is(err, plain) {
			return plain
		}
	}
	return err
}
