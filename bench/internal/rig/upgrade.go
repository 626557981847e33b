package rig

import (
	"bytes"
	"errors"
	"fmt"
	"net"
)

// Upgrade sends a WebSocket's opening handshake and reads the answer up to the empty line. Nothing may follow it: no server
// that is measured here speaks first.
func Upgrade(conn net.Conn, host string) error {
	_, err := fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", host)
	if err != nil {
		return err
	}
	var answer [4096]byte
	for n := 0; n < len(answer); {
		more, err := conn.Read(answer[n:])
		if err != nil {
			return fmt.Errorf("handshake: %w", err)
		}
		n += more
		if !bytes.HasSuffix(answer[:n], []byte("\r\n\r\n")) {
			continue
		}
		if line, _, _ := bytes.Cut(answer[:n], []byte("\r\n")); !bytes.HasPrefix(line, []byte("HTTP/1.1 101 ")) {
			return fmt.Errorf("handshake: the server answered %q", line)
		}
		return nil
	}
	return errors.New("handshake: the answer is too long")
}
