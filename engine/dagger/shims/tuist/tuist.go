// Package tuist stands in for the interactive terminal UI toolkit: the types
// compile, the terminal is never started (use --progress=plain).
package tuist

import (
	"context"
	"io"
	"time"

	uv "github.com/charmbracelet/ultraviolet"
)

type Component interface {
	Render(ctx Context)
	Update()
}
type Compo struct{}

func (*Compo) Update()                                     {}
func (*Compo) RenderChild(Context, Component) Result       { return Result{} }
func (*Compo) RenderChildResult(Context, Component) Result { return Result{} }
func (*Compo) RenderChildInline(Context, Component) string { return "" }

type Result struct{ Lines []string }

type Context struct {
	context.Context
	Width, Height int
}

func (Context) Lines(...string)           {}
func (Context) Line(string)               {}
func (Context) SetFocus(any)              {}
func (Context) ScreenHeight() int         { return 24 }
func (c Context) Resize(w, h int) Context { c.Width, c.Height = w, h; return c }

type Interactive interface {
	HandleKeyPress(Context, uv.KeyPressEvent) bool
}
type Focusable interface{ SetFocused(Context, bool) }
type Hoverable interface{ SetHovered(Context, bool) }
type Mounter interface{ OnMount(Context) }
type Dismounter interface{ OnDismount() }
type MouseEvent struct {
	uv.MouseEvent
	Row, Col int
}
type MouseEnabled interface {
	HandleMouse(Context, MouseEvent) bool
}

type Container struct {
	Compo
	Children []Component
}

func (*Container) Render(Context)          {}
func (c *Container) AddChild(x Component)  { c.Children = append(c.Children, x) }
func (c *Container) RemoveChild(Component) {}

type Completion struct{ Label, Detail string }
type CompletionResult struct {
	Items       []Completion
	ReplaceFrom int
}
type CompletionMenu struct{ Compo }

func (*CompletionMenu) Render(Context)                                {}
func (*CompletionMenu) HandleKeyPress(Context, uv.KeyPressEvent) bool { return false }
func NewCompletionMenu(*TextInput, func(string, int) CompletionResult) *CompletionMenu {
	return &CompletionMenu{}
}

type TextInput struct {
	Compo
	Prompt         string
	OnSubmit       func(Context, string) bool
	KeyInterceptor func(Context, uv.KeyPressEvent) bool
}

func NewTextInput(string) *TextInput { return &TextInput{} }
func (*TextInput) Render(Context)    {}
func (*TextInput) Value() string     { return "" }
func (*TextInput) SetValue(string)   {}
func (*TextInput) InsertRune(rune)   {}

type Spinner struct {
	Compo
	Epoch time.Time
	Style func(string) string
}

func NewSpinner() *Spinner      { return &Spinner{} }
func (*Spinner) Render(Context) {}

type Terminal interface{}

func NewStdTerminal() Terminal { return nil }

type Size int

func SizeAbs(n int) Size { return Size(n) }

type Anchor int

const AnchorTopRight Anchor = 0

type OverlayMargin struct{ Top, Right, Bottom, Left int }
type OverlayOptions struct {
	Width  Size
	Anchor Anchor
	Margin OverlayMargin
}
type OverlayHandle struct{}

func (*OverlayHandle) Remove() {}

type TUI struct{ Container }

func New(Terminal) *TUI                                            { return &TUI{} }
func (*TUI) Dispatch(fn func())                                    { fn() }
func (*TUI) ShowOverlay(Component, *OverlayOptions) *OverlayHandle { return &OverlayHandle{} }
func (*TUI) SetShowHardwareCursor(bool)                            {}
func (*TUI) SetFocus(any)                                          {}
func (*TUI) Stop()                                                 {}
func (*TUI) Start() error {
	panic("the interactive terminal is not in this build: use --progress=plain")
}
func (*TUI) RequestRender(bool)                                        {}
func (*TUI) SetDebugWriter(io.Writer)                                  {}
func (*TUI) RenderLines() []string                                     { return nil }
func (*TUI) Exec(fn func(io.Reader, io.Writer, io.Writer) error) error { return nil }
