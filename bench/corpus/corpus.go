// Package corpus makes the messages that compression is measured and tested with: alike on every run and machine. It is
// for this repository only and promises nothing to anybody else.
package corpus

import "math/rand/v2"

// A Corpus is messages of one kind and about one size, as one connection would send them one after the other.
type Corpus struct {
	Name     string
	Messages [][]byte
	// Zlib6 is what zlib's level 6 makes of them.
	Zlib6 Sizes
}

// Sizes are mean bytes for a message, the second half of a corpus counted: there is a history by then.
type Sizes struct {
	Takeover float64 // each message may refer to those before it
	Alone    float64 // each message is compressed by itself
}

// All makes every corpus anew. The caller owns the messages.
func All() []Corpus {
	return []Corpus{
		build("tick 100 B", 100, 256, 1, Tick),
		build("json 300 B", 300, 128, 2, Orders),
		build("json 1 KiB", 1<<10, 128, 3, Orders),
		build("json 16 KiB", 16<<10, 24, 4, Orders),
		build("html 4 KiB", 4<<10, 48, 5, Page),
		build("html 64 KiB", 64<<10, 8, 6, Page),
		build("random 1 KiB", 1<<10, 32, 7, Random),
	}
}

// Named makes one corpus. It panics if there is none of that name.
func Named(name string) Corpus {
	for _, c := range All() {
		if c.Name == name {
			return c
		}
	}
	panic("corpus: no corpus of that name")
}

// PlainSize is the mean length of a message in bytes.
func (c Corpus) PlainSize() int {
	n := 0
	for _, m := range c.Messages {
		n += len(m)
	}
	return n / len(c.Messages)
}

func build(name string, size, count int, seed uint64, of func(*rand.Rand, int) []byte) Corpus {
	c := Corpus{Name: name, Zlib6: zlib6()[name].Sizes}
	r := rand.New(rand.NewPCG(seed, 42))
	for range count {
		c.Messages = append(c.Messages, of(r, size))
	}
	return c
}
