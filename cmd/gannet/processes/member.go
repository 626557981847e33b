package processes

import (
	"errors"
	"fmt"
	"net"
	"net/rpc"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"

	"github.com/gannet-ws/gannet/engine"
)

// Member is this process, as one of a Group. Its methods are for any goroutine.
type Member struct {
	listener net.Listener
	asked    net.Conn
	asks     *rpc.Client
	outbox   outbox
	told     chan struct{}
	telling  sync.Once
	orphaned chan struct{}
}

// Inherited is what a Group has given to this process; nil, and no error, where none has started it. Call it at the beginning of main's
// work, once. From then on the process ignores SIGINT and SIGTERM: a terminal and a supervisor send them to the group's process
// as well, and that one tells the others what to do, once.
func Inherited() (*Member, error) {
	parent, is := os.LookupEnv(parentVariable)
	if !is {
		return nil, nil
	}
	signal.Ignore(os.Interrupt, syscall.SIGTERM)
	_ = os.Unsetenv(parentVariable)
	if parent != strconv.Itoa(os.Getppid()) {
		return nil, fmt.Errorf("%s is %q, and the parent is process %d: the process that started this one has ended", parentVariable, parent, os.Getppid())
	}
	m := &Member{told: make(chan struct{}), orphaned: make(chan struct{})}
	socket := os.NewFile(listenerDescriptor, "listening socket")
	defer socket.Close()
	var err error
	if m.listener, err = net.FileListener(socket); err != nil {
		return nil, fmt.Errorf("the listening socket that was inherited: %w", err)
	}
	var asking net.Conn
	if m.asked, err = inheritedConn(askedDescriptor); err == nil {
		asking, err = inheritedConn(askingDescriptor)
	}
	if err != nil {
		return nil, fmt.Errorf("the sockets that were inherited: %w", err)
	}
	m.asks = rpc.NewClient(asking)
	m.outbox.ready = make(chan struct{}, 1)
	return m, nil
}

func inheritedConn(fd uintptr) (net.Conn, error) {
	file := os.NewFile(fd, "to the group")
	defer file.Close()
	return net.FileConn(file)
}

// Listener is the one to serve.
func (m *Member) Listener() net.Listener { return m.listener }

// Told is closed when the group asks this process to shut down.
func (m *Member) Told() <-chan struct{} { return m.told }

// Orphaned is closed when the group's process has ended, or gives this one up: it has to end at once.
func (m *Member) Orphaned() <-chan struct{} { return m.orphaned }

// Server is what a member does for its group.
type Server interface {
	// Stats are this process's own.
	Stats() engine.Stats
	// Deliver gives this process's connections what one of another process has said. It may take its time: nothing more comes before it returns.
	Deliver(Message)
}

// Answer answers the group from now on, in goroutines of its own. The group takes it for the word that this process serves.
func (m *Member) Answer(s Server) {
	calls := rpc.NewServer()
	if err := calls.RegisterName("Member", &memberCalls{m: m, server: s}); err != nil {
		panic(err) // its methods are ours
	}
	go func() {
		calls.ServeConn(m.asked)
		close(m.orphaned)
	}()
	go m.relay()
}

// Figures are those of all processes of the group. It fails when one of them does not answer.
func (m *Member) Figures() (all Figures, err error) {
	if err = m.asks.Call(groupFigures, nothing(false), &all); errors.Is(err, rpc.ErrShutdown) {
		err = errors.New("the process that started this one has ended")
	}
	return all, err
}

// memberCalls is what the group may call.
type memberCalls struct {
	m          *Member
	server     Server
	delivering sync.Mutex // two others may speak at a time
}

func (c *memberCalls) Stats(_ nothing, own *statsReply) error {
	own.Stats = c.server.Stats()
	return nil
}

func (c *memberCalls) Deliver(said []Message, _ *nothing) error {
	c.delivering.Lock()
	defer c.delivering.Unlock()
	for _, m := range said {
		c.server.Deliver(m)
	}
	return nil
}

func (c *memberCalls) Shutdown(nothing, *nothing) error {
	c.m.telling.Do(func() { close(c.m.told) })
	return nil
}
