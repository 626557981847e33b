package codec_test

import (
	"errors"
	"fmt"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/mask"
)

// A connection's loop: what is left of a header is presented again in front of the next bytes.
func ExampleDecoder_Next() {
	key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	wire := codec.AppendMaskedFrame(nil, codec.OpText, true, false, key, []byte("Hello"))
	wire = codec.AppendMaskedFrame(wire, codec.OpPing, true, false, key, nil)

	var d codec.Decoder
	d.Reset(codec.RoleServer, false)
	var buf []byte
	for _, read := range [][]byte{wire[:3], wire[3:8], wire[8:]} {
		buf = append(buf, read...)
		for {
			var p codec.Piece
			n, err := d.Next(buf, &p)
			if err != nil {
				fmt.Println("fails:", err)
				return
			}
			if n == 0 {
				break
			}
			fmt.Printf("opcode %d, first %v, last %v: %q of %d bytes\n", p.Opcode, p.First, p.Last, p.Payload, p.Length)
			buf = buf[n:]
		}
		fmt.Printf("%d bytes kept, %d of the frame to come\n", len(buf), d.Remaining())
	}
	// Output:
	// 3 bytes kept, 0 of the frame to come
	// opcode 1, first true, last false: "He" of 5 bytes
	// 0 bytes kept, 3 of the frame to come
	// opcode 1, first false, last true: "llo" of 5 bytes
	// opcode 9, first true, last true: "" of 0 bytes
	// 0 bytes kept, 0 of the frame to come
}

// A payload that has to be moved is unmasked on the way.
func ExampleDecoder_NextMasked() {
	wire := codec.AppendMaskedFrame(nil, codec.OpBinary, true, false, [4]byte{1, 2, 3, 4}, []byte("moved once"))

	var d codec.Decoder
	d.Reset(codec.RoleServer, false)
	var p codec.Piece
	if _, err := d.NextMasked(wire, &p); err != nil {
		fmt.Println(err)
		return
	}
	message := make([]byte, p.Length)
	mask.Copy(message, p.Payload, p.Key)
	fmt.Printf("%s\n", message)
	// Output: moved once
}

// Every error says what the peer is owed and which rule it broke.
func ExampleError() {
	var d codec.Decoder
	d.Reset(codec.RoleServer, false)
	var p codec.Piece
	_, err := d.Next([]byte{0x81, 0x05, 'H', 'e', 'l', 'l', 'o'}, &p)

	var e codec.Error
	if errors.As(err, &e) {
		fmt.Printf("close with %d (%s): %v\n", e.Code(), e.Rule(), e)
	}
	fmt.Println(errors.Is(err, codec.ErrNotMasked))
	// Output:
	// close with 1002 (RFC 6455 5.1): codec: frame from a client is not masked
	// true
}

// A payload of unknown size is produced first, and its header put in front of it.
func ExamplePutHeaderBefore() {
	buf := make([]byte, codec.MaxHeaderSize, 64)
	buf = fmt.Appendf(buf, "pi is %.4f", 3.14159265)

	n := len(buf) - codec.MaxHeaderSize
	start := codec.PutHeaderBefore(buf, codec.MaxHeaderSize, codec.OpText, true, false, uint64(n))
	fmt.Printf("%q\n", buf[start:])
	// Output: "\x81\fpi is 3.1416"
}

func ExampleAppendCloseBody() {
	code, reason := 4001, "see you"
	if err := codec.CheckSendCode(code, codec.RoleClient); err != nil {
		fmt.Println(err)
		return
	}
	if err := codec.CheckSendReason(reason); err != nil {
		fmt.Println(err)
		return
	}
	body := codec.AppendCloseBody(nil, code, reason)

	got, err := codec.ParseClose(body)
	fmt.Println(got.Code, got.Reason, err)
	fmt.Println(codec.CheckSendCode(1001, codec.RoleClient))
	fmt.Println(codec.CheckSendCode(66536, codec.RoleServer))
	// Output:
	// 4001 see you <nil>
	// codec: close code not allowed here
	// codec: close code not allowed here
}

// Legality is a question one can ask without a decoder.
func ExampleCheckHeader() {
	h := codec.Header{OpCode: codec.OpText, Fin: true, Masked: true}
	fmt.Println(codec.CheckHeader(h, 0))
	fmt.Println(codec.CheckHeader(h, codec.StateInMessage))
	// Output:
	// <nil>
	// codec: new message inside a fragmented one
}
