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
	n  int // in the Spec
}

// mounts plans the Spec's mounts, so that none hides one before it. Where a
// mount lies depends on those before it: a file for /etc/resolv.conf that is a
// link into /run has to come after /run, and the link may be in the directory
// that is bound to /etc. So it begins with the order of the names, and plans
// again as long as a pass finds a mount behind one that it would hide.
func (p *planner) mounts() {
	order := make([]place, len(p.spec.Mounts))
	for i, m := range p.spec.Mounts {
		order[i] = place{m, path.Clean(m.Destination), i}
	}
	if p.KeepOrder {
		p.pass(order)
		return
	}
	slices.SortFunc(order, func(a, b place) int {
		return cmp.Or(slices.Compare(strings.Split(a.at, "/"), strings.Split(b.at, "/")), p.precedence(a, b))
	})
	for range len(order) + 1 {
		p.pass(order)
		next := p.arrange(order)
		if slices.EqualFunc(order, next, func(a, b place) bool { return a.n == b.n }) {
			return
		}
		order = next
	}
	var all []string
	for _, m := range order {
		if p.rank(m.Destination) > 0 {
			all = append(all, m.Destination)
		}
	}
	p.fail(fmt.Errorf("mounts: their links make them hide each other in any order: %q", all))
}

// pass plans the mounts in the given order, and notes where each lies.
func (p *planner) pass(order []place) {
	p.planning = planning{view: newView(p.root.FS)}
	if err := p.store(); err != nil {
		p.fail(err)
	}
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

// arrange puts every mount behind those that would hide it, and otherwise
// leaves the order as it is.
func (p *planner) arrange(order []place) []place {
	rest := slices.Clone(order)
	out := make([]place, 0, len(order))
	for len(rest) > 0 {
		i := slices.IndexFunc(rest, func(m place) bool {
			return !slices.ContainsFunc(rest, func(other place) bool {
				if other.at == m.at {
					return p.precedence(other, m) < 0
				}
				return within(m.at, other.at)
			})
		})
		out = append(out, rest[i])
		rest = slices.Delete(rest, i, i+1)
	}
	return out
}

// precedence orders two mounts on one place; the later is seen.
func (p *planner) precedence(a, b place) int {
	return cmp.Or(p.rank(a.Destination)-p.rank(b.Destination), a.n-b.n)
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
