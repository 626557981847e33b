//go:build linux && !gannetdebug

package pool

func (r region) fence() {}

func (r region) remapElsewhere(uintptr) (region, bool) { return region{}, false }
