package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/gannet-ws/gannet/bench/internal/results"
	"github.com/gannet-ws/gannet/bench/internal/rig"
)

const (
	idleRuns    = results.MinProcesses // fresh server processes per idle cell
	idleSettle  = time.Second          // between the last handshake and reading RSS
	idleTimeout = 5 * time.Second      // for one handshake or echo
)

// idleResult is one measured idle cell.
type idleResult struct {
	Cell    idleCell           `json:"cell"`
	Servers []idleServerResult `json:"servers"`
	LeftOut []leftOut          `json:"left_out,omitempty"`
}

// idleServerResult is one server's runs in an idle cell.
type idleServerResult struct {
	Name string    `json:"name"`
	Role role      `json:"role"`
	Runs []idleRun `json:"runs"`
}

// idleRun is the resident memory of one process at the two connection counts.
type idleRun struct {
	FewKiB       int64   `json:"few_kib"`
	ManyKiB      int64   `json:"many_kib"`
	BytesPerConn float64 `json:"bytes_per_conn"`
}

func (s idleServerResult) slope() rig.Spread {
	values := make([]float64, len(s.Runs))
	for i, r := range s.Runs {
		values[i] = r.BytesPerConn
	}
	return rig.SpreadOf(values)
}

// measureIdle runs c against every server but the floor, interleaved like the echo cells.
func (b *bencher) measureIdle(ctx context.Context, c idleCell) (idleResult, error) {
	result := idleResult{Cell: c}
	var servers []server
	for _, s := range b.options.plan.servers {
		if s.Role == roleFloor {
			continue
		}
		if why := s.unfit(c.settings()); why != "" {
			result.LeftOut = append(result.LeftOut, leftOut{s.Name, why})
			continue
		}
		servers = append(servers, s)
		result.Servers = append(result.Servers, idleServerResult{Name: s.Name, Role: s.Role})
	}
	for run := range idleRuns {
		for i, s := range servers {
			taken, err := b.idleOnce(ctx, c, s)
			if err != nil {
				return result, fmt.Errorf("%s: %w", s.Name, err)
			}
			fmt.Fprintf(b.progress, "%s run %d/%d: %s %.0f B\n", c.Name, run+1, idleRuns, s.Name, taken.BytesPerConn)
			result.Servers[i].Runs = append(result.Servers[i].Runs, taken)
		}
	}
	return result, nil
}

func (b *bencher) idleOnce(ctx context.Context, c idleCell, s server) (idleRun, error) {
	port, err := b.ports.Take()
	if err != nil {
		return idleRun{}, err
	}
	p, err := rig.Start(ctx, rig.Pinned(b.options.serverCore, s.argv(b.tools, port, c.settings())), port)
	if err != nil {
		return idleRun{}, err
	}
	defer p.Stop()
	run, err := holdConnections(ctx, c, port, p.PID())
	if err != nil {
		return run, p.WhyEnded(err)
	}
	return run, nil
}

// holdConnections opens c.Few and then c.Many connections and reads the server's RSS at each count.
func holdConnections(ctx context.Context, c idleCell, port, pid int) (idleRun, error) {
	var held holder
	defer held.close()
	var rss [2]int64
	for i, count := range []int{c.Few, c.Many} {
		if err := held.grow(ctx, count, port, c); err != nil {
			return idleRun{}, fmt.Errorf("connection %d: %w", len(held.conns)+1, err)
		}
		select {
		case <-ctx.Done():
			return idleRun{}, ctx.Err()
		case <-time.After(idleSettle):
		}
		var err error
		if rss[i], err = rig.ResidentKiB(pid); err != nil {
			return idleRun{}, err
		}
	}
	slope := float64(rss[1]-rss[0]) * 1024 / float64(c.Many-c.Few)
	return idleRun{FewKiB: rss[0], ManyKiB: rss[1], BytesPerConn: slope}, nil
}

// holder keeps connections open.
type holder struct{ conns []net.Conn }

func (h *holder) grow(ctx context.Context, count, port int, c idleCell) error {
	for len(h.conns) < count {
		if err := ctx.Err(); err != nil {
			return err
		}
		conn, err := net.DialTimeout("tcp", rig.LocalAddr(port), idleTimeout)
		if err != nil {
			return err
		}
		h.conns = append(h.conns, conn)
		if err := useOnce(conn, port, c); err != nil {
			return err
		}
	}
	return nil
}

// useOnce does what c's connections do before they fall silent. What the client keeps of TLS is not needed any more then.
func useOnce(conn net.Conn, port int, c idleCell) error {
	if err := conn.SetDeadline(time.Now().Add(idleTimeout)); err != nil {
		return err
	}
	if c.settings().overTLS() {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // the certificate has signed itself
	}
	if err := rig.Upgrade(conn, rig.LocalAddr(port)); err != nil {
		return err
	}
	for range c.Echoes {
		if err := echoOnce(conn); err != nil {
			return err
		}
	}
	return nil
}

// close resets the connections: 18,000 in TIME_WAIT would take most of the kernel's outgoing ports.
func (h *holder) close() {
	for _, conn := range h.conns {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
}

// echoRequest and echoAnswer are a binary message of 128 zero bytes, from the client under the masking key 1 2 3 4
// (so the payload on the wire is the key, repeated) and from the server.
var (
	echoRequest = append([]byte{0x82, 0x80 | 126, 0, 128}, bytes.Repeat([]byte{1, 2, 3, 4}, 33)...)
	echoAnswer  = append([]byte{0x82, 126, 0, 128}, make([]byte, 128)...)
)

func echoOnce(conn net.Conn) error {
	if _, err := conn.Write(echoRequest); err != nil {
		return err
	}
	answer := make([]byte, len(echoAnswer))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return fmt.Errorf("echo: %w", err)
	}
	if !bytes.Equal(answer, echoAnswer) {
		return errors.New("echo: the answer is not what was sent")
	}
	return nil
}
