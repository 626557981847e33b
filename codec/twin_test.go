package codec

// twin is the decoder as one would write it to be sure of it: it takes one byte at a time, keeps the header as it came,
// and decides by a list of what may arrive. It shares no code with the decoder that it judges.
type twin struct {
	client, deflate bool

	inMessage bool
	header    []byte  // of the frame being read; empty between frames
	left      uint64  // payload still to come
	frames    []frame // the last one may be unfinished
	failedAt  int     // offset of the first byte of the frame that failed; -1 if none did
	lengthErr Error   // which rule about lengths was broken, if it was one of those
	offset    int
}

// frame is what both decoders should have understood.
type frame struct {
	op        Opcode
	fin, rsv1 bool
	length    uint64
	payload   []byte // plain
}

func newTwin(client, deflate bool) *twin {
	return &twin{client: client, deflate: deflate, failedAt: -1}
}

func (t *twin) feed(c byte) {
	if t.failedAt >= 0 {
		return
	}
	t.offset++
	if t.left > 0 {
		t.payload(c)
		return
	}
	t.header = append(t.header, c)
	t.parse()
}

func (t *twin) payload(c byte) {
	f := &t.frames[len(t.frames)-1]
	if t.header[1] >= 128 {
		key := t.header[len(t.header)-4:]
		c ^= key[len(f.payload)%4]
	}
	f.payload = append(f.payload, c)
	t.left--
	t.endFrame()
}

func (t *twin) parse() {
	if len(t.header) < 2 {
		return
	}
	b0, b1 := t.header[0], t.header[1]
	length, size := uint64(b1%128), 2
	if !t.allows(b0, b1) {
		t.fail(0)
		return
	}
	switch length {
	case 126:
		size = 4
	case 127:
		size = 10
	}
	if len(t.header) < size {
		return
	}
	if size > 2 {
		length = 0
		for _, c := range t.header[2:size] {
			length = length*256 + uint64(c)
		}
	}
	switch {
	case length >= 1<<63:
		t.fail(ErrLengthRange)
		return
	case size == 4 && length < 126, size == 10 && length < 65536:
		t.fail(ErrLengthNotMinimal)
		return
	}
	if b1 >= 128 {
		size += 4
	}
	if len(t.header) < size {
		return
	}
	t.frames = append(t.frames, frame{op: Opcode(b0 % 16), fin: b0 >= 128, rsv1: b0&64 != 0, length: length})
	if b0%16 < 8 {
		t.inMessage = b0 < 128
	}
	t.left = length
	t.endFrame()
}

func (t *twin) allows(b0, b1 byte) bool {
	c := headerCase{
		op: b0 % 16, fin: b0 >= 128, rsv: b0 / 16 % 8,
		masked: b1 >= 128, client: t.client, inMessage: t.inMessage, deflated: t.deflate,
	}
	return c.mayArrive() && (c.op < 8 || b1%128 <= 125)
}

func (t *twin) endFrame() {
	if t.left == 0 {
		t.header = t.header[:0]
	}
}

func (t *twin) fail(e Error) {
	t.failedAt = t.offset - len(t.header)
	t.lengthErr = e
}
