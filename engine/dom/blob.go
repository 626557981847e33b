package dom

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"

	"github.com/gannet-ws/gannet/pool"
)

// Blob is immutable bytes (File API), of a message or of NewBlob, in the pieces in which they came: a long one is never one block
// of memory. It can be read any number of times, from any goroutine.
//
// Release gives its memory back for other messages. Without it the garbage collector does, later. After Release
// all that reads answers ErrInvalidState; what was read before, and what is being read just then, is not touched.
type Blob struct {
	size int64
	from int64 // in content

	mu      sync.Mutex
	content *content // nil: released
	cleanup runtime.Cleanup
}

// NewBlob makes a Blob of copies of the parts, one after the other.
func NewBlob(parts ...[]byte) *Blob {
	c := newContent()
	for _, p := range parts {
		c.append(p)
	}
	return newBlob(c, 0, c.size)
}

// blobOver is a Blob that takes over p.
func blobOver(p []byte) *Blob {
	c := newContent()
	c.size, c.memory, c.pieces = int64(len(p)), int64(cap(p)), []piece{{b: p}}
	return newBlob(c, 0, c.size)
}

// newBlob takes over a reference to c.
func newBlob(c *content, from, to int64) *Blob {
	b := &Blob{size: to - from, from: from, content: c}
	if c.pooled() {
		b.cleanup = runtime.AddCleanup(b, (*content).release, c)
	}
	return b
}

// Size is how many bytes it has, also after Release.
func (b *Blob) Size() int64 { return b.size }

// String is for logs: it says the size.
func (b *Blob) String() string { return fmt.Sprintf("Blob of %d bytes", b.size) }

// errReleased is ErrInvalidState.
var errReleased = fmt.Errorf("%w: the Blob was released", ErrInvalidState)

// hold is the content, with a reference for the caller.
func (b *Blob) hold() (*content, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.content == nil {
		return nil, errReleased
	}
	b.content.refs.Add(1)
	return b.content, nil
}

// Release gives up the Blob's memory. The second time it does nothing.
func (b *Blob) Release() {
	b.mu.Lock()
	c := b.content
	b.content = nil
	b.mu.Unlock()
	if c != nil {
		b.cleanup.Stop()
		runtime.KeepAlive(b) // Stop has an effect as long as b is there
		c.release()
	}
}

// Slice is the part from start to before end, without a copy; it has a Release of its own. As in a browser a negative number counts
// from the end, and one beyond an end is that end. The slice of a released Blob is released.
func (b *Blob) Slice(start, end int64) *Blob {
	start, end = b.within(start), b.within(end)
	end = max(start, end)
	c, err := b.hold()
	if err != nil {
		return &Blob{size: end - start}
	}
	return newBlob(c, b.from+start, b.from+end)
}

func (b *Blob) within(at int64) int64 {
	if at < 0 {
		return max(b.size+at, 0)
	}
	return min(at, b.size)
}

// ReadAt is io.ReaderAt's.
func (b *Blob) ReadAt(p []byte, at int64) (n int, err error) {
	if at < 0 {
		return 0, misused("Blob.ReadAt: the offset is %d", at)
	}
	c, err := b.hold()
	if err != nil {
		return 0, err
	}
	defer c.release()
	if at >= b.size {
		return 0, io.EOF
	}
	_ = c.each(b.from+at, b.from+min(b.size, at+int64(len(p))), func(part []byte) error {
		n += copy(p[n:], part)
		return nil
	})
	if n < len(p) {
		err = io.EOF
	}
	return n, err
}

// NewReader reads the Blob from its start. Each reader has a place of its own.
func (b *Blob) NewReader() *io.SectionReader { return io.NewSectionReader(b, 0, b.size) }

// WriteTo writes the Blob's bytes to w, a piece at a time.
func (b *Blob) WriteTo(w io.Writer) (n int64, err error) {
	c, err := b.hold()
	if err != nil {
		return 0, err
	}
	defer c.release()
	err = c.each(b.from, b.from+b.size, func(part []byte) error {
		written, err := w.Write(part)
		n += int64(written)
		if err == nil && written < len(part) {
			err = io.ErrShortWrite
		}
		return err
	})
	return n, err
}

// Bytes is a copy in one block (Blob.arrayBuffer).
func (b *Blob) Bytes() ([]byte, error) {
	c, err := b.hold()
	if err != nil {
		return nil, err
	}
	defer c.release()
	return c.bytes(b.from, b.from+b.size), nil
}

// Text is the bytes as text, with U+FFFD for what is not UTF-8, and without a byte-order mark at its start (Blob.text).
func (b *Blob) Text() (string, error) {
	c, err := b.hold()
	if err != nil {
		return "", err
	}
	defer c.release()
	return toUnicode(strings.TrimPrefix(c.text(b.from, b.from+b.size), "\uFEFF")), nil
}

// buffer is the Blob's bytes in one block for the engine, which takes over the reference: a piece's own, if the Blob is that piece.
func (b *Blob) buffer() (*pool.Buffer, error) {
	c, err := b.hold()
	if err != nil {
		return nil, err
	}
	defer c.release()
	if len(c.pieces) == 1 && c.pooled() && c.size == b.size {
		buf := c.pieces[0].buf
		buf.Retain()
		return buf, nil
	}
	buf := pool.Get(int(b.size))
	_ = c.each(b.from, b.from+b.size, func(part []byte) error {
		buf.B = append(buf.B, part...)
		return nil
	})
	return buf, nil
}
