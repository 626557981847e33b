package engine

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// Records that are legal, and far too many: each costs its peer little and the loop some work, so a connection has its turn and the others theirs.

// recordFloods are endless streams of records of which a message is made now and then.
var recordFloods = map[string]struct {
	only string
	unit func(f *forger) []byte // a masked frame's worth of data inside a binary message that was begun
}{
	"one byte each":               {"", func(f *forger) []byte { return f.data(maskedFrame(0x00, nil), 1) }},
	"15 empty ones and a byte":    {"", func(f *forger) []byte { return stuffed(f, 15, func() []byte { return f.record(recordData, nil) }) }},
	"15 warnings and a byte":      {"", func(f *forger) []byte { return stuffed(f, 15, func() []byte { return f.alert(1, alertUserCanceled) }) }},
	"15 KeyUpdates and a byte":    {"1.3", func(f *forger) []byte { return stuffed(f, 15, func() []byte { return f.keyUpdate(false) }) }},
	"15 KeyUpdates asked for one": {"1.3", func(f *forger) []byte { return stuffed(f, 15, func() []byte { return f.keyUpdate(true) }) }},
	"15 ChangeCipherSpec": {"1.3", func(f *forger) []byte {
		return stuffed(f, 15, func() []byte { return append(recordHead(recordChangeCipherSpec, 1), 1) })
	}},
}

// stuffed puts n records before each byte of an empty fragment.
func stuffed(f *forger, n int, one func() []byte) (b []byte) {
	for _, c := range maskedFrame(0x00, nil) {
		for range n {
			b = append(b, one()...)
		}
		b = append(b, f.record(recordData, []byte{c})...)
	}
	return b
}

// TestTLSFloodsOfRecords: megabytes of such records, sealed before, so that they come as fast as the loop takes them, hold up nobody.
func TestTLSFloodsOfRecords(t *testing.T) {
	for version, number := range tlsVersions {
		for name, k := range recordFloods {
			if k.only != "" && k.only != version {
				continue
			}
			t.Run(name+"/tls/"+version, func(t *testing.T) {
				config := guestTLS()
				config.MinVersion, config.MaxVersion = number, number
				h, ends := watching(echoHandler)
				s := startServerTLS(t, h, Options{Loops: 1, Logger: quietLogger})
				n := 0
				besideInnocent(t, s, func() {
					n++
					path := fmt.Sprintf("/%d", n)
					f := forgeClient(t, s, config)
					a := attackOver(t, f, path)
					flood := f.data(maskedFrame(0x02, nil), 100)
					for len(flood) < crowd(4<<20) {
						flood = append(flood, k.unit(f)...)
					}
					flood = append(flood, f.data(append(maskedFrame(0x80, []byte("end")), maskedFrame(0x88, []byte{3, 232})...), 1)...)
					go func() { _ = f.raw(flood) }()
					if strings.HasSuffix(name, "asked for one") { // crypto/tls bears no more than 16 answers in a row
						go func() { _, _ = io.Copy(io.Discard, f.wire.Conn) }()
					} else if m, err := a.hear(); err != nil || string(m.payload) != "end" {
						t.Errorf("heard %+v, %v", m, err)
					}
					if e := ends.one(t, path); e.Code != 1000 {
						t.Errorf("%+v", e)
					}
				})
			})
		}
	}
}

// TestTLSKeyUpdatesNobodyReads: each KeyUpdate that asks for one is answered, and a peer that does not read the answers is not read any more.
func TestTLSKeyUpdatesNobodyReads(t *testing.T) {
	t.Run("tls", func(t *testing.T) {
		h, ends := watching(echoHandler)
		s := startServerTLS(t, h, Options{Loops: 1, Logger: quietLogger, SendBuffer: 32 << 10, Limits: Limits{
			IdleTimeout: aliveWithin(), PingInterval: -1, CloseTimeout: aliveWithin() / 4, WriteStallTimeout: aliveWithin() / 4,
		}})
		n := 0
		besideInnocent(t, s, func() {
			n++
			path := fmt.Sprintf("/%d", n)
			f := forgeClient(t, s, guestTLS())
			_ = under(f).SetReadBuffer(4 << 10)
			attackOver(t, f, path)
			peak := peakLive(s, func() { // each update makes a kilobyte of garbage at either end
				for flood := f.data(maskedFrame(0x02, nil), 100); f.raw(flood) == nil; {
					flood = flood[:0]
					for range 1000 {
						flood = append(flood, f.keyUpdate(true)...)
						flood = append(flood, f.data(maskedFrame(0x00, nil), 100)...)
					}
				}
			})
			if e := ends.one(t, path); e.WasClean || e.Err == nil {
				t.Errorf("%+v", e)
			}
			if peak > 24<<20 {
				t.Errorf("%d bytes of memory", peak)
			}
		})
	})
}

// TestTLSKeyUpdates: keys change as often as either side likes, and no byte is lost.
func TestTLSKeyUpdates(t *testing.T) {
	t.Run("tls", func(t *testing.T) {
		s := startServerTLS(t, echoHandler, Options{Loops: 1})
		f := forgeClient(t, s, guestTLS())
		a := attackOver(t, f, "/")
		for i := range 300 {
			want := bytes.Repeat([]byte{byte(i)}, i*37)
			b := f.keyUpdate(i%3 == 0)
			b = append(b, f.data(maskedFrame(0x82, want), 1+i*7)...)
			if err := f.raw(append(b, f.keyUpdate(i%2 == 0)...)); err != nil {
				t.Fatal(err)
			}
			if got, err := a.hear(); err != nil || !bytes.Equal(got.payload, want) {
				t.Fatalf("message %d: %d bytes, %v", i, len(got.payload), err)
			}
		}
	})
}

// TestTLSRecordsOfEverySize: a message comes whole, whatever records it is in and wherever the socket cuts them.
func TestTLSRecordsOfEverySize(t *testing.T) {
	for version, number := range tlsVersions {
		t.Run("tls/"+version, func(t *testing.T) {
			s := startServerTLS(t, echoHandler, Options{Loops: 1})
			config := guestTLS()
			config.MinVersion, config.MaxVersion = number, number
			f := forgeClient(t, s, config)
			a := attackOver(t, f, "/")
			want := make([]byte, 3000)
			for i := range want {
				want[i] = byte(i * 7)
			}
			frame := maskedFrame(0x82, want)
			for size := 1; size <= 3010; size += 2 + size/8 {
				b := f.data(frame, size)
				for cut := size%41 + 1; len(b) > 0; cut = cut*3%1021 + 1 {
					n := min(cut, len(b))
					if err := f.raw(b[:n]); err != nil {
						t.Fatal(err)
					}
					b = b[n:]
				}
				if got, err := a.hear(); err != nil || !bytes.Equal(got.payload, want) {
					t.Fatalf("records of %d bytes: %d bytes, %v", size, len(got.payload), err)
				}
			}
			// What comes next must come though the socket has nothing more: a record held back, then the rest of it.
			b := f.data(maskedFrame(0x82, want[:100]), 10)
			for i := range b {
				if err := f.raw(b[i : i+1]); err != nil {
					t.Fatal(err)
				}
				if i%16 == 0 {
					time.Sleep(time.Millisecond) // so that each comes alone
				}
			}
			if got, err := a.hear(); err != nil || !bytes.Equal(got.payload, want[:100]) {
				t.Fatal(got, err)
			}
			_ = f.raw(f.alert(1, alertCloseNotify))
			_, _ = io.Copy(io.Discard, a.r)
		})
	}
}
