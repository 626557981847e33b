package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"runtime"
	"testing"
	"time"
)

// What foreign peers do over TLS that crypto/tls never does: found with the programs of bench/interop/tls.sh.

// plainRefusal is a client's transport on which all that follows its hello is one alert in plaintext.
type plainRefusal struct {
	net.Conn
	alert byte
	piece int // so many bytes of it at a time
	hello bool
}

func (p *plainRefusal) Write(b []byte) (int, error) {
	if !p.hello {
		p.hello = true
		return p.Conn.Write(b)
	}
	record := []byte{recordAlert, 3, 3, 0, 2, 2, p.alert}
	for len(record) > 0 {
		n := min(p.piece, len(record))
		if _, err := p.Conn.Write(record[:n]); err != nil {
			return 0, err
		}
		record = record[n:]
	}
	return len(b), nil
}

// TestRefusedInPlaintext: OpenSSL refuses a server's certificate by an alert in plaintext, though TLS 1.3 has keys by then. That is the client's
// word, and no forged record.
func TestRefusedInPlaintext(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there are no loops over TLS")
	}
	s := startServerTLS(t, Funcs{}, Options{})
	refused := uint64(0)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for piece := 1; piece <= 7; piece++ {
			nc, err := net.Dial("tcp", s.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			_ = nc.SetDeadline(time.Now().Add(timeoutOf(10)))
			c := tls.Client(&plainRefusal{Conn: nc, alert: 48, piece: piece}, &tls.Config{ServerName: "elsewhere.example", MaxVersion: version})
			if err := c.HandshakeContext(context.Background()); !errors.As(err, new(*tls.CertificateVerificationError)) {
				t.Fatal(err)
			}
			refused++
			within(t, timeoutOf(5), "a refusal that is counted", func() bool { return s.Stats().TLS.Failed["refused"] == refused })
			nc.Close()
		}
	}
	if failed := s.Stats().TLS.Failed; len(failed) != 1 {
		t.Error(failed)
	}
}
