package weburl

import "strings"

// mostShown is how much of a URL stands in an error.
const mostShown = 200

// Shown is a URL for an error: without user information, of which not even a URL that can not be parsed gives any away.
func Shown(address string) string {
	if at := strings.LastIndexByte(address, '@'); at >= 0 {
		scheme, _, _ := strings.Cut(address[:at], ":")
		if strings.ContainsAny(scheme, "/@") || len(scheme) > 10 {
			scheme = ""
		}
		address = scheme + ":..." + address[at:]
	}
	if len(address) > mostShown {
		address = address[:mostShown] + "..."
	}
	return address
}
