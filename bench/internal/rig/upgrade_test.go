package rig

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func TestUpgradeRefusesOtherAnswers(t *testing.T) {
	for _, answer := range []string{"HTTP/1.1 426 Upgrade Required\r\n\r\n", "HTTP/1.1 101 ", strings.Repeat("a", 5000)} {
		client, server := net.Pipe()
		go func() {
			server.Read(make([]byte, 4096))
			io.WriteString(server, answer)
			server.Close()
		}()
		client.SetDeadline(time.Now().Add(5 * time.Second))
		if err := Upgrade(client, "127.0.0.1:1"); err == nil {
			t.Errorf("%.20q was accepted", answer)
		}
		client.Close()
	}
}
