package main

import (
	"bytes"
	"io"
	"net"
	"testing"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// TestAnswers: what one sends comes back, in order. The server ends with the test's process.
func TestAnswers(t *testing.T) {
	listening, failed := make(chan net.Addr, 1), make(chan error, 1)
	go func() { failed <- serve("127.0.0.1:0", func(at net.Addr) { listening <- at }) }()
	var at net.Addr
	select {
	case at = <-listening:
	case err := <-failed:
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := rig.Upgrade(conn, at.String()); err != nil {
		t.Fatal(err)
	}
	var sent, want []byte
	for i := range byte(100) {
		sent = append(sent, 0x82, 0x81, 0, 0, 0, 0, i)
		want = append(want, 0x82, 1, i)
	}
	if _, err := conn.Write(sent); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%v, %v", got, err)
	}
}
