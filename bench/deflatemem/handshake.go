package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// timeout is for one handshake, or for one message and its echo, on a machine whose every core is busy.
const timeout = 30 * time.Second

// agreement is what a server answered to an offer of permessage-deflate (RFC 7692 7.1).
type agreement struct {
	deflate       bool
	text          string // as it was answered
	serverBits    int    // logarithm of the window that it may refer to; 15 if it did not say
	clientBits    int    // of ours
	serverForgets bool   // it keeps no context
	clientForgets bool   // we are to keep none
}

// offer is what a client sends that wants windows of so many bits and context in both directions.
func offer(bits int) string {
	return fmt.Sprintf("permessage-deflate; client_max_window_bits=%d; server_max_window_bits=%d", bits, bits)
}

// parseAgreement reads Sec-WebSocket-Extensions of an answer. The servers under test are trusted to have one answer at
// most, but not to have the right one.
func parseAgreement(text string) (agreement, error) {
	a := agreement{text: text, serverBits: 15, clientBits: 15}
	if text == "" {
		return a, nil
	}
	for i, part := range strings.Split(text, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		var err error
		switch {
		case i == 0 && name == "permessage-deflate":
			a.deflate = true
		case i > 0 && name == "server_no_context_takeover":
			a.serverForgets = true
		case i > 0 && name == "client_no_context_takeover":
			a.clientForgets = true
		case i > 0 && name == "server_max_window_bits":
			a.serverBits, err = parseBits(value)
		case i > 0 && name == "client_max_window_bits":
			a.clientBits, err = parseBits(value)
		default:
			err = fmt.Errorf("unknown %q", name)
		}
		if err != nil {
			return a, fmt.Errorf("answer %q: %w", text, err)
		}
	}
	return a, nil
}

func parseBits(value string) (int, error) {
	bits, err := strconv.Atoi(value)
	if err != nil || bits < 8 || bits > 15 {
		return 0, fmt.Errorf("window bits %q", value)
	}
	return bits, nil
}

// dial opens a connection and offers windows of bits. No server here speaks first, so nothing can follow the answer.
func dial(addr string, bits int) (net.Conn, agreement, error) {
	conn, err := net.DialTimeout("tcp", addr, timeout)
	if err != nil {
		return nil, agreement{}, err
	}
	if err = conn.SetDeadline(time.Now().Add(timeout)); err == nil {
		var a agreement
		if a, err = upgrade(conn, addr, bits); err == nil {
			return conn, a, nil
		}
	}
	conn.Close()
	return nil, agreement{}, fmt.Errorf("handshake: %w", err)
}

func upgrade(conn io.ReadWriter, addr string, bits int) (agreement, error) {
	_, err := fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: %s\r\n\r\n", addr, offer(bits))
	if err != nil {
		return agreement{}, err
	}
	answer, err := http.ReadResponse(bufio.NewReaderSize(conn, 1024), nil)
	if err != nil {
		return agreement{}, err
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return agreement{}, fmt.Errorf("the server answered %s", answer.Status)
	}
	return parseAgreement(strings.Join(answer.Header.Values("Sec-WebSocket-Extensions"), ", "))
}
