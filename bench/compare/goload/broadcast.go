package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

const (
	// settling is how long the last receivers may take until the server counts them in, in all tries together.
	settling = 30 * time.Second
	// aTry is how long one message may be on its way to all before the next is tried, until all are counted in.
	aTry = 2 * time.Second
)

// broadcast has the first of o.count connections say something to all of them, itself too, and the next thing when the last
// has received it.
func broadcast(ctx context.Context, o order) (string, error) {
	a := &audience{want: answer(o.payload), reached: make(chan struct{}, 1), failed: make(chan error, 1)}
	defer a.leave()
	for range o.count {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if err := a.join(o.addr); err != nil {
			return "", fmt.Errorf("connection %d: %w", len(a.conns)+1, err)
		}
	}
	request := request(o.payload)
	if err := a.settle(ctx, request); err != nil {
		return "", err
	}
	idle, err := rig.ResidentKiB(o.pid)
	if err != nil {
		return "", err
	}
	if _, err := a.talk(ctx, request, o.time/5); err != nil {
		return "", err
	}
	from := begin(o.pid)
	took, err := a.talk(ctx, request, o.time)
	if err != nil {
		return "", err
	}
	return from.line(len(took)*o.count, took, idle)
}

// audience is the connections, each with a goroutine that reads.
type audience struct {
	conns    []net.Conn
	want     []byte // what each receives
	received atomic.Int64
	reached  chan struct{} // all have received
	failed   chan error
}

func (a *audience) join(addr string) error {
	conn, err := open(addr)
	if err != nil {
		return err
	}
	a.conns = append(a.conns, conn)
	return nil
}

func (a *audience) leave() {
	for _, conn := range a.conns {
		reset(conn)
	}
}

var errTooFew = errors.New("not all receivers were reached")

// settle starts the readers and sends until one message has come to all: a server may answer the handshake a moment
// before it counts the connection in.
func (a *audience) settle(ctx context.Context, request []byte) error {
	for _, conn := range a.conns {
		go a.read(conn)
	}
	for end := time.Now().Add(settling); ; {
		err := a.say(ctx, request, aTry)
		if !errors.Is(err, errTooFew) || time.Now().After(end) {
			return err
		}
	}
}

// read counts what comes to one connection, and whoever receives last says so.
func (a *audience) read(conn net.Conn) {
	r := bufio.NewReaderSize(conn, len(a.want)+pingRoom)
	got := make([]byte, len(a.want))
	for {
		err := answerPings(conn, r)
		if err == nil {
			_, err = io.ReadFull(r, got)
		}
		if err == nil && !bytes.Equal(got, a.want) {
			err = fmt.Errorf("a receiver got %d bytes that are not what was sent, beginning with % x", len(got), got[:min(8, len(got))])
		}
		if err != nil {
			select {
			case a.failed <- err:
			default: // one is enough
			}
			return
		}
		if a.received.Add(1) == int64(len(a.conns)) {
			a.reached <- struct{}{}
		}
	}
}

// pingRoom is for the pings of a server that wants to know who is still there while thousands connect: one that has the
// longest payload of a control frame (RFC 6455 5.5: 125 bytes), and its header.
const pingRoom = 2 + 125

// answerPings takes the pings that come before the next message.
func answerPings(conn net.Conn, r *bufio.Reader) error {
	for {
		header, err := r.Peek(2)
		if err != nil || header[0] != 0x89 {
			return err
		}
		length := header[1] & 0x7f
		frame := make([]byte, 2+int(length))
		if _, err := io.ReadFull(r, frame); err != nil {
			return err
		}
		pong := append([]byte{0x8a, 0x80 | length, 0, 0, 0, 0}, frame[2:]...) // a masking key of zeros changes nothing
		if _, err := conn.Write(pong); err != nil {
			return err
		}
	}
}

// say sends one message and waits until all have it.
func (a *audience) say(ctx context.Context, request []byte, limit time.Duration) error {
	select {
	case <-a.reached: // by the message before, just after its time was up
	default:
	}
	a.received.Store(0)
	if _, err := a.conns[0].Write(request); err != nil {
		return err
	}
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case <-a.reached:
		return nil
	case err := <-a.failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-late.C:
		return fmt.Errorf("%w: %d of %d in %v", errTooFew, a.received.Load(), len(a.conns), limit)
	}
}

// talk sends for so long, at least once, and answers how long each message took to come to all.
func (a *audience) talk(ctx context.Context, request []byte, d time.Duration) (took []time.Duration, err error) {
	for end := time.Now().Add(d); len(took) == 0 || time.Now().Before(end); {
		begun := time.Now()
		if err := a.say(ctx, request, settling); err != nil {
			return nil, err
		}
		took = append(took, time.Since(begun))
	}
	return took, nil
}

// request and answer are a binary message of zero bytes, from the client under the masking key 1 2 3 4 (so the payload on
// the wire is the key, repeated) and from the server.
func request(payload int) []byte {
	frame := append(header(payload), 1, 2, 3, 4)
	frame[1] |= 0x80
	for i := range payload {
		frame = append(frame, byte(1+i%4))
	}
	return frame
}

func answer(payload int) []byte { return append(header(payload), make([]byte, payload)...) }

func header(payload int) []byte {
	if payload < 126 {
		return []byte{0x82, byte(payload)}
	}
	return binary.BigEndian.AppendUint16([]byte{0x82, 126}, uint16(payload))
}
