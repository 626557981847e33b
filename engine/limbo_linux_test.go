package engine

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/gannet-ws/gannet/engine/internal/handshake"
)

// TestCannotBeWatched: a connection by ServeHTTP that no loop could watch is over, once, whatever its owner does with it: its
// descriptor may be another's by then.
func TestCannotBeWatched(t *testing.T) {
	s := bare(t, echoHandler, Options{Loops: 1}, false)
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	req, err := handshake.FromHTTP(r, handshake.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	id, refused := s.admitHTTP(r, httpPeer{}.counts)
	if refused != nil {
		t.Fatal(refused)
	}
	s.deciding.Done()
	fd, err := syscall.Open(filepath.Join(t.TempDir(), "file"), syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	u := &Upgrade{conn: s.newInLimbo(id, r, req, httpPeer{}, s.own), req: req, answered: true}
	l := leastLoaded(s.native)
	l.post(task{call: func() { l.adoptReserved(arrival{fd: fd, upgrade: u}) }}) // no poller takes a file
	within(t, timeoutOf(5), "it is over", func() bool { return u.conn.ReadyState() == Closed && s.conns() == 0 })
	done, other := make(chan struct{}), (*os.File)(nil)
	l.post(task{call: func() { // behind the end, and before what Terminate leaves
		other, err = os.Open(os.DevNull)
		u.conn.Terminate()
	}})
	l.post(task{call: func() { l.post(task{call: func() { close(done) }}) }})
	receive(t, done, "the loop")
	if st := s.Stats(); st.Connecting != 0 || s.conns() != 0 {
		t.Errorf("%+v", st)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Close(); err != nil {
		t.Error("somebody else's descriptor:", err)
	}
}
