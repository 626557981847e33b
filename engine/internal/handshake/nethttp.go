package handshake

import (
	"bytes"
	"net/http"
)

// FromHTTP turns a request that a net/http server has read into a Request, so that both doors
// into the engine are kept by the same limits and the same CheckUpgrade. The head is written out
// again and parsed: fields come sorted by name, Host first. It is as long as it was, but for white
// space and for what net/http or a handler has added or removed. The error is a *Refusal. The
// Request holds memory of its own and nothing of hr.
func FromHTTP(hr *http.Request, l Limits) (*Request, error) {
	target := hr.RequestURI
	if target == "" {
		target = hr.URL.RequestURI()
	}
	var head bytes.Buffer
	for _, s := range [...]string{hr.Method, " ", target, " ", hr.Proto, "\r\n"} {
		head.WriteString(s)
	}
	if hr.Host != "" {
		head.WriteString("Host: " + hr.Host + "\r\n")
	}
	// net/http has moved Host and Transfer-Encoding out of Header. Writing to memory cannot fail.
	_ = hr.Header.WriteSubset(&head, map[string]bool{"Host": true})
	head.WriteString("\r\n")

	r := new(Request)
	n, err := new(Parser).Parse(head.Bytes(), r, l)
	if err != nil {
		return nil, err
	}
	if n != head.Len() {
		return nil, errFieldValue // an empty line inside what should have been one field
	}
	r.HasBody = r.HasBody || hr.ContentLength != 0 // -1 if there was a Transfer-Encoding
	return r, nil
}
