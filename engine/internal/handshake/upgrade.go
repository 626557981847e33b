package handshake

// CheckUpgrade decides whether a parsed request is a legal opening handshake (RFC 6455 4.2.1).
// It returns nil or a *Refusal. A request whose Upgrade is false is refused with 426; a server
// that has something else to answer to it does not ask.
//
// What it leaves to the caller: whether the Origin is acceptable, which sub-protocol to choose,
// and the extensions.
func CheckUpgrade(r *Request) error {
	if refused := r.checkUpgrade(); refused != nil {
		return refused
	}
	return nil
}

func (r *Request) checkUpgrade() *Refusal {
	switch {
	case !r.Upgrade:
		return errNotUpgrade
	case string(r.Method) != "GET":
		return errNotGet
	case r.minorVersionZero:
		return errHTTP10
	case r.seen.repeated(seenVersion):
		return errManyVersions // RFC 6455 11.3.5
	case string(r.version) != "13":
		return errVersion // also when there is none: the Hixie drafts had no such field
	case len(r.Host) == 0:
		return errNoHost
	case r.HasBody:
		return errBody
	}
	if refused := r.checkKey(); refused != nil {
		return refused
	}
	if refused := r.checkOrigin(); refused != nil {
		return refused
	}
	return r.checkProtocols()
}

func (r *Request) checkKey() *Refusal {
	switch {
	case r.seen&seenKey == 0:
		return errNoKey
	case r.seen.repeated(seenKey):
		return errManyKeys // RFC 6455 11.3.1
	case !validKey(r.Key):
		return errKey
	}
	return nil
}

// checkOrigin refuses what an origin policy could be misled by. RFC 6454 7.3 allows one Origin;
// browsers send "null", never nothing, for an origin that they will not name.
func (r *Request) checkOrigin() *Refusal {
	switch {
	case r.seen.repeated(seenOrigin):
		return errManyOrigins
	case r.seen&seenOrigin != 0 && len(r.Origin) == 0:
		return errOrigin
	}
	return nil
}

func (r *Request) checkProtocols() *Refusal {
	if r.protocolFault != nil {
		return r.protocolFault
	}
	if r.listsProtocols && len(r.Protocols) == 0 {
		return errProtocols // RFC 9110 5.6.1.2: 1#token is not met by empty elements alone
	}
	return nil
}
