package engine

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	lookAgain     = time.Second            // at most so often the files are read
	lookPatience  = 100 * time.Millisecond // a handshake waits so long for them: a disk that hangs must not hold up those who connect
	warnAgain     = 24 * time.Hour         // an expiry is said so often
	expiresWithin = 14 * 24 * time.Hour    // and that much before it, or a fifth of the lifetime if that is less
)

// pemFiles is what files contain, as it was when it loaded last. Nothing watches them between two looks: the contents are read and
// compared, so that nothing depends on what a file system says of times, or tells of changes. They are small.
type pemFiles[T any] struct {
	what     string // for people
	paths    []string
	log      *slog.Logger
	parse    func(contents [][]byte) (T, validity, error)
	now      func() time.Time
	patience time.Duration

	looking sync.Mutex // held by who looks; the other handshakes take what there is
	due     time.Time  // of the next look; under looking
	current atomic.Pointer[loaded[T]]

	// Of the look alone, and so under looking as well.
	tried  [sha256.Size]byte // what was tried last, whether it loaded or not
	warned time.Time         // when the expiry was said last
	state  string            // what was said of it
}

type loaded[T any] struct {
	value T
	validity
}

// open says what to watch.
func (w *pemFiles[T]) open(what string, paths []string, log *slog.Logger, parse func([][]byte) (T, validity, error)) {
	if log == nil {
		log = slog.Default()
	}
	w.what, w.paths, w.log, w.parse, w.now, w.patience = what, paths, log, parse, time.Now, lookPatience
}

// load is the first look, which has to succeed.
func (w *pemFiles[T]) load() error {
	contents, err := w.read()
	if err != nil {
		return fmt.Errorf("gannet: %s: %w", w.what, err)
	}
	value, v, err := w.parse(contents)
	if err != nil {
		return fmt.Errorf("gannet: %s in %s: %w", w.what, w.named(), err)
	}
	w.tried, w.due = contentSum(contents, nil), w.now().Add(lookAgain)
	w.current.Store(&loaded[T]{value, v})
	w.warn(v)
	return nil
}

// newest is what has loaded, after a look at the files if one is due.
func (w *pemFiles[T]) newest() T {
	if w.looking.TryLock() {
		now := w.now()
		if now.Before(w.due) {
			w.looking.Unlock()
		} else {
			w.due = now.Add(lookAgain)
			w.lookAside()
		}
	}
	return w.current.Load().value
}

// lookAside looks in a goroutine of its own, and waits for it for so long.
func (w *pemFiles[T]) lookAside() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer w.looking.Unlock()
		w.look()
	}()
	late := time.NewTimer(w.patience)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
	}
}

// look reads the files, and takes what they contain if that is new and loads.
func (w *pemFiles[T]) look() {
	contents, err := w.read()
	sum := contentSum(contents, err)
	if sum == w.tried {
		w.warn(w.current.Load().validity)
		return
	}
	w.tried = sum
	var value T
	var v validity
	if err == nil {
		value, v, err = w.parse(contents)
	}
	if err != nil {
		w.log.Error("gannet: a new "+w.what+" does not load", "files", w.named(), "err", err,
			"todo", "the old one stays in use, and the files are tried again when they change; put right what err says")
		return
	}
	w.current.Store(&loaded[T]{value, v})
	w.log.Info("gannet: a new "+w.what+" is in use", append([]any{"files", w.named()}, v.attrs()...)...)
	w.warned, w.state = time.Time{}, ""
	w.warn(v)
}

func (w *pemFiles[T]) read() ([][]byte, error) {
	var contents [][]byte
	for _, path := range w.paths {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err // which names the path
		}
		contents = append(contents, b)
	}
	return contents, nil
}

func (w *pemFiles[T]) named() string { return strings.Join(w.paths, ", ") }

// contentSum tells contents, or the reason why there are none, from others.
func contentSum(contents [][]byte, err error) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, b := range contents {
		fmt.Fprintf(h, "%d:", len(b))
		h.Write(b)
	}
	if err != nil {
		fmt.Fprintf(h, "error:%v", err)
	}
	h.Sum(sum[:0])
	return sum
}

// validity is the time for which a certificate is one.
type validity struct {
	name                string
	notBefore, notAfter time.Time
}

func validityOf(c *x509.Certificate) validity {
	name := c.Subject.CommonName
	if len(c.DNSNames) > 0 {
		name = c.DNSNames[0]
	}
	return validity{name, c.NotBefore, c.NotAfter}
}

func (v *validity) attrs() []any { return []any{"name", v.name, "notAfter", v.notAfter} }

// state says what is wrong with the time: "" if nothing is.
func (v *validity) state(now time.Time) string {
	switch {
	case now.After(v.notAfter):
		return "has expired"
	case now.Before(v.notBefore):
		return "is not valid yet"
	case v.notAfter.Sub(now) < min(expiresWithin, v.notAfter.Sub(v.notBefore)/5):
		return "expires soon"
	}
	return ""
}

// warn says what is wrong with the time, when that changes and then once a day.
func (w *pemFiles[T]) warn(v validity) {
	now := w.now()
	state := v.state(now)
	if state == "" || state == w.state && now.Sub(w.warned) < warnAgain {
		return
	}
	w.state, w.warned = state, now
	todo := "renew it and replace the files: the server takes the new one without a restart"
	if state == "is not valid yet" {
		todo = "compare this machine's clock with notBefore"
	}
	w.log.Warn("gannet: the "+w.what+" "+state, append([]any{"files", w.named(), "notBefore", v.notBefore, "todo", todo}, v.attrs()...)...)
}
