package handshake

// CheckUpgrade decides whether a parsed request is a legal opening handshake (RFC 6455 4.2.1).
// It returns nil or a *Refusal. A request that IsHandshake is not true of is refused with 426; a
// server that has something else to answer to it does not ask.
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
		return r.withoutUpgrade()
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
	if r.seen.repeated(seenOrigin) {
		return errManyOrigins // RFC 6454 7.3: one, so that nobody reads another than we do
	}
	if r.manyProtocols {
		return errTooManyProtocols
	}
	return nil
}

// withoutUpgrade tells a request that is none of ours from a handshake that has lost, to a proxy, the fields
// that are for one hop only (RFC 9110 7.6.1).
func (r *Request) withoutUpgrade() *Refusal {
	switch {
	case !r.IsHandshake():
		return errNotUpgrade
	case r.upgradeNames:
		return errNoConnection
	case r.connectionAsks:
		return errNoUpgrade
	}
	return errStripped
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
