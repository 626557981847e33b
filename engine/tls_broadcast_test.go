package engine

import (
	"fmt"
	"net"
	"testing"

	"github.com/gobwas/ws"
)

// TestBroadcastPlainAndTLS: one server has connections of both kinds, which hear the same broadcasts in order, and one Shutdown.
func TestBroadcastPlainAndTLS(t *testing.T) {
	const each, broadcasts = 5, 300
	s := startServerTLS(t, echoHandler, Options{Loops: 2, Logger: quietLogger})
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(plain)
	var guests []*guest
	for range each {
		guests = append(guests, openTLS(t, s))
		nc, err := net.Dial("tcp", plain.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		guests = append(guests, welcome(t, nc, ws.Dialer{}))
	}
	within(t, timeoutOf(5), "all are open", func() bool { return s.Stats().Open == 2*each && s.Stats().TLS.Conns == each })
	for i := range broadcasts {
		s.Broadcast(prepared(t, OpText, fmt.Append(nil, "broadcast ", i)), nil)
	}
	for _, g := range guests {
		for i := range broadcasts {
			g.hear(t, ws.OpText, fmt.Append(nil, "broadcast ", i))
		}
	}
	if n := s.Stats().Bridged; n != 0 {
		t.Errorf("%d are bridged", n)
	}
	go s.Shutdown(t.Context())
	for _, g := range guests {
		if code, _ := ws.ParseCloseFrameData(g.hear(t, ws.OpClose, nil)); code != StatusGoingAway {
			t.Error("closed with", code)
		}
	}
}
