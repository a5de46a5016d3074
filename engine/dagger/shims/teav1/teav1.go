package teav1

import (
	"github.com/charmbracelet/bubbletea"
	"github.com/vito/tuist"
)

type Wrap struct{ tuist.Compo }

func New(tea.Model) *Wrap          { return &Wrap{} }
func (*Wrap) Render(tuist.Context) {}
func (*Wrap) OnQuit(func())        {}
