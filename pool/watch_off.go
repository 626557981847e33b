//go:build !gannetdebug

package pool

import "github.com/valyala/bytebufferpool"

// watching says whether this build has the tag gannetdebug. It is a constant, so
// that the ordinary build contains none of what follows it.
const watching = false

type (
	poolWatch    struct{}
	bufferRecord struct{}
)

func (*poolWatch) leaks() []Leak             { return nil }
func (*bufferRecord) misused(message string) { panic(message) }

func (b *Buffer) watchTaken()         {}
func (b *Buffer) watchGrown()         {}
func (b *Buffer) watchRetained()      {}
func (b *Buffer) watchReleased(*Pool) {}

func poison([]byte)                                   {}
func bury(uint8, *bytebufferpool.ByteBuffer, *Buffer) {}
func exhume(uint8) *bytebufferpool.ByteBuffer         { return nil }
