package main

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gannet-ws/gannet/bench/corpus"
	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// agreement is what a server does with the offer that wsblast makes in a cell, seen from outside: so that two servers
// are compared at the same settings, or it can be read where they differ.
type agreement struct {
	Answer     string  `json:"answer"`           // Sec-WebSocket-Extensions, as the server answered
	BytesAgain float64 `json:"wire_bytes_again"` // of the echo of a message that it echoed before: what the load sends
	BytesAnew  float64 `json:"wire_bytes_anew"`  // of the echo of a message like it, the mean over many
}

// offers are what wsblast sends in its modes. The client never keeps its context: so it can send one prepared message.
var offers = map[string]string{
	"deflate":     "permessage-deflate; client_no_context_takeover",
	"deflate-nct": "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
}

// askOnce starts s and asks it on a connection of its own, before the rounds.
func (b *bencher) askOnce(ctx context.Context, c echoCell, s server) (agreement, error) {
	port, err := b.ports.Take()
	if err != nil {
		return agreement{}, err
	}
	p, err := rig.Start(ctx, rig.Pinned(b.options.serverCore, s.argv(b.tools, port, c.settings())), port)
	if err != nil {
		return agreement{}, err
	}
	defer p.Stop()
	conn, err := net.DialTimeout("tcp", rig.LocalAddr(port), idleTimeout)
	if err != nil {
		return agreement{}, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(idleTimeout)); err != nil {
		return agreement{}, err
	}
	a, err := ask(conn, offers[c.Mode], c.Payload)
	if err != nil {
		return a, p.WhyEnded(err)
	}
	return a, nil
}

// echoesAsked is of each kind: enough to fill any history, and to make an average.
const echoesAsked = 64

// ask upgrades conn and has messages of that many bytes echoed.
func ask(conn net.Conn, offer string, size int) (agreement, error) {
	a, r, err := upgradeWith(conn, offer)
	if err != nil {
		return a, err
	}
	keeps := !strings.Contains(a.Answer, "server_no_context_takeover")
	e := &asker{conn: conn, r: r, keeps: keeps}
	random := rand.New(rand.NewPCG(1, 2))
	for range echoesAsked {
		n, err := e.echo(corpus.Orders(random, size))
		if err != nil {
			return a, err
		}
		a.BytesAnew += float64(n) / echoesAsked
	}
	again := corpus.Orders(random, size)
	for range 3 {
		n, err := e.echo(again)
		if err != nil {
			return a, err
		}
		a.BytesAgain = float64(n)
	}
	return a, nil
}

func upgradeWith(conn net.Conn, offer string) (a agreement, r *bufio.Reader, err error) {
	_, err = fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: %s\r\n\r\n", conn.RemoteAddr(), offer)
	if err != nil {
		return a, nil, err
	}
	r = bufio.NewReader(conn)
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		return a, nil, fmt.Errorf("handshake: %w", err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return a, nil, fmt.Errorf("handshake: the server answered %s", response.Status)
	}
	a.Answer = response.Header.Get("Sec-WebSocket-Extensions")
	if a.Answer == "" {
		return a, nil, errors.New("handshake: the server declined permessage-deflate")
	}
	return a, r, nil
}

// asker has compressed messages echoed and looks at what comes back.
type asker struct {
	conn  net.Conn
	r     *bufio.Reader
	keeps bool   // the server may point at its earlier messages
	dict  []byte // those
}

// flushed is what RFC 7692 7.2.1 takes off a message, and ended what makes a reader see its end.
var flushed, ended = []byte{0, 0, 0xff, 0xff}, []byte{0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff}

// echo returns how long the payload of the echo was on the wire.
func (e *asker) echo(message []byte) (int, error) {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestSpeed)
	if err != nil {
		return 0, err
	}
	if _, err = w.Write(message); err == nil {
		err = w.Flush()
	}
	if err != nil {
		return 0, err
	}
	payload := bytes.TrimSuffix(packed.Bytes(), flushed)
	if len(payload) > 0xffff {
		return 0, fmt.Errorf("%d bytes: the asker writes frames of at most 65,535", len(payload))
	}
	// Binary, whole, compressed; under a masking key of zeros, which changes nothing.
	frame := append(binary.BigEndian.AppendUint16([]byte{0xc2, 0x80 | 126}, uint16(len(payload))), 0, 0, 0, 0)
	if _, err := e.conn.Write(append(frame, payload...)); err != nil {
		return 0, err
	}
	wire, err := e.readFrame()
	if err != nil {
		return 0, fmt.Errorf("echo: %w", err)
	}
	got, err := io.ReadAll(flate.NewReaderDict(io.MultiReader(bytes.NewReader(wire), bytes.NewReader(ended)), e.dict))
	if err != nil {
		return 0, fmt.Errorf("echo: %w", err)
	}
	if !bytes.Equal(got, message) {
		return 0, errors.New("echo: the answer is not what was sent")
	}
	if e.keeps {
		e.dict = append(e.dict, message...)
		e.dict = e.dict[max(0, len(e.dict)-1<<15):]
	}
	return len(wire), nil
}

// readFrame reads a compressed message in one frame of 126 to 65,535 bytes or less, as the echo of a short one is.
func (e *asker) readFrame() ([]byte, error) {
	var header [4]byte
	if _, err := io.ReadFull(e.r, header[:2]); err != nil {
		return nil, err
	}
	if header[0] != 0xc2 {
		return nil, fmt.Errorf("the frame begins with %#x: it is no whole, compressed, binary message", header[0])
	}
	n := int(header[1])
	switch {
	case n == 126:
		if _, err := io.ReadFull(e.r, header[2:]); err != nil {
			return nil, err
		}
		n = int(binary.BigEndian.Uint16(header[2:]))
	case n > 126:
		return nil, errors.New("the frame is masked, or longer than 65,535 bytes")
	}
	payload := make([]byte, n)
	_, err := io.ReadFull(e.r, payload)
	return payload, err
}

// markdown says what was agreed on, and what that leaves open.
func (r echoResult) markdownAgreements(w io.Writer) {
	if r.Cell.settings().window == 0 {
		return
	}
	fmt.Fprint(w, "\n| server | started with | agreed on | to compress with, it keeps of what it sent | bytes of the same echo again | of others like it |\n|---|---|---|---|---|---|\n")
	for _, s := range r.Servers {
		if s.Agreed == nil {
			continue
		}
		fmt.Fprintf(w, "| %s | %s | `%s` | %s | %.0f | %.0f |\n", s.Name, s.Settings, s.Agreed.Answer, s.Keeps, s.Agreed.BytesAgain, s.Agreed.BytesAnew)
	}
	fmt.Fprintf(w, "\n%s\n", r.Cell.Note)
}
