package engine

import "sync"

// task is a letter to a loop: serve conn's todo, or run something.
type task struct {
	conn *Conn
	run  func(*Conn)
	call func()
}

// mailbox is a loop's one FIFO, with many producers.
type mailbox struct {
	mu     sync.Mutex
	tasks  []task
	closed bool
}

func (m *mailbox) put(t task) (ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.tasks = append(m.tasks, t)
	return true
}

// take returns what there is, in exchange for an empty slice to go on with.
func (m *mailbox) take(empty []task) []task {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.tasks
	m.tasks = empty
	return all
}

// closeEmpty closes the mailbox unless there is something in it.
func (m *mailbox) closeEmpty() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = len(m.tasks) == 0
	return m.closed
}

// post leaves a letter and wakes the loop. Any goroutine. It reports false once the loop has ended.
func (l *loop) post(t task) bool {
	if !l.mailbox.put(t) {
		return false
	}
	l.sys.Wake()
	return true
}

// mail is what the loop has taken out of its mailbox.
type mail struct {
	letters []task // letters[opened:] are not served yet
	opened  int
	early   bool // they were taken in an earlier step: what came meanwhile is served in this one, too
}

// begin takes what has come. A wake was for that, so it is not left for another.
func (m *mail) begin(l *loop) bool {
	if m.early = m.left(); !m.early {
		m.take(l)
	}
	return m.left()
}

func (m *mail) take(l *loop) { m.letters, m.opened = l.mailbox.take(shrunk(m.letters)), 0 }

func (m *mail) left() bool { return m.opened < len(m.letters) }

func (m *mail) unit(l *loop) bool {
	t := m.letters[m.opened]
	m.letters[m.opened] = task{}
	if m.opened++; !m.left() {
		m.letters, m.opened = shrunk(m.letters), 0
	}
	l.serveTask(t)
	if m.early && !m.left() {
		m.early = false
		m.take(l)
	}
	return m.left()
}

func (l *loop) serveTask(t task) {
	switch {
	case t.conn == nil:
		t.call()
	case t.run != nil:
		t.conn.callPosted(t.run)
	default:
		t.conn.serve()
	}
}

// serveMail serves all that has come, of a loop that ends.
func (l *loop) serveMail() {
	for l.mail.begin(l) {
		for l.mail.unit(l) {
			l.stepped()
		}
	}
}
