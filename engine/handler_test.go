package engine

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"
)

// Every way of giving a handler works or fails loudly at NewServer: an OnUpgrade that is lost is an
// authorisation that is skipped.

// calls are the names of what was called.
type calls struct {
	mu    sync.Mutex
	names []string
}

func (l *calls) add(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.names = append(l.names, name)
}

// allFuncs has every function; each notes prefix and its field's name.
func allFuncs(l *calls, prefix string) Funcs {
	return Funcs{
		Open: func(*Conn) { l.add(prefix + "Open") }, Message: func(*Conn, Message) { l.add(prefix + "Message") },
		Close: func(*Conn, CloseEvent) { l.add(prefix + "Close") }, Upgrade: func(*Upgrade) { l.add(prefix + "Upgrade") },
		Error: func(*Conn, error) { l.add(prefix + "Error") }, HighWater: func(*Conn) { l.add(prefix + "HighWater") },
		Drain: func(*Conn) { l.add(prefix + "Drain") }, Ping: func(*Conn, []byte) { l.add(prefix + "Ping") },
		Pong: func(*Conn, []byte) { l.add(prefix + "Pong") }, Chunk: func(*Conn, Chunk) { l.add(prefix + "Chunk") },
	}
}

// callAll calls every hook that there is, in the order of hookKind.
func (k *hooks) callAll() {
	k.open(nil)
	k.message(nil, Message{})
	k.close(nil, CloseEvent{})
	if k.upgrade != nil {
		k.upgrade(nil)
	}
	if k.err != nil {
		k.err(nil, nil)
	}
	open := new(Conn)
	open.state.Store(uint32(Open))
	for _, f := range []func(*Conn){k.highWater, k.drain} {
		if f != nil {
			f(open)
		}
	}
	for _, f := range []func(*Conn, []byte){k.ping, k.pong} {
		if f != nil {
			f(nil, nil)
		}
	}
	if k.chunk != nil {
		k.chunk(nil, Chunk{})
	}
}

const everyField = "Open Message Close Upgrade Error HighWater Drain Ping Pong Chunk"

type (
	embedsValue   struct{ Funcs }
	embedsPointer struct{ *Funcs }
	embedsDeep    struct{ embedsValue }
	embedsDeeper  struct{ *embedsDeep }
	embedsAll     struct {
		embedsDeeper
		sync.Mutex
	}
	generic[T any]    struct{ embedsAny[T] }
	embedsAny[T any]  struct{ Funcs }
	lower             = Funcs
	embedsAlias       struct{ lower }
	madeOfFuncs       Funcs
	handlerFunc       func(name string)
	ownUpgrade        struct{ *embedsValue }
	ownGeneric[T any] struct{ Funcs }
	ownPointer        struct{ Funcs }
	plainHandler      struct{ log *calls }
	authPointer       struct{ log *calls }
	authValue         struct{ log *calls }
	plainWithAuth     struct{ plainHandler }
	withAuth          struct{ Funcs }
	withAuthPlace     struct{ authValue }
	handlerAndUpgrade interface {
		Handler
		UpgradeHandler
	}
	wrapsBoth          struct{ handlerAndUpgrade }
	logging            struct{ Handler }
	loggingWithUpgrade struct {
		Handler
		log *calls
	}
	threeOwn struct {
		first
		second
		log *calls
	}
	first    struct{ Funcs }
	second   struct{ Funcs }
	listNode struct {
		*listNode
		plainHandler
	}
)

func (f madeOfFuncs) OnOpen(*Conn)              { f.Open(nil) }
func (f madeOfFuncs) OnMessage(*Conn, Message)  { f.Message(nil, Message{}) }
func (f madeOfFuncs) OnClose(*Conn, CloseEvent) { f.Close(nil, CloseEvent{}) }

func (f handlerFunc) OnOpen(*Conn)              { f("Open") }
func (f handlerFunc) OnMessage(*Conn, Message)  { f("Message") }
func (f handlerFunc) OnClose(*Conn, CloseEvent) { f("Close") }
func (f handlerFunc) OnUpgrade(*Upgrade)        { f("Upgrade") }

func (h ownUpgrade) OnUpgrade(*Upgrade)      { h.Open(nil) }
func (h *ownGeneric[T]) OnUpgrade(*Upgrade)  { h.Open(nil) }
func (h ownGeneric[T]) OnPing(*Conn, []byte) { h.Open(nil) }
func (h *ownPointer) OnUpgrade(*Upgrade)     { h.Open(nil) }
func (h *ownPointer) OnOpen(*Conn)           { h.Close(nil, CloseEvent{}) }

func (h plainHandler) OnOpen(*Conn)              { h.log.add("Open") }
func (h plainHandler) OnMessage(*Conn, Message)  { h.log.add("Message") }
func (h plainHandler) OnClose(*Conn, CloseEvent) { h.log.add("Close") }
func (a *authPointer) OnUpgrade(*Upgrade)        { a.log.add("Upgrade") }
func (a authValue) OnUpgrade(*Upgrade)           { a.log.add("Upgrade") }
func (h *plainWithAuth) OnUpgrade(*Upgrade)      { h.log.add("Upgrade") }
func (h *withAuth) OnUpgrade(*Upgrade)           {}
func (h loggingWithUpgrade) OnUpgrade(u *Upgrade) {
	h.log.add("logged")
	h.Handler.(UpgradeHandler).OnUpgrade(u)
}
func (h threeOwn) OnOpen(*Conn)              { h.log.add("Open") }
func (h threeOwn) OnMessage(*Conn, Message)  { h.log.add("Message") }
func (h threeOwn) OnClose(*Conn, CloseEvent) { h.log.add("Close") }

// TestHandlerShapes: what is given is called, however it is given.
func TestHandlerShapes(t *testing.T) {
	l := new(calls)
	all := allFuncs(l, "")
	value := embedsValue{all}
	deep := &embedsDeep{value}
	plain := plainHandler{l}
	for name, k := range map[string]struct {
		h    Handler
		want string
	}{
		"Funcs":                         {all, everyField},
		"*Funcs":                        {&all, everyField},
		"embedded":                      {value, everyField},
		"embedded, by pointer":          {&value, everyField},
		"a pointer is embedded":         {embedsPointer{&all}, everyField},
		"a pointer, by pointer":         {&embedsPointer{&all}, everyField},
		"two deep":                      {*deep, everyField},
		"three deep through a pointer":  {embedsDeeper{deep}, everyField},
		"four deep beside other things": {&embedsAll{embedsDeeper: embedsDeeper{deep}}, everyField},
		"generic":                       {generic[string]{embedsAny[string]{all}}, everyField},
		"generic, by pointer":           {&generic[*int]{embedsAny[*int]{all}}, everyField},
		"an alias":                      {embedsAlias{all}, everyField},
		"a struct without a name":       {struct{ Funcs }{all}, everyField},
		"a pointer to one":              {&struct{ *Funcs }{&all}, everyField},
		"a type made of Funcs":          {madeOfFuncs(all), everyField},
		"a function type":               {handlerFunc(l.add), "Open Message Close Upgrade"},
		"its own method":                {ownUpgrade{&value}, "Open Message Close Open Error HighWater Drain Ping Pong Chunk"},
		"its own methods, generic":      {&ownGeneric[int]{all}, "Open Message Close Open Error HighWater Drain Open Pong Chunk"},
		"its own, by pointer":           {&ownPointer{all}, "Close Message Close Open Error HighWater Drain Ping Pong Chunk"},
		"only the three":                {Funcs{Open: all.Open, Message: all.Message, Close: all.Close}, "Open Message Close"},
		"no Chunk":                      {embedsValue{Funcs{Open: all.Open, Message: all.Message, Close: all.Close, Pong: all.Pong}}, "Open Message Close Pong"},
		"none at all":                   {&embedsDeep{}, ""},
		"plain":                         {plain, "Open Message Close"},
		"an authorisation beside": {struct {
			plainHandler
			*authPointer
		}{plain, &authPointer{l}}, "Open Message Close Upgrade"},
		"by value": {struct {
			plainHandler
			authValue
		}{plain, authValue{l}}, "Open Message Close Upgrade"},
		"on the address": {&struct {
			plainHandler
			authPointer
		}{plain, authPointer{l}}, "Open Message Close Upgrade"},
		"the shallower of two": {struct {
			plainHandler
			authValue
			withAuthPlace
		}{plain, authValue{l}, withAuthPlace{}}, "Open Message Close Upgrade"},
		"Funcs without Upgrade beside": {struct {
			Funcs
			authValue
		}{Funcs{Open: all.Open, Message: all.Message, Close: all.Close, Ping: all.Ping}, authValue{l}}, "Open Message Close Upgrade Ping"},
		"Funcs under a handler": {struct {
			plainHandler
			A, b embedsValue
		}{plain, value, value}, "Open Message Close"}, // A and b are no embedding
		"an interface that says all":      {wrapsBoth{&plainWithAuth{plain}}, "Open Message Close Upgrade"},
		"a wrapper of what has no more":   {logging{plain}, "Open Message Close"},
		"a wrapper with a method for it":  {loggingWithUpgrade{handlerFunc(l.add), l}, "Open Message Close logged Upgrade"},
		"a wrapper of Funcs without more": {&logging{Funcs{Open: all.Open, Message: all.Message, Close: all.Close}}, "Open Message Close"},
		"two Funcs, one has it":           {threeOwn{first{Funcs{Ping: all.Ping}}, second{Funcs{Upgrade: all.Upgrade}}, l}, "Open Message Close Upgrade Ping"},
		"a list":                          {&listNode{&listNode{nil, plain}, plain}, "Open Message Close"},
		"an unused nil": {struct {
			plainHandler
			*authNothing
			*Server
		}{plain, nil, nil}, "Open Message Close"},
	} {
		l.names = nil
		found, err := findHooks(k.h)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		found.callAll()
		if got := strings.Join(l.names, " "); got != k.want {
			t.Errorf("%s: called %s\nwant %s", name, got, k.want)
		}
	}
}

type authNothing struct{}

type (
	wrongUpgrade struct{ plainHandler }
	wrongPing    struct{ plainHandler }
	wrongPong    struct{ plainHandler }
	wrongDrain   struct{ plainHandler }
	hasField     struct {
		plainHandler
		OnUpgrade func(*Upgrade)
	}
	hidesByField struct {
		plainHandler
		authValue
		OnUpgrade bool
	}
	otherField struct {
		plainHandler
		OnDrain int
	}
	chunkBelow    struct{ hasChunk }
	hasChunk      struct{ plainHandler }
	ownMessage    struct{ Funcs }
	overridesPart struct{ Handler }
	nilPart       struct{ *plainHandler }
	selfish       struct{ Handler }
	wrapsUpgrade  struct {
		Handler
		withAuthPlace
	}
)

func (wrongUpgrade) OnUpgrade(*Upgrade) error  { return nil }
func (*wrongPing) OnPing(*Conn, string)        {}
func (wrongPong) OnPong(*Conn, ...byte)        {}
func (wrongDrain) OnDrain()                    {}
func (hasChunk) OnChunk(*Conn, Chunk)          {}
func (chunkBelow) OnMessage(*Conn, Message)    {}
func (ownMessage) OnMessage(*Conn, Message)    {}
func (overridesPart) OnMessage(*Conn, Message) {}

// TestHandlerRefused: what would never be called, or would panic, is an error that names it.
func TestHandlerRefused(t *testing.T) {
	l := new(calls)
	all := allFuncs(l, "")
	plain := plainHandler{l}
	var nilFunc handlerFunc
	circle := new(selfish)
	circle.Handler = circle
	for name, k := range map[string]struct {
		h    Handler
		says []string
	}{
		"nil *Funcs":             {(*Funcs)(nil), []string{"nil *engine.Funcs"}},
		"a nil pointer":          {(*plainWithAuth)(nil), []string{"nil *engine.plainWithAuth"}},
		"a nil function":         {nilFunc, []string{"nil engine.handlerFunc"}},
		"an embedded nil *Funcs": {embedsPointer{}, []string{"engine.embedsPointer.Funcs is nil"}},
		"a deep nil *Funcs": {&struct {
			plainHandler
			P embedsPointer
			embedsPointer
		}{plainHandler: plain}, []string{"Funcs is nil"}},
		"a nil pointer on the way":        {embedsDeeper{}, []string{"embedsDeep is nil"}},
		"a nil interface":                 {logging{}, []string{"engine.logging.Handler is nil", "OnOpen"}},
		"a nil interface, in part":        {&overridesPart{}, []string{"Handler is nil"}},
		"a nil pointer in an interface":   {logging{(*plainWithAuth)(nil)}, []string{"nil *engine.plainWithAuth"}},
		"nil behind an interface":         {logging{nilPart{}}, []string{"plainHandler is nil"}},
		"a nil embedded handler":          {nilPart{}, []string{"plainHandler is nil"}},
		"a value, methods on the pointer": {plainWithAuth{plain}, []string{"engine.plainWithAuth.OnUpgrade", "pointer receiver"}},
		"the same beside Funcs":           {withAuth{all}, []string{"OnUpgrade", "pointer receiver"}},
		"the same, embedded": {struct {
			plainHandler
			authPointer
		}{plain, authPointer{l}}, []string{"authPointer.OnUpgrade", "pointer receiver"}},
		"two authorisations": {struct {
			plainHandler
			authValue
			*authPointer
		}{plain, authValue{l}, &authPointer{l}}, []string{"authValue", "authPointer", "OnUpgrade"}},
		"an authorisation and Funcs": {struct {
			Funcs
			authValue
		}{all, authValue{l}}, []string{"Funcs has Upgrade", "authValue", "OnUpgrade"}},
		"two Funcs":                    {threeOwn{first{all}, second{all}, l}, []string{"first.Funcs", "second.Funcs", "Upgrade"}},
		"a logging wrapper":            {logging{&plainWithAuth{plain}}, []string{"logging.Handler", "plainWithAuth", "OnUpgrade"}},
		"by pointer":                   {&logging{&plainWithAuth{plain}}, []string{"logging.Handler", "plainWithAuth", "OnUpgrade"}},
		"of a value":                   {logging{plainWithAuth{plain}}, []string{"plainWithAuth", "OnUpgrade"}},
		"of Funcs":                     {logging{all}, []string{"engine.Funcs", "Upgrade"}},
		"of a wrapper":                 {logging{logging{all}}, []string{"engine.Funcs", "Upgrade"}},
		"of something that embeds it":  {logging{embedsDeeper{&embedsDeep{embedsValue{Funcs{Ping: all.Ping}}}}}, []string{"Ping"}},
		"of what says it wrong":        {logging{wrongUpgrade{plain}}, []string{"OnUpgrade"}},
		"with an authorisation beside": {wrapsUpgrade{&plainWithAuth{plain}, withAuthPlace{authValue{l}}}, []string{"wrapsUpgrade.Handler", "OnUpgrade"}},
		"an answer":                    {wrongUpgrade{plain}, []string{"OnUpgrade", "func(*engine.Upgrade) error", "func(*engine.Upgrade)"}},
		"an answer, by pointer":        {&wrongUpgrade{plain}, []string{"OnUpgrade", "error"}},
		"a wrong argument":             {&wrongPing{plain}, []string{"OnPing", "string", "[]uint8"}},
		"on the pointer of a value":    {wrongPing{plain}, []string{"OnPing"}},
		"a variadic one":               {wrongPong{plain}, []string{"OnPong", "...uint8"}},
		"no argument":                  {wrongDrain{plain}, []string{"OnDrain", "func()"}},
		"embedded":                     {struct{ *wrongDrain }{&wrongDrain{plain}}, []string{"wrongDrain.OnDrain"}},
		"a field":                      {hasField{plainHandler: plain}, []string{"hasField.OnUpgrade is a field"}},
		"a field that hides":           {hidesByField{plain, authValue{l}, true}, []string{"hidesByField", "authValue", "field"}},
		"OnChunk below OnMessage":      {chunkBelow{hasChunk{plain}}, []string{"chunkBelow.OnMessage", "OnChunk"}},
		"Chunk below OnMessage":        {ownMessage{all}, []string{"ownMessage.OnMessage", "Chunk"}},
		"itself":                       {circle, []string{"itself"}},
	} {
		s, err := NewServer(k.h, Options{})
		if s != nil || !errors.Is(err, ErrSyntax) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, want := range k.says {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v\ndoes not say %q", name, err, want)
			}
		}
		t.Logf("%-34s %v", name, err)
	}
	if _, err := NewServer(otherField{plain, 1}, Options{}); err != nil {
		t.Error("a field that is no function:", err)
	}
}

// TestHandlerMessageIsDirect: a message takes no detour through Funcs.OnMessage, however the Funcs is
// given; but the handler's own OnMessage comes first.
func TestHandlerMessageIsDirect(t *testing.T) {
	f := Funcs{Message: func(*Conn, Message) {}}
	want := reflect.ValueOf(f.Message).Pointer()
	for _, h := range []Handler{f, &f, embedsValue{f}, &embedsPointer{&f}, embedsDeeper{&embedsDeep{embedsValue{f}}}} {
		k, err := findHooks(h)
		if err != nil || reflect.ValueOf(k.message).Pointer() != want {
			t.Errorf("%T: %v, message is not Funcs.Message", h, err)
		}
	}
	k, err := findHooks(ownMessage{f})
	if err != nil || reflect.ValueOf(k.message).Pointer() == want {
		t.Error("the handler's own OnMessage is passed by", err)
	}
}

// refuses embeds Funcs as users do, to spare itself methods that it does not need.
type refuses struct{ Funcs }

// TestEmbeddedUpgradeRefuses: the authorisation of a Funcs that is embedded is asked on a real connection.
func TestEmbeddedUpgradeRefuses(t *testing.T) {
	opened := make(chan string, 10)
	s := startServer(t, &refuses{Funcs{
		Open:    func(*Conn) { opened <- "open" },
		Upgrade: func(u *Upgrade) { _ = u.Refuse(401, "who are you?") },
	}}, Options{})
	_, _, _, err := ws.Dial(t.Context(), "ws://"+s.Addr().String()+"/")
	var status ws.StatusError
	if !errors.As(err, &status) || int(status) != 401 {
		t.Error("not refused:", err)
	}
	if len(opened) != 0 {
		t.Error("it opened")
	}
}

// TestHookNames: the table of names and the fields of Funcs are the same list.
func TestHookNames(t *testing.T) {
	var fields []string
	for i := range funcsType.NumField() {
		fields = append(fields, funcsType.Field(i).Name)
	}
	for k, spec := range hookSpecs {
		f, ok := funcsType.FieldByName(spec.field)
		if !ok || f.Type != spec.signature || spec.method != "On"+spec.field || !slices.Contains(fields, spec.field) {
			t.Error(hookKind(k), "is not like its field in Funcs")
		}
	}
	if len(fields) != int(hookKinds) {
		t.Errorf("%d fields, %d hooks", len(fields), hookKinds)
	}
}
