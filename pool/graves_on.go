//go:build gannetdebug

package pool

import (
	"bytes"
	"strconv"

	"github.com/valyala/bytebufferpool"
)

const (
	msgWritten = "pool: a buffer was written after its last release"

	poisonByte = 0xDB

	// gravesPerClass is how many released memories of a class are set aside, to be
	// inspected before they are used again: 16 of each class are 32 MiB in all.
	gravesPerClass = 16
)

var poisoned = bytes.Repeat([]byte{poisonByte}, 4096)

// poison overwrites released memory.
func poison(mem []byte) {
	for len(mem) > 0 {
		mem = mem[copy(mem, poisoned):]
	}
}

// grave is released memory, and who held it.
type grave struct {
	memory *bytebufferpool.ByteBuffer
	holder bufferRecord
}

// graves are the released memories by class, the oldest first. watchLock guards them.
var graves [classCount][]grave

// bury poisons the memory m that b gives up, by its release or by growing, and
// sets it aside for as long as the class's graves last.
func bury(class uint8, m *bytebufferpool.ByteBuffer, b *Buffer) {
	watchLock.Lock()
	defer watchLock.Unlock()
	poison(m.B)
	g := grave{memory: m, holder: b.record}
	g.holder.dropped.record()
	graves[class] = append(graves[class], g)
	if len(graves[class]) > gravesPerClass {
		putMemory(class, openOldestLocked(class))
	}
}

// exhume returns the memory of a class that was released longest ago, or nil.
func exhume(class uint8) *bytebufferpool.ByteBuffer {
	watchLock.Lock()
	defer watchLock.Unlock()
	if len(graves[class]) == 0 {
		return nil
	}
	return openOldestLocked(class)
}

func openOldestLocked(class uint8) *bytebufferpool.ByteBuffer {
	g := graves[class][0]
	graves[class] = graves[class][1:]
	g.inspect()
	return g.memory
}

// inspectGravesLocked looks through all graves. One that was written to is
// removed before the panic, so that it is reported once.
func inspectGravesLocked() {
	for class := range graves {
		for i := 0; i < len(graves[class]); i++ {
			g := graves[class][i]
			if g.writtenAt() < 0 {
				continue
			}
			graves[class] = append(graves[class][:i:i], graves[class][i+1:]...)
			g.inspect()
		}
	}
}

// inspect panics if somebody wrote to the memory since it was released.
func (g *grave) inspect() {
	if at := g.writtenAt(); at >= 0 {
		panic(msgWritten + ", at offset " + strconv.Itoa(at) + "\n\n" + g.holder.String())
	}
}

// writtenAt is the offset of the first byte that is not poison, or -1.
func (g *grave) writtenAt() int {
	mem := g.memory.B
	for at := 0; at < len(mem); at += len(poisoned) {
		block := mem[at:min(at+len(poisoned), len(mem))]
		if bytes.Equal(block, poisoned[:len(block)]) {
			continue
		}
		for i, c := range block {
			if c != poisonByte {
				return at + i
			}
		}
	}
	return -1
}
