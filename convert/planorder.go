package convert

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/internal/inroot"
)

// place is a mount of the Spec and where it lies: by its name at first, and
// after a pass by where the symlinks have led.
type place struct {
	specs.Mount
	at string
}

// mounts plans the Spec's mounts, parents first. Where a mount lies depends on
// those before it: a file for /etc/resolv.conf that is a link into /run has to
// come after /run, and the link may be in the directory that is bound to
// /etc. So it plans again in the order that a pass has found, until a pass
// finds its own.
func (p *planner) mounts() {
	order := make([]place, len(p.spec.Mounts))
	for i, m := range p.spec.Mounts {
		order[i] = place{m, path.Clean(m.Destination)}
	}
	if p.KeepOrder {
		p.pass(order)
		return
	}
	p.sort(order)
	for range len(order) + 1 {
		before := slices.Clone(order)
		p.pass(order)
		p.sort(order)
		if slices.EqualFunc(before, order, func(a, b place) bool { return a.Destination == b.Destination }) {
			return
		}
	}
	p.fail(fmt.Errorf("mounts: the links of one lead into another whatever the order"))
}

// pass plans the mounts in the given order, and notes where each lies.
func (p *planner) pass(order []place) {
	p.planning = planning{view: newView(p.root.FS)}
	for i, m := range order {
		at, err := inroot.Resolve(p.view, m.Destination)
		if err == nil {
			order[i].at = at.Name
			err = p.mount(m.Mount, at)
		}
		if err != nil {
			p.fail(fmt.Errorf("%s: %w", p.field(m.Destination), err))
		}
	}
}

// sort puts a directory before what is in it.
func (p *planner) sort(order []place) {
	slices.SortStableFunc(order, func(a, b place) int {
		return cmp.Or(comparePaths(a.at, b.at), cmp.Compare(p.rank(a.Destination), p.rank(b.Destination)))
	})
}

func comparePaths(a, b string) int {
	return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
}

// rank tells whose mount counts where links lead two to one place: a flag's
// more than the image's, and the image's more than a default.
func (p *planner) rank(destination string) int {
	switch origin := p.Origin[destination]; {
	case isDefault(origin):
		return 0
	case strings.HasPrefix(origin, "config."):
		return 1
	}
	return 2
}

func isDefault(origin string) bool { return strings.HasPrefix(origin, "default") }

// field names a mount to the user: by the flag or config field that it comes
// from, else by its place in the Spec.
func (p *planner) field(destination string) string {
	if o := p.Origin[destination]; o != "" && !isDefault(o) {
		return o
	}
	return fmt.Sprintf("mounts[%s]", destination)
}
