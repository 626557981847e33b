package engine_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// The programs that newcomers copy: the README's, and those of examples. Each is ended by SIGTERM while many clients
// talk to it.

const (
	programClients = 200
	programTime    = 3 * time.Minute // for all of a program's life; only a test that fails takes so long
)

// program is an example, and how to talk to it.
type program struct {
	source string // its main.go
	path   string // the request's
	header ws.HandshakeHeaderString
	pause  time.Duration              // between two messages of a client; 0: it says nothing
	say    func(client, n int) string // a client's message of this number; nil: what itself and everybody expect
	silent bool                       // one more client answers no Close: the end takes CloseTimeout then, and is in order all the same
	// judge makes what judges each text that a client hears: nothing that was sent to it before its Close is missing.
	judge func(client int) func(text string) error
}

var programs = map[string]program{
	"README": {source: "testdata/embed/main.go", path: "/room", pause: 500 * time.Millisecond, silent: true, judge: everybody},
	"chat":   {source: "../docs/examples/chat/main.go", path: "/", pause: 500 * time.Millisecond, say: chatSays, judge: chatting},
	"auth": {source: "../docs/examples/auth/main.go", path: "/", header: "Authorization: Bearer secret\r\n", pause: 5 * time.Millisecond,
		judge: itself},
	"nethttp": {source: "../docs/examples/nethttp/main.go", path: "/ws", pause: 5 * time.Millisecond, judge: itself},
	"prices":  {source: "../docs/examples/prices/main.go", path: "/GOLD", judge: prices},
}

// itself expects an echo of each of its messages, in their order.
func itself(client int) func(string) error {
	next := 0
	return func(text string) error {
		if want := fmt.Sprint(client, " ", next); text != want {
			return fmt.Errorf("got %q, want %q", text, want)
		}
		next++
		return nil
	}
}

// everybody expects what each client says from some message on, without a gap.
func everybody(int) func(string) error {
	last := make(map[int]int)
	return func(text string) error {
		var client, n int
		if _, err := fmt.Sscan(text, &client, &n); err != nil {
			return fmt.Errorf("%q: %w", text, err)
		}
		if before, known := last[client]; known && n != before+1 {
			return fmt.Errorf("%d follows %d from client %d", n, before, client)
		}
		last[client] = n
		return nil
	}
}

// prices expects a number behind the other.
func prices(int) func(string) error {
	last := -1
	return func(text string) error {
		var p struct {
			Symbol string
			N      int
		}
		if err := json.Unmarshal([]byte(text), &p); err != nil || p.Symbol != "GOLD" || last >= 0 && p.N != last+1 {
			return fmt.Errorf("%q follows number %d: %w", text, last, err)
		}
		last = p.N
		return nil
	}
}

// chatSays has a client say its name first.
func chatSays(client, n int) string {
	if n == 0 {
		return fmt.Sprintf(`{"type":"username","name":"client %d"}`, client)
	}
	return fmt.Sprintf(`{"type":"message","text":"<b>%d</b> %d"}`, client, n)
}

// chatting expects an id, then lists and what each client says, without markup and without a gap.
func chatting(int) func(string) error {
	heard, spoken := 0, everybody(0)
	return func(text string) error {
		var m struct {
			Type, Text, Name string
			ID               uint64
			Users            []string
		}
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			return err
		}
		heard++
		switch {
		case heard == 1 && m.Type == "id" && m.ID > 0, heard > 1 && m.Type == "userlist" && m.Users != nil:
			return nil
		case heard > 1 && m.Type == "message" && strings.HasPrefix(m.Name, "client "):
			return spoken(m.Text)
		}
		return fmt.Errorf("%q is heard as number %d", text, heard)
	}
}

// TestProgramsAreAll: no example goes without the test of its end.
func TestProgramsAreAll(t *testing.T) {
	sources, err := filepath.Glob("../docs/examples/*/*.go")
	if err != nil || len(sources) == 0 {
		t.Fatal(sources, err)
	}
	tested := make(map[string]bool)
	for _, p := range programs {
		tested[filepath.Clean(p.source)] = true
	}
	tested[filepath.Clean(botFolder+"/main.go")] = true // a client: TestBot
	for _, source := range sources {
		if !tested[filepath.Clean(source)] {
			t.Errorf("%s is not among programs", source)
		}
	}
}

// TestProgramsEndInOrder: SIGTERM in the middle of a conversation ends each program with status 0, and each of its
// clients has heard all that was sent to it, and then a Close with 1001.
func TestProgramsEndInOrder(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no SIGTERM")
	}
	if testing.Short() {
		t.Skip("the programs are the same ones in every build of the tests")
	}
	for name, p := range programs {
		t.Run(name, func(t *testing.T) { p.endInOrder(t) })
	}
}

func (p program) endInOrder(t *testing.T) {
	binary, addr := p.build(t)
	cmd, said := exec.Command(binary), new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // until then it writes what said is
	end := time.AfterFunc(programTime, func() { _ = cmd.Process.Kill() })
	defer func() {
		end.Stop()
		_ = cmd.Process.Kill()
	}()

	results, talking := make(chan error, programClients), make(chan struct{}, programClients)
	for i := range programClients {
		go func() { results <- p.attend(addr, i, func() { talking <- struct{}{} }) }()
	}
	for range programClients {
		select {
		case <-talking:
		case err := <-results:
			_ = cmd.Process.Kill()
			<-ended
			t.Fatalf("before the end: %v\n%.2000s", err, said)
		}
	}
	if p.silent {
		c, err := p.dial(addr, programClients)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	lost := 0
	for range programClients {
		if err := <-results; err != nil {
			if lost++; lost <= 5 {
				t.Error(err)
			}
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d clients were lost", lost, programClients)
	}
	if err := <-ended; err != nil {
		t.Errorf("the program ended with %v:\n%.2000s", err, said)
	}
}

// build compiles a program for an address where nobody listens yet.
func (p program) build(t *testing.T) (binary, addr string) {
	t.Helper()
	source, err := os.ReadFile(p.source)
	if err != nil {
		t.Fatal(err)
	}
	addr = freeAddr(t)
	const where = `":8080"`
	if bytes.Count(source, []byte(where)) != 1 {
		t.Fatalf("%s does not name %s once", p.source, where)
	}
	folder := t.TempDir()
	main := filepath.Join(folder, "main.go")
	binary = filepath.Join(folder, "program")
	if err := os.WriteFile(main, bytes.Replace(source, []byte(where), fmt.Appendf(nil, "%q", addr), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(filepath.Dir(p.source), "*.html")) // what the program embeds
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range pages {
		page, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(folder, filepath.Base(name)), page, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("go", "build", "-o", binary, main).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return binary, addr
}

// freeAddr is an address where nobody listens. Its port is none of those that the system chooses (32768 and up on Linux, 49152
// elsewhere): until the program is built another test would have got one of them.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000))
		if ln, err := net.Listen("tcp", addr); err == nil {
			ln.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

// programClient is one client of a program.
type programClient struct {
	net.Conn
	r       io.Reader
	number  int
	writing sync.Mutex
	closed  bool // a Close was sent: nothing may follow it
}

// attend talks and listens until the server ends it, and calls talking when a conversation is under way. Anything else than
// a Close with 1001, and then the end of the stream, is an error.
func (p program) attend(addr string, number int, talking func()) error {
	c, err := p.dial(addr, number)
	if err != nil {
		return fmt.Errorf("client %d: %w", number, err)
	}
	defer c.Close()
	if p.pause > 0 {
		go c.talk(p)
	}
	judge := p.judge(number)
	for heard := 0; ; {
		f, err := readFrame(c.r)
		if err != nil {
			return fmt.Errorf("client %d: instead of a Close: %w", number, err)
		}
		switch f.Header.OpCode {
		case ws.OpText:
			if err := judge(string(f.Payload)); err != nil {
				return fmt.Errorf("client %d: %w", number, err)
			}
			if heard++; heard == 3 {
				talking()
			}
		case ws.OpClose:
			return c.end(f.Payload)
		}
	}
}

// dial opens a connection, as soon as the program listens.
func (p program) dial(addr string, number int) (*programClient, error) {
	limit := time.Now().Add(programTime)
	for {
		c, early, _, err := ws.Dialer{Header: p.header}.Dial(context.Background(), "ws://"+addr+p.path)
		if errors.Is(err, syscall.ECONNREFUSED) && time.Now().Before(limit) {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		if err != nil {
			return nil, err
		}
		_ = c.SetDeadline(limit)
		k := &programClient{Conn: c, r: bufio.NewReader(c), number: number}
		if early != nil {
			k.r = early
		}
		return k, nil
	}
}

// end answers a Close, and hears nothing after it.
func (c *programClient) end(body []byte) error {
	if code, reason := ws.ParseCloseFrameData(body); code != ws.StatusGoingAway {
		return fmt.Errorf("client %d: closed with %d %s", c.number, code, reason)
	}
	c.writing.Lock()
	defer c.writing.Unlock()
	c.closed = true
	if err := wsutil.WriteClientMessage(c, ws.OpClose, body); err != nil {
		return fmt.Errorf("client %d: answering the Close: %w", c.number, err)
	}
	if n, err := io.Copy(io.Discard, c.r); err != nil || n > 0 {
		return fmt.Errorf("client %d: %d bytes after the Close, and %w", c.number, n, err)
	}
	return nil
}

// talk says one message after the other.
func (c *programClient) talk(p program) {
	words := p.say
	if words == nil {
		words = func(client, n int) string { return fmt.Sprint(client, " ", n) }
	}
	for n := 0; c.say(words(c.number, n)); n++ {
		time.Sleep(p.pause)
	}
}

func (c *programClient) say(text string) bool {
	c.writing.Lock()
	defer c.writing.Unlock()
	return !c.closed && wsutil.WriteClientText(c, []byte(text)) == nil
}

// readFrame reads a frame of a server, whose payloads are short here.
func readFrame(r io.Reader) (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(r); err != nil {
		return f, err
	}
	if f.Header.Length > 1<<16 {
		return f, fmt.Errorf("a frame of %d bytes", f.Header.Length)
	}
	f.Payload = make([]byte, f.Header.Length)
	_, err = io.ReadFull(r, f.Payload)
	return f, err
}
