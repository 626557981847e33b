package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/gannet-ws/gannet/bench/internal/rig"
	"github.com/gannet-ws/gannet/codec"
)

// The established connections and what they do.
const (
	probes     = 50
	probeSize  = 128
	probeEvery = 50 * time.Millisecond
)

// probe is one of them: it sends on time, however late the answer before was, and counts from when it should have sent.
type probe struct {
	conn    net.Conn
	took    []timed
	request []byte
	answer  []byte
}

// timed is a message: when it was due, and how long after that its answer came.
type timed struct {
	due  time.Time
	took time.Duration
}

func dialProbe(addr string) (*probe, error) {
	conn, err := open(addr)
	if err != nil {
		return nil, err
	}
	payload := bytes.Repeat([]byte("gannet! "), probeSize/8)
	return &probe{
		conn:    conn,
		request: codec.AppendMaskedFrame(nil, codec.OpBinary, true, false, [4]byte{1, 2, 3, 4}, payload),
		answer:  codec.AppendFrame(nil, codec.OpBinary, true, false, payload),
	}, nil
}

// open is a WebSocket over TLS.
func open(addr string) (net.Conn, error) {
	transport, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(transport, &tls.Config{InsecureSkipVerify: true}) // the certificate has signed itself
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	if err := rig.Upgrade(conn, addr); err != nil {
		transport.Close()
		return nil, err
	}
	return conn, nil
}

// run sends until it is stopped.
func (p *probe) run(first time.Time, stop <-chan struct{}) error {
	got := make([]byte, len(p.answer))
	for due := first; ; due = due.Add(probeEvery) {
		select {
		case <-stop:
			return nil
		case <-time.After(time.Until(due)):
		}
		if err := p.conn.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		if _, err := p.conn.Write(p.request); err != nil {
			return err
		}
		if _, err := io.ReadFull(p.conn, got); err != nil {
			return err
		}
		if !bytes.Equal(got, p.answer) {
			return fmt.Errorf("the answer is not what was sent")
		}
		p.took = append(p.took, timed{due, time.Since(due)})
	}
}

// watched runs all probes, evenly spread over their interval, while f runs, and answers what they saw.
func watched(all []*probe, f func() error) ([]timed, error) {
	stop := make(chan struct{})
	failed := make([]error, len(all))
	var running sync.WaitGroup
	begin := time.Now()
	for i, p := range all {
		running.Go(func() {
			failed[i] = p.run(begin.Add(time.Duration(i+1)*probeEvery/time.Duration(len(all))), stop)
		})
	}
	err := f()
	close(stop)
	running.Wait()
	var took []timed
	for i, p := range all {
		took = append(took, p.took...)
		if err == nil {
			err = failed[i]
		}
	}
	return took, err
}

// latencies are of the messages that were due in a span of time.
type latencies struct {
	Messages      int
	P50, P99, Max time.Duration
}

func latenciesOf(took []timed, from, to time.Time) latencies {
	var in []time.Duration
	for _, t := range took {
		if !t.due.Before(from) && t.due.Before(to) {
			in = append(in, t.took)
		}
	}
	if len(in) == 0 {
		return latencies{}
	}
	slices.Sort(in)
	at := func(share float64) time.Duration { return in[int(share*float64(len(in)-1)+0.5)] }
	return latencies{Messages: len(in), P50: at(0.5), P99: at(0.99), Max: at(1)}
}

// String is three cells of a table.
func (l latencies) String() string {
	ms := func(d time.Duration) string { return fmt.Sprintf("%.2f ms", d.Seconds()*1000) }
	return fmt.Sprintf("%d | %s | %s | %s", l.Messages, ms(l.P50), ms(l.P99), ms(l.Max))
}
