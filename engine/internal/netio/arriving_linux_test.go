package netio

import (
	"net"
	"testing"
)

// gated is a connection of which nothing is read until its gate opens.
type gated struct {
	*net.TCPConn
	gate chan struct{}
}

func (g gated) Read(p []byte) (int, error) {
	<-g.gate
	return g.TCPConn.Read(p)
}

// TestArriving: what the kernel has and the reading goroutine has not fetched is arriving; what Read brings is not,
// nor what nobody wants to read.
func TestArriving(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	peer, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	ours, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	b, gate := NewBridge(), make(chan struct{})
	fd := b.Attach(gated{ours.(*net.TCPConn), gate})
	defer func() {
		if err := b.Abort(fd); err != nil || b.Arriving(fd) {
			t.Error(err, "or a connection that is gone has something arriving")
		}
	}()
	if err := b.Add(fd); err != nil {
		t.Fatal(err)
	}
	if b.Arriving(fd) {
		t.Error("nothing was sent")
	}
	if _, err := peer.Write([]byte("word")); err != nil {
		t.Fatal(err)
	}
	within(t, "it arrives", func() bool { return b.Arriving(fd) })
	b.Remove(fd)
	if b.Arriving(fd) {
		t.Error("nobody reads it")
	}
	if err := b.Add(fd); err != nil {
		t.Fatal(err)
	}
	close(gate)
	got := make([]byte, 10)
	within(t, "it can be read", func() bool { n, _ := b.Read(fd, got); return string(got[:n]) == "word" })
	if b.Arriving(fd) {
		t.Error("all was read")
	}
}
