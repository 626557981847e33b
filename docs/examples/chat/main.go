// Command chat is a chat in JSON: the example of MDN's pages about WebSockets, with its messages and what they mean. It serves
// its page as well: http://localhost:8080
//
//	id              from us: who you are
//	username        to us: the name you want
//	rejectusername  from us: that name is taken, you have this one
//	userlist        from us, to all who have a name: who is here, whenever that changes
//	message         to us: a text; from us, to all who have a name: the text, and who says it, when
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"flag"
	"log"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

// note is every message of ours, each with the fields that it needs.
type note struct {
	Type  string    `json:"type"`
	ID    uint64    `json:"id,omitempty"`
	Name  string    `json:"name,omitempty"`
	Text  string    `json:"text,omitempty"`
	Users *[]string `json:"users,omitempty"`
	Date  int64     `json:"date,omitempty"` // milliseconds, as JavaScript counts
}

type user struct {
	id    uint64
	name  string
	hears atomic.Bool // it has a name: a broadcast may come between the opening of a connection and OnOpen, and the id comes first
}

// chat is the engine's handler.
type chat struct {
	server *engine.Server
	mu     sync.Mutex      // connections on different loops call at the same time
	users  []*user         // those who have a name, as they came
	names  map[string]bool // theirs: a thousand who want the same one are not compared with each other
}

func (h *chat) OnOpen(c *engine.Conn) {
	u := &user{id: c.ID()}
	c.SetValue(u)
	send(c, note{Type: "id", ID: u.id})
}

func (h *chat) OnMessage(c *engine.Conn, m engine.Message) {
	var n struct{ Type, Name, Text string }
	if err := json.Unmarshal(m.Data, &n); m.Op != engine.OpText || err != nil {
		_ = c.CloseWith(engine.StatusUnsupportedData, "this chat speaks JSON")
		return
	}
	u := c.Value().(*user)
	switch {
	case n.Type == "username":
		h.rename(c, u, n.Name)
	case n.Type == "message" && u.name != "":
		h.sendAll(note{Type: "message", ID: u.id, Name: u.name, Text: plain(n.Text), Date: time.Now().UnixMilli()})
	default:
		_ = c.CloseWith(engine.StatusPolicyViolation, "a username comes first, then messages")
	}
}

func (h *chat) OnClose(c *engine.Conn, _ engine.CloseEvent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.Index(h.users, c.Value().(*user)); i >= 0 {
		delete(h.names, h.users[i].name)
		h.users = slices.Delete(h.users, i, i+1)
		h.sendUserList()
	}
}

// rename gives u the name that it wants, or one that nobody has.
func (h *chat) rename(c *engine.Conn, u *user, wanted string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	name := h.free(short(plain(wanted)), u.name)
	if name != wanted {
		send(c, note{Type: "rejectusername", ID: u.id, Name: name})
	}
	if name == u.name {
		return // nothing has changed, and nobody needs a list
	}
	if u.name == "" {
		h.users = append(h.users, u)
	}
	delete(h.names, u.name)
	h.names[name], u.name = true, name
	u.hears.Store(true)
	h.sendUserList()
}

// free is the name that is wanted if nobody but its owner has it, else that with a number.
func (h *chat) free(wanted, own string) string {
	name := wanted
	for n := 1; name != own && h.names[name]; n++ {
		name = wanted + strconv.Itoa(n)
	}
	return name
}

// sendUserList is called with h.mu held, so that the last list to leave is the newest one.
func (h *chat) sendUserList() {
	names := make([]string, len(h.users))
	for i, u := range h.users {
		names[i] = u.name
	}
	h.sendAll(note{Type: "userlist", Users: &names})
}

// sendAll frames a note once, for everybody who has a name.
func (h *chat) sendAll(n note) {
	p, err := engine.Prepare(engine.OpText, encode(n))
	if err != nil {
		log.Print(err)
		return
	}
	h.server.Broadcast(p, func(c *engine.Conn) bool {
		u, ok := c.Value().(*user)
		return ok && u.hears.Load()
	})
}

func send(c *engine.Conn, n note) {
	if err := c.Send(engine.OpText, encode(n)); err != nil {
		log.Print(c.RemoteAddr(), " ", err)
	}
}

func encode(n note) []byte {
	text, err := json.Marshal(n)
	if err != nil { // a note has nothing that JSON can not say
		panic(err)
	}
	return text
}

var markup = regexp.MustCompile(`<[^>]*>`)

// plain is a text without markup. The page shows texts as texts; others may not.
func plain(text string) string { return strings.TrimSpace(markup.ReplaceAllString(text, "")) }

// short is a name that is neither empty nor longer than 24 characters.
func short(name string) string {
	if name == "" {
		return "guest"
	}
	if r := []rune(name); len(r) > 24 {
		return strings.TrimSpace(string(r[:24]))
	}
	return name
}

//go:embed index.html
var page []byte

func servePage(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:")
	_, _ = w.Write(page)
}

func main() {
	addr := flag.String("addr", ":8080", "where to listen")
	flag.Parse()
	h := &chat{names: make(map[string]bool)}
	server, err := engine.NewServer(h, engine.Options{
		Limits:    engine.Limits{MaxMessageSize: 4 << 10},
		Protocols: []string{"json"},
		Fallback:  http.HandlerFunc(servePage),
	})
	if err != nil {
		log.Fatal(err)
	}
	h.server = server
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		if err := server.ListenAndServe("tcp", *addr); err != engine.ErrServerClosed {
			log.Fatal(err)
		}
	}()
	<-ctx.Done()
	stop() // a second signal ends the program at once
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		log.Fatal("shutdown: ", err)
	}
}
