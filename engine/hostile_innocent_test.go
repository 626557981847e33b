package engine

import (
	"bytes"
	"errors"
	"io"
	"net"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"sync"
	"testing"
	"time"
)

// The hostile_*_test.go files hold the engine to the list of what broke other
// implementations. Each attack runs beside an innocent connection, which must not feel
// it, and under a bound on memory.

// riseAllowed is how much later an innocent's 99th percentile may be under attack. With the
// race detector, for which allocating 1 MiB takes 10 ms, it only shows that nothing hangs.
var riseAllowed = func() time.Duration {
	if raceEnabled {
		return 200 * time.Millisecond
	}
	return 20 * time.Millisecond
}()

const (
	// probeSamples is how many echoes a percentile is taken of, at least.
	probeSamples = 40
	// attackTries is how often an attack is tried: what the engine does to the innocent it does each time.
	attackTries = 8
	// probePause is what the innocent waits between two of them.
	probePause = 2 * time.Millisecond
)

// crowd is how many of n a test can afford in this build.
func crowd(n int) int {
	if raceEnabled {
		return n / 4
	}
	return n
}

// prober echoes 32 bytes every few milliseconds and notes how long each takes.
type prober struct {
	name string
	nc   io.Closer
	end  chan struct{}
	done chan struct{}

	mu    sync.Mutex
	spans []time.Duration
	err   error
}

// startProber calls echo every few milliseconds, on a goroutine of its own, until the test ends.
func startProber(t testing.TB, name string, nc io.Closer, echo func() error) *prober {
	p := &prober{name: name, nc: nc, end: make(chan struct{}), done: make(chan struct{})}
	go p.run(echo)
	t.Cleanup(p.stop)
	return p
}

func (p *prober) run(echo func() error) {
	defer close(p.done)
	pause := time.NewTicker(probePause)
	defer pause.Stop()
	for {
		select {
		case <-p.end:
			return
		case <-pause.C:
		}
		began := time.Now()
		err := echo()
		p.mu.Lock()
		p.spans = append(p.spans, time.Since(began))
		p.err = err
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (p *prober) stop() {
	select {
	case <-p.end:
	default:
		close(p.end)
	}
	<-p.done
	_ = p.nc.Close()
}

func (p *prober) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

func (p *prober) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.spans)
}

// during is the 99th percentile of the echoes that ended while f ran, and of as many
// after it as a percentile needs.
func (p *prober) during(t testing.TB, f func()) time.Duration {
	t.Helper()
	from := p.count()
	f()
	within(t, timeoutOf(20), p.name+" still echoes", func() bool {
		return p.count() >= from+probeSamples || p.failure() != nil
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	s := slices.Clone(p.spans[from:])
	if len(s) == 0 {
		return 0
	}
	slices.Sort(s)
	return s[(len(s)*99+99)/100-1]
}

// innocent is a connection that does nothing but echo: whatever happens to others, it
// must stay open and quick.
func innocent(t testing.TB, s *Server) *prober {
	t.Helper()
	return innocentAt(t, s.Addr().String())
}

func innocentAt(t testing.TB, addr string) *prober {
	t.Helper()
	a := knock(t, "tcp", addr)
	a.upgrade(t)
	payload := []byte("an innocent's thirty-two bytes..")
	frame := maskedFrame(0x82, payload)
	_ = a.SetDeadline(time.Now().Add(timeoutOf(60)))
	answer := make([]byte, 2+len(payload))
	return startProber(t, "the innocent connection", a.Conn, func() error {
		if _, err := a.Write(frame); err != nil {
			return err
		}
		if _, err := io.ReadFull(a.r, answer); err != nil {
			return err
		}
		if answer[0] != 0x82 || !bytes.Equal(answer[2:], payload) {
			return errors.New("another answer than the echo")
		}
		return nil
	})
}

// bystander is an echo without the engine, on goroutines: it shows what of a rise is
// the machine's (and the attacker's, who runs in this very process).
func bystander(t testing.TB) *prober {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if nc, err := ln.Accept(); err == nil {
			_, _ = io.Copy(nc, nc)
			_ = nc.Close()
		}
		_ = ln.Close()
	}()
	nc, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = nc.SetDeadline(time.Now().Add(timeoutOf(60)))
	b := make([]byte, 34)
	return startProber(t, "the bystander", nc, func() error {
		if _, err := nc.Write(b); err != nil {
			return err
		}
		_, err := io.ReadFull(nc, b)
		return err
	})
}

// besideInnocent runs an attack beside an innocent connection, and fails if that breaks
// or its 99th percentile rises by more than riseAllowed. The machine may be busy with
// other things: the attack has some tries, and only if all of them were slow is what
// the bystander lost at the same time taken off.
func besideInnocent(t *testing.T, s *Server, attack func()) {
	t.Helper()
	besideInnocentAt(t, s.Addr().String(), attack)
}

func besideInnocentAt(t *testing.T, addr string, attack func()) {
	t.Helper()
	besideProber(t, func() *prober { return innocentAt(t, addr) }, attack)
}

func besideProber(t *testing.T, start func() *prober, attack func()) {
	t.Helper()
	// The attackers are in this process and must not queue for the same processors in
	// Go's scheduler, which lets a goroutine run for 10 ms: the kernel's is fairer.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4 * runtime.NumCPU()))
	in, by := start(), bystander(t)
	defer in.stop()
	defer by.stop()
	best := time.Duration(1 << 62)
	for range attackTries {
		var calm, stress, byCalm, byStress time.Duration
		byCalm = by.during(t, func() { calm = in.during(t, func() {}) })
		byStress = by.during(t, func() { stress = in.during(t, attack) })
		if err := in.failure(); err != nil {
			t.Fatal("the innocent connection broke:", err)
		}
		rise := stress - calm
		t.Logf("innocent p99 %v -> %v; without the engine %v -> %v", calm, stress, byCalm, byStress)
		if rise <= riseAllowed {
			return
		}
		best = min(best, rise-max(byStress-byCalm, 0))
	}
	if best > riseAllowed {
		t.Errorf("the innocent connection's p99 rose by %v, at most %v allowed", best, riseAllowed)
	}
}

// memoryInUse is what the Go heap and the large mappings of the pool hold, in bytes.
func memoryInUse(s statted) int64 { return memory(s, "/memory/classes/heap/objects:bytes") }

// liveMemory is memoryInUse as the garbage collector left it when it last ran: without what is garbage since.
func liveMemory(s statted) int64 { return memory(s, "/gc/heap/live:bytes") }

// statted is a server or a client.
type statted interface{ Stats() Stats }

func memory(s statted, metric string) int64 {
	m := []metrics.Sample{{Name: metric}}
	metrics.Read(m)
	n := int64(m[0].Value.Uint64())
	if s != nil {
		n += s.Stats().Buffers.LargeBytes
	}
	return n
}

// peakMemory runs f and returns how much more memory than before was in use at the worst
// moment, what waits for the garbage collector included. The collector runs at each 2 MiB
// meanwhile: by default it would wait for as much garbage as is alive, which depends on the
// tests that ran before and says nothing of the engine. Under the race detector it is 0: sync.Pool then loses
// a quarter of what it is given, and the peak is of that.
func peakMemory(s statted, f func()) int64 { return peakOf(memoryInUse, s, f) }

// peakLive is peakMemory without garbage, for an attack whose own garbage comes faster than the collector on a busy machine.
func peakLive(s statted, f func()) int64 { return peakOf(liveMemory, s, f) }

func peakOf(use func(statted) int64, s statted, f func()) int64 {
	if raceEnabled {
		f()
		return 0
	}
	debug.FreeOSMemory()
	before := use(s)
	defer debug.SetGCPercent(debug.SetGCPercent(int(min(100, max(1, 100*(2<<20)/before)))))
	end, peak := make(chan struct{}), make(chan int64)
	go func() {
		most := int64(0)
		look := time.NewTicker(5 * time.Millisecond)
		defer look.Stop()
		for {
			most = max(most, use(s)-before)
			select {
			case <-end:
				peak <- most
				return
			case <-look.C:
			}
		}
	}()
	f()
	close(end)
	return <-peak
}
