package netio

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// TestSecureMallocs: a record in and a record out allocate nothing, whatever crypto/tls does with a transport that it asks.
func TestSecureMallocs(t *testing.T) {
	if raceEnabled {
		return // the detector allocates
	}
	for _, size := range []int{128, 1 << 10, 16<<10 + 4, 100_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			p := newSecurePasser(t, startLoop(t, secureRig()), size)
			p.run(t, 2*fullRecordsAfter/size+100)
			const messages = 5000
			per := leastOf(3, func() float64 {
				before := mallocs()
				p.run(t, messages)
				return float64(mallocs()-before) / messages
			})
			if per > 0.01 {
				t.Errorf("%.3f mallocs a message", per)
			}
		})
	}
}

// TestSecureKeepsWhatHasCome: between two Reads a connection has the loop's memory only if plaintext was left in it. Of a record that
// is not whole it has what has come, in memory of about that size.
func TestSecureKeepsWhatHasCome(t *testing.T) {
	l := startLoop(t, secureRig())
	fd, raw := secureServer(t, l, serverConfig())
	var got []byte
	small := make([]byte, 100)
	l.add(fd, func(Event) {
		n, err := l.Read(fd, small)
		if err != nil && err != ErrAgain {
			t.Error(err)
		}
		got = append(got, small[:n]...)
	})
	tape := &collectingConn{Conn: raw}
	peer := tls.Client(tape, clientConfig(tls.VersionTLS13))
	if err := peer.Handshake(); err != nil {
		t.Fatal(err)
	}
	tape.collects = true
	sent := randomBytes(20_000)
	for i, cut := range []int{1, 5, 600, 900} {
		if _, err := peer.Write(sent[5000*i : 5000*(i+1)]); err != nil {
			t.Fatal(err)
		}
		sealed := tape.taken
		tape.taken = nil
		for _, whole := range []bool{false, true} {
			p := sealed[:len(sealed)-cut]
			if whole {
				p = sealed[len(sealed)-cut:]
			}
			if _, err := raw.Write(p); err != nil {
				t.Fatal(err)
			}
			onLoop(t, l, func() bool {
				s := l.System.(*Secure)
				k := s.table.at(fd)
				if k.phase.Load() != phaseOpen || k.lent != nil || s.lent == nil {
					return false
				}
				buffer, _, _ := s.fields.of(k.tls)
				if whole {
					return bytes.Equal(got, sent[:5000*(i+1)]) && k.part == nil && buffer.Cap() == 0
				}
				return k.part != nil && buffer.Len() > 0 && buffer.Cap() <= longestPart && (buffer.Cap() == 1<<10) == (buffer.Len() <= 1<<10)
			})
		}
	}
	l.close(fd)
}

// collectingConn keeps what is written from some time on.
type collectingConn struct {
	net.Conn
	collects bool
	taken    []byte
}

func (c *collectingConn) Write(p []byte) (int, error) {
	if !c.collects {
		return c.Conn.Write(p)
	}
	c.taken = append(c.taken, p...)
	return len(p), nil
}

// onLoop waits until something is so, as the loop sees it.
func onLoop(t testing.TB, l *loop, so func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		var is bool
		if l.do(func() { is = so() }); is {
			return
		}
		if time.Now().After(end) {
			t.Fatal("it does not come to be")
		}
	}
}

// TestSecureRefusesByTheHeader: what crypto/tls refuses by a record's header alone it refuses before the rest has come.
func TestSecureRefusesByTheHeader(t *testing.T) {
	for name, header := range map[string][]byte{
		"a record that is too long":     {23, 3, 3, 0x48, 0x01},
		"a version that does not exist": {23, 2, 0, 0, 32},
	} {
		t.Run(name, func(t *testing.T) {
			l := startLoop(t, secureRig())
			fd, raw := secureServer(t, l, serverConfig())
			e := startEcho(l, fd)
			peer := tls.Client(raw, clientConfig(tls.VersionTLS13))
			if err := peer.Handshake(); err != nil {
				t.Fatal(err)
			}
			if _, err := raw.Write(header); err != nil {
				t.Fatal(err)
			}
			if err := await(t, e.end, "the refusal"); err == nil || err == io.EOF {
				t.Errorf("ended with %v", err)
			}
			l.close(fd)
		})
	}
}
