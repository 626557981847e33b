package main

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// patience is how long one handshake, or one answer, may take.
const patience = 30 * time.Second

// shaken is what shake prints.
type shaken struct {
	Handshakes int     `json:"handshakes"`
	CPUSeconds float64 `json:"cpu_seconds"` // of the server's process, user and system
	Busy       float64 `json:"busy"`        // CPUSeconds by the seconds that passed
}

// shake has clients shake hands with a server, say goodbye by close_notify, and wait for the server's: so each handshake is whole on both
// sides. It counts after a warm-up of a fifth of the time.
func shake(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("shake", flag.ContinueOnError)
	addr := flags.String("addr", "", "the server's address")
	pid := flags.Int("pid", 0, "the server's process")
	workers := flags.Int("workers", 16, "clients at once")
	length := flags.Duration("time", 2*time.Second, "measured time")
	resumed := flags.Bool("resumed", false, "resume a session, by one ticket for all")
	if err := flags.Parse(args); err != nil {
		return err
	}
	config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}} // the certificate has signed itself
	if *resumed {
		config.ClientSessionCache = new(oneTicket)
		config.ServerName = "gannet.test"
		if _, err := shakeOnce(*addr, config); err != nil {
			return fmt.Errorf("no ticket: %w", err)
		}
	}
	c := &counter{addr: *addr, config: config, resumed: *resumed}
	result, err := c.count(*pid, *workers, *length)
	if err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(result)
}

// counter has workers shake hands until it is told to stop.
type counter struct {
	addr    string
	config  *tls.Config
	resumed bool
	done    atomic.Int64
	stop    atomic.Bool
	failed  atomic.Pointer[error]
}

func (c *counter) count(pid, workers int, length time.Duration) (shaken, error) {
	var all sync.WaitGroup
	for range workers {
		all.Go(c.work)
	}
	time.Sleep(length / 5)
	began, handshakes, cpu := time.Now(), c.done.Load(), rig.CPUTime(pid)
	time.Sleep(length)
	// A short time on a slow machine may see none: every client is waited for once, as long as a handshake may take.
	for end := time.Now().Add(patience); !c.stop.Load() && time.Now().Before(end); time.Sleep(length / 10) {
		if c.done.Load()-handshakes >= int64(workers) && rig.CPUTime(pid) > cpu {
			break
		}
	}
	handshakes, cpu = c.done.Load()-handshakes, rig.CPUTime(pid)-cpu
	passed := time.Since(began)
	c.stop.Store(true)
	all.Wait()
	if err := c.failed.Load(); err != nil {
		return shaken{}, *err
	}
	if handshakes == 0 || cpu <= 0 {
		return shaken{}, errors.New("no handshake was counted, or no CPU time")
	}
	return shaken{Handshakes: int(handshakes), CPUSeconds: cpu.Seconds(), Busy: cpu.Seconds() / passed.Seconds()}, nil
}

func (c *counter) work() {
	for !c.stop.Load() {
		state, err := shakeOnce(c.addr, c.config)
		if err == nil && state.DidResume != c.resumed {
			err = fmt.Errorf("resumed: %v, want %v", state.DidResume, c.resumed)
		}
		if err != nil {
			c.failed.Store(&err)
			c.stop.Store(true)
			return
		}
		c.done.Add(1)
	}
}

// shakeOnce connects, shakes hands, and ends both halves. Reading to the end takes the tickets, too.
func shakeOnce(addr string, config *tls.Config) (state tls.ConnectionState, err error) {
	transport, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return state, err
	}
	defer transport.Close()
	if err := transport.SetDeadline(time.Now().Add(patience)); err != nil {
		return state, err
	}
	conn := tls.Client(transport, config)
	if err := conn.Handshake(); err != nil {
		return state, err
	}
	if err := conn.CloseWrite(); err != nil {
		return state, err
	}
	if _, err := io.Copy(io.Discard, conn); err != nil {
		return state, fmt.Errorf("waiting for the server's close_notify: %w", err)
	}
	return conn.ConnectionState(), nil
}

// oneTicket keeps the first ticket for ever: a server that is asked again and again for the same session has the same work each time.
type oneTicket struct {
	session atomic.Pointer[tls.ClientSessionState]
}

func (o *oneTicket) Put(_ string, session *tls.ClientSessionState) {
	if session != nil {
		o.session.CompareAndSwap(nil, session)
	}
}

func (o *oneTicket) Get(string) (*tls.ClientSessionState, bool) {
	session := o.session.Load()
	return session, session != nil
}
