package bwrap

import (
	"path"
	"slices"
)

// Stage is the part of a plan that the runner mounts itself, in a mount
// namespace of its own, before bubblewrap starts. bubblewrap reads the mount
// table anew for each of its mounts, so that every one it need not make is
// time saved; and it has neither owners nor, before 0.11, overlays.
//
// Dir is an existing directory that the stage covers with a tmpfs. Ops are
// carried out in order below Root, as bubblewrap would below its own; nothing
// of it outlives the namespace.
type Stage struct {
	Dir string
	Ops []Op

	// FuseOverlay is the program for overlays that the kernel refuses, ""
	// where there is none. A run ends it.
	FuseOverlay string

	// Handed is the Dst of a Closure that is not mounted below Root: its
	// mounts, with all that is mounted in it, are handed to the init, which
	// attaches them before anything else. "" is none.
	Handed string
}

// Root is the directory on the host's side where the sandbox's root stands.
func (s *Stage) Root() string { return path.Join(s.Dir, "root") }

// stageable says whether the stage can carry the operation out. What belongs
// to the sandbox's own namespaces it can't: they don't exist yet.
func (n Namespaces) stageable(op Op) bool {
	switch op.(type) {
	case Proc, Mqueue, Cgroup:
		return false
	case Sysfs:
		return !n.Net && !n.User && !n.joins("network")
	}
	return true
}

// joins says that a namespace of the kind is joined, when the stage is done.
func (n Namespaces) joins(kind string) bool {
	return slices.ContainsFunc(n.Join, func(j Join) bool { return j.Kind == kind })
}

// split divides the steps between the stage and bubblewrap, both in order.
// What lies in a mount of bubblewrap's is bubblewrap's too, and so is what is
// mounted over one: the stage is done before bubblewrap begins.
func split(steps []Step, n Namespaces) (staged, rest []Op) {
	var theirs []string
	for _, s := range steps {
		dst := s.Op.Dest()
		_, remount := s.Op.(RemountRO) // covers nothing, and / is remounted last
		if n.stageable(s.Op) && !slices.ContainsFunc(theirs, func(t string) bool {
			return within(dst, t) || !remount && within(t, dst)
		}) {
			staged = append(staged, s.Op)
			continue
		}
		if o, ok := s.Op.(Sysfs); ok && (n.User || n.Mapped) {
			// The kernel lets a user namespace mount what it can see already.
			staged = append(staged, Bind{Src: "/sys", Dst: o.Dst, ReadOnly: o.ReadOnly, Attr: o.Attr})
		}
		theirs = append(theirs, dst)
		rest = append(rest, s.Op)
	}
	return staged, rest
}
