package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// TestServeEndsUnderLoad: SIGTERM while 200 clients talk. Each of them reads every echo up to some message, then a Close
// with 1001 and the end of the stream.
func TestServeEndsUnderLoad(t *testing.T) {
	const clients = 200
	cmd, socket := process(t)
	results, talking := make(chan error, clients), make(chan struct{}, clients)
	for range clients {
		c := dial(t, socket)
		go func() { results <- untilEnded(c, func() { talking <- struct{}{} }) }()
	}
	for range clients {
		select {
		case <-talking:
		case err := <-results:
			t.Fatal("before the end:", err)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for range clients {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Error("gannet ended with", err)
	}
}

// untilEnded sends numbers and reads their echoes until the server closes.
func untilEnded(c net.Conn, talking func()) error {
	var writing sync.Mutex
	closed := false
	write := func(op ws.OpCode, data []byte) error {
		writing.Lock()
		defer writing.Unlock()
		if closed {
			return net.ErrClosed
		}
		closed = op == ws.OpClose
		return wsutil.WriteClientMessage(c, op, data)
	}
	go func() {
		for n := 0; write(ws.OpText, fmt.Append(nil, n)) == nil; n++ {
			time.Sleep(5 * time.Millisecond)
		}
	}()
	for n := 0; ; n++ {
		f, err := readFrame(c)
		if err != nil {
			return fmt.Errorf("after %d echoes: %w", n, err)
		}
		if f.Header.OpCode == ws.OpClose {
			if code, reason := ws.ParseCloseFrameData(f.Payload); code != ws.StatusGoingAway {
				return fmt.Errorf("closed with %d %q", code, reason)
			}
			if err := write(ws.OpClose, f.Payload); err != nil {
				return err
			}
			if _, err := c.Read(make([]byte, 1)); err != io.EOF {
				return errors.Join(errors.New("after the Close"), err)
			}
			return nil
		}
		if f.Header.OpCode != ws.OpText || string(f.Payload) != fmt.Sprint(n) {
			return fmt.Errorf("%q instead of %d", f.Payload, n)
		}
		if n == 3 {
			talking()
		}
	}
}

// readFrame reads a frame of a server, whose payloads are short here.
func readFrame(r io.Reader) (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(r); err != nil {
		return f, err
	}
	if f.Header.Length > 1<<16 {
		return f, fmt.Errorf("a frame of %d bytes", f.Header.Length)
	}
	f.Payload = make([]byte, f.Header.Length)
	_, err = io.ReadFull(r, f.Payload)
	return f, err
}
