package engine

import (
	"fmt"
	"reflect"
	"strings"
)

// What a handler has by embedding. Go promotes methods silently, and silently does not: from a
// value whose methods want a pointer, from two types at a time, from behind an interface. An
// OnUpgrade that is lost so is an authorisation that is skipped. So the tree of what a handler
// embeds is searched by Go's rule (the shallowest wins, two at the same depth cancel each other)
// for everything that looks like a hook, and where that finds what is not called, NewServer
// says so. The functions of a Funcs count as its methods.

// place is a type in the tree of what a handler embeds.
type place struct {
	t       reflect.Type  // no pointer
	v       reflect.Value // invalid behind a nil pointer
	path    string        // as an error names it
	pointed bool          // methods with pointer receivers can be called
	above   *place
}

// giver is a place that has a hook, or something of its name.
type giver struct {
	at     *place
	depth  int
	kind   hookKind
	manner manner
	method reflect.Method
	inner  *giver // behind an interface
}

// manner is how a place has a hook.
type manner uint8

const (
	byMethod    manner = iota // declared by the type
	byInterface               // of an embedded interface
	byFuncs                   // a function of a Funcs
	byField                   // a field of the hook's name: it hides deeper ones, and nobody calls it
	byStranger                // the dynamic value behind an embedded interface has it, the interface does not
)

func (g *giver) isField() bool { return g.manner == byFuncs }

// name is what the place has, as an error says it.
func (g *giver) name() string {
	switch g.manner {
	case byFuncs:
		return hookSpecs[g.kind].field + " (" + g.kind.String() + ")"
	case byField:
		return "a field " + g.kind.String()
	}
	return g.kind.String()
}

// innermost is who has it, behind however many interfaces.
func (g *giver) innermost() *giver {
	for g.inner != nil {
		g = g.inner
	}
	return g
}

// mostDeep is far deeper than anybody embeds; what embeds itself gets there.
const mostDeep = 50

// examine finds the handler's hooks: nil for those that it does not have.
func examine(h reflect.Value) (*[hookKinds]*giver, error) {
	root, err := rootOf(h)
	if err != nil {
		return nil, err
	}
	found := new([hookKinds]*giver)
	level := []*place{root}
	for depth := 0; len(level) > 0; depth++ {
		if depth > mostDeep {
			return nil, handlerError("%s embeds itself, or goes more than %d levels deep", root.path, mostDeep)
		}
		for k := range hookKinds {
			if found[k] != nil && found[k].manner != byField {
				continue
			}
			g, err := foundAt(k, level, depth)
			if err == nil {
				found[k], err = shallower(found[k], g)
			}
			if err != nil {
				return nil, err
			}
		}
		if level, err = embeddedIn(level); err != nil {
			return nil, err
		}
	}
	for k, g := range found {
		if err := g.usable(); err != nil {
			return nil, err
		}
		if g != nil && g.manner == byField {
			found[k] = nil
		}
	}
	return found, nil
}

// shallower is what Go takes of two finds at two depths, the first of which may be none.
func shallower(g, deeper *giver) (*giver, error) {
	switch {
	case g == nil:
		return deeper, nil
	case g.manner == byField && deeper != nil:
		return nil, handlerError("%s has %s, which hides %s of %s: rename the field", g.at.path, g.name(), deeper.name(), deeper.at.path)
	}
	return g, nil
}

// rootOf is the handler itself.
func rootOf(h reflect.Value) (*place, error) {
	p := &place{t: h.Type(), v: h, path: typeName(h.Type())}
	switch h.Kind() {
	case reflect.Pointer:
		if h.IsNil() {
			return nil, handlerError("the Handler is a nil %s", h.Type())
		}
		p.t, p.v, p.pointed = h.Type().Elem(), h.Elem(), true
	case reflect.Func:
		if h.IsNil() {
			return nil, handlerError("the Handler is a nil %s", h.Type())
		}
	}
	return p, nil
}

// typeName names a type as the user wrote it.
func typeName(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Name() == "" {
		return "the struct"
	}
	return t.String()
}

// foundAt is who has the hook at one depth: nil if nobody has, an error if several have.
func foundAt(k hookKind, level []*place, depth int) (*giver, error) {
	var g *giver
	for _, p := range level {
		next := p.gives(k)
		if next == nil {
			continue
		}
		next.depth, next.kind = depth, k
		if g != nil {
			return nil, handlerError("%s has %s, and so has %s: Go calls neither; give the handler its own %s, which calls what is meant",
				g.at.path, g.name(), next.at.path, k)
		}
		g = next
	}
	return g, nil
}

// gives is how the place has the hook; nil if it has not.
func (p *place) gives(k hookKind) *giver {
	spec := hookSpecs[k]
	if p.t.Kind() == reflect.Interface {
		if m, ok := k.methodOf(p.t); ok {
			return &giver{at: p, manner: byInterface, method: m}
		}
		return p.hides(k)
	}
	if m, ok := k.declares(p.t); ok {
		return &giver{at: p, manner: byMethod, method: m}
	}
	if isFuncs(p.t) && k >= hookUpgrade && p.v.IsValid() && !p.v.FieldByName(spec.field).IsNil() {
		return &giver{at: p, manner: byFuncs}
	}
	if p.t.Kind() == reflect.Struct {
		for i := range p.t.NumField() {
			if f := p.t.Field(i); f.Name == spec.method && !f.Anonymous {
				return &giver{at: p, manner: byField}
			}
		}
	}
	return nil
}

// hides is what the value behind an embedded interface has and the interface does not say. Only
// optional hooks: the others the compiler asks for.
func (p *place) hides(k hookKind) *giver {
	if k < hookUpgrade || !p.v.IsValid() || p.v.IsNil() || p.depth() > mostDeep {
		return nil
	}
	root, err := rootOf(p.v.Elem())
	if err != nil {
		return nil // a nil pointer: whatever is called of it says so itself
	}
	root.above = p
	level := []*place{root}
	for len(level) > 0 && level[0].depth() <= mostDeep {
		for _, q := range level {
			if g := q.gives(k); g != nil && g.missed(k, p.t) {
				g.kind = k
				return &giver{at: p, manner: byStranger, inner: g}
			}
		}
		if level, err = embeddedIn(level); err != nil {
			return nil
		}
	}
	return nil
}

// missed tells whether somebody would expect the hook to be called, though it is behind an
// interface: not what merely has its name, unless the interface is a handler's.
func (g *giver) missed(k hookKind, behind reflect.Type) bool {
	switch {
	case g.manner == byField:
		return false
	case g.manner == byMethod && !k.fits(g.method, 1):
		return behind.Implements(handlerType)
	}
	return true
}

func (p *place) depth() (n int) {
	for ; p != nil; p = p.above {
		n++
	}
	return n
}

// embeddedIn is the next level: what the places of this one embed.
func embeddedIn(level []*place) (next []*place, err error) {
	for _, p := range level {
		if p.t.Kind() != reflect.Struct {
			continue
		}
		for i := range p.t.NumField() {
			if f := p.t.Field(i); f.Anonymous {
				q := p.embedded(f, i)
				if q.t == funcsType && !q.v.IsValid() {
					return nil, handlerError("%s is nil: set it before the server is made, when the functions are read", q.nilAbove())
				}
				if !q.cycles() {
					next = append(next, q)
				}
			}
		}
	}
	return next, nil
}

func (p *place) embedded(f reflect.StructField, i int) *place {
	q := &place{t: f.Type, pointed: p.pointed, path: p.path + "." + f.Name, above: p}
	if p.v.IsValid() {
		q.v = p.v.Field(i)
	}
	if f.Type.Kind() == reflect.Pointer {
		q.t, q.pointed = f.Type.Elem(), true
		if q.v.IsValid() {
			q.v = q.v.Elem() // invalid for a nil pointer
		}
	}
	return q
}

// cycles tells whether the place lies in itself: a nil *T in a T, or a pointer back to where it came from.
func (p *place) cycles() bool {
	for up := p.above; up != nil; up = up.above {
		if up.t == p.t && (!p.v.IsValid() || p.v.CanAddr() && up.v.CanAddr() && p.v.Addr().UnsafePointer() == up.v.Addr().UnsafePointer()) {
			return true
		}
	}
	return false
}

// nilAbove is the nil pointer or interface through which the place would be called; "" if there is none.
func (p *place) nilAbove() string {
	if p.t.Kind() == reflect.Interface && (!p.v.IsValid() || p.v.IsNil()) {
		return p.path
	}
	path := ""
	for q := p; q != nil && !q.v.IsValid(); q = q.above {
		path = q.path
	}
	return path
}

// usable tells whether what was found gets called, and lives through it.
func (g *giver) usable() error {
	if g == nil {
		return nil
	}
	method := g.at.path + "." + g.kind.String()
	switch g.manner {
	case byField:
		return g.fieldUsable()
	case byStranger:
		return handlerError("%s holds %s, whose %s is not called: a struct has only those methods of an embedded interface that the interface names; give %s its own %s, which calls that one, or do not embed the interface",
			g.at.path, g.innermost().at.path, g.innermost().name(), g.at.above.path, g.kind)
	case byFuncs:
		return nil
	}
	receiver := 1
	if g.manner == byInterface {
		receiver = 0
	}
	if !g.kind.fits(g.method, receiver) {
		return handlerError("%s is a %s and is not called: it must be a %s", method, signatureOf(g.method, receiver), hookSpecs[g.kind].signature)
	}
	if nilAt := g.at.nilAbove(); nilAt != "" {
		return handlerError("%s is nil, and calling %s would panic: set it before the server is made, or do not embed it", nilAt, g.kind)
	}
	if _, byValue := g.kind.methodOf(g.at.t); !byValue && !g.at.pointed {
		return handlerError("%s has a pointer receiver and is not called, because the Handler is a value: give a pointer to it", method)
	}
	if g.manner == byInterface {
		return behind(g)
	}
	return nil
}

// behind: what an embedded interface holds may itself embed nil.
func behind(g *giver) error {
	root, err := rootOf(g.at.v.Elem())
	if err != nil {
		return handlerError("%s holds a nil %s, and calling %s would panic", g.at.path, g.at.v.Elem().Type(), g.kind)
	}
	root.above = g.at
	var inner *giver
	level := []*place{root}
	for depth := 0; len(level) > 0 && inner == nil && err == nil; depth++ {
		if inner, err = foundAt(g.kind, level, depth); err == nil {
			level, err = embeddedIn(level)
		}
	}
	if err == nil && inner == nil {
		return handlerError("%s holds itself", g.at.path)
	}
	if err != nil {
		return err
	}
	return inner.usable()
}

// fieldUsable: a function in a field of a hook's name is not called. Anything else is nobody's business.
func (g *giver) fieldUsable() error {
	f, _ := g.at.t.FieldByName(g.kind.String())
	if f.Type != hookSpecs[g.kind].signature {
		return nil
	}
	return handlerError("%s.%s is a field and is not called: make it a method, or embed an engine.Funcs and set its %s",
		g.at.path, g.kind, hookSpecs[g.kind].field)
}

// signatureOf is a method's type without its receiver.
func signatureOf(m reflect.Method, receiver int) string {
	var in, out []string
	for i := receiver; i < m.Type.NumIn(); i++ {
		in = append(in, m.Type.In(i).String())
	}
	if last := len(in) - 1; m.Type.IsVariadic() {
		in[last] = "..." + strings.TrimPrefix(in[last], "[]")
	}
	for i := range m.Type.NumOut() {
		out = append(out, m.Type.Out(i).String())
	}
	s := fmt.Sprintf("func(%s)", strings.Join(in, ", "))
	switch len(out) {
	case 0:
		return s
	case 1:
		return s + " " + out[0]
	}
	return s + " (" + strings.Join(out, ", ") + ")"
}
