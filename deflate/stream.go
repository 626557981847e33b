package deflate

// Begin starts a message that is written in parts: one that is too long for one turn, or that is not known as a whole
// yet (fragments). It is compressed, whatever becomes of it: what does not shrink grows by 5 bytes for each 64 KiB. Its
// first frame carries RSV1 and no other does (RFC 7692 6.1). Write and End follow; Compress and Sent do not until then.
func (s *Sender) Begin() {
	if s.streaming {
		panic(msgStreaming)
	}
	s.streaming = true
	if s.ownsEncoder() {
		return
	}
	// The length is not known, so it has to be an encoder that keeps to the window.
	s.encoder = takeEncoder(s.extension.kindFor(1<<maxWindowBits, s.windowBits), s.lane)
	s.encoder.begin(nil, 0, s.dictionary(1<<maxWindowBits))
}

// Write appends to dst what the message's next part p makes ready to be sent, and returns it. That may be nothing: the
// compressor waits for 64 KiB. With flush everything written so far is made ready, so that the peer can inflate it,
// for 5 bytes or so more.
func (s *Sender) Write(dst, p []byte, flush bool) []byte {
	e := s.part(dst)
	e.write(p)
	s.rememberPart(p)
	out := e.sink.to
	if flush {
		out, _ = e.flush()
	}
	e.sink.to = nil
	return out
}

// End appends the rest of the message to dst and returns it: the payload of the frame with FIN.
func (s *Sender) End(dst []byte) []byte {
	e := s.part(dst)
	out, _ := e.flush()
	e.sink.to = nil
	s.streaming = false
	if !s.ownsEncoder() {
		e.release()
		s.encoder = nil
	}
	return cutTail(out)
}

// Streaming reports whether a message is between Begin and End.
func (s *Sender) Streaming() bool { return s.streaming }

func (s *Sender) part(dst []byte) *encoder {
	switch {
	case !s.streaming:
		panic(msgIdle)
	case s.ownsEncoder():
		return s.own(dst)
	}
	s.encoder.redirect(dst)
	return s.encoder
}

func (s *Sender) rememberPart(p []byte) {
	if s.takeover && !s.ownsEncoder() && len(p) > 0 {
		s.remember(p)
	}
}
