package dom_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/gannet-ws/gannet/engine"
	"github.com/gannet-ws/gannet/engine/dom"
)

// chatMessage is a message of MDN's chat ("Writing WebSocket client applications"), either way.
type chatMessage struct {
	Type  string   `json:"type"` // id, username, message, rejectusername, userlist
	ID    uint64   `json:"id,omitempty"`
	Name  string   `json:"name,omitempty"`
	Text  string   `json:"text,omitempty"`
	Users []string `json:"users,omitempty"`
}

// chatServer knows who is there, and tells everybody what anybody says.
type chatServer struct {
	mu    sync.Mutex
	conns map[*engine.Conn]string // with their names
}

func send(c *engine.Conn, m chatMessage) {
	p, _ := json.Marshal(m)
	_ = c.SendText(string(p))
}

func (s *chatServer) all(m chatMessage) {
	for c := range s.conns {
		send(c, m)
	}
}

func (s *chatServer) users() (names []string) {
	for _, n := range s.conns {
		if n != "" {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

// OnOpen gives the connection its number.
func (s *chatServer) OnOpen(c *engine.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = ""
	send(c, chatMessage{Type: "id", ID: c.ID()})
}

// OnMessage takes a name, or what somebody says.
func (s *chatServer) OnMessage(c *engine.Conn, m engine.Message) {
	var in chatMessage
	if json.Unmarshal(m.Data, &in) != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch in.Type {
	case "username":
		name := in.Name
		for n := 1; slices.Contains(s.users(), name); n++ {
			name = fmt.Sprint(in.Name, n)
		}
		if name != in.Name {
			send(c, chatMessage{Type: "rejectusername", Name: name})
		}
		s.conns[c] = name
		s.all(chatMessage{Type: "username", Name: name})
		s.all(chatMessage{Type: "userlist", Users: s.users()})
	case "message":
		s.all(chatMessage{Type: "message", Name: s.conns[c], Text: in.Text})
	}
}

// OnClose forgets the connection.
func (s *chatServer) OnClose(c *engine.Conn, _ engine.CloseEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// chatter is the page: it shows what it hears.
type chatter struct {
	ws   *dom.WebSocket
	name string
	says string // when it hears who is there, once
	show func(string)

	leaves bool // when it has heard itself
}

// join is new WebSocket(url), with a handler.
func join(url string, p *chatter) *chatter {
	ws, err := dom.New(url)
	if err != nil {
		panic(err)
	}
	p.ws = ws
	ws.OnMessage(p.onMessage)
	return p
}

func (p *chatter) send(m chatMessage) {
	text, _ := json.Marshal(m)
	_ = p.ws.SendText(string(text))
}

func (p *chatter) onMessage(e *dom.MessageEvent) {
	var m chatMessage
	if err := json.Unmarshal([]byte(e.Data.(string)), &m); err != nil {
		p.show(err.Error())
		return
	}
	switch m.Type {
	case "id":
		p.send(chatMessage{Type: "username", ID: m.ID, Name: p.name})
	case "username":
		p.show("<" + m.Name + " signed in>")
	case "rejectusername":
		p.name = m.Name
		p.show("<your name is " + m.Name + ", because the one you chose is in use>")
	case "userlist":
		p.show("users: " + strings.Join(m.Users, ", "))
		if p.says != "" {
			p.send(chatMessage{Type: "message", Text: p.says})
			p.says = ""
		}
	case "message":
		p.show(m.Name + ": " + m.Text)
		if p.leaves && m.Name == p.name {
			_ = p.ws.Close()
		}
	}
}

// The chat of "Writing WebSocket client applications", with a server: two who want the same name.
func Example_chat() {
	url, end := serving(&chatServer{conns: map[*engine.Conn]string{}}, engine.Options{})
	defer end()

	there := make(chan string, 100)
	first := join(url, &chatter{name: "Ann", says: "Hello from the first!", show: func(s string) { there <- s }})
	first.ws.Start()
	for s := range there {
		if s == "Ann: Hello from the first!" {
			break // its name is taken
		}
	}
	second := join(url, &chatter{name: "Ann", says: "Hello from the second!", leaves: true, show: func(s string) { fmt.Println(s) }})
	_ = second.ws.Run(context.Background())
	_ = first.ws.Close()
	// Output:
	// <your name is Ann1, because the one you chose is in use>
	// <Ann1 signed in>
	// users: Ann, Ann1
	// Ann1: Hello from the second!
}
