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
}

// Root is the directory on the host's side where the sandbox's root stands.
func (s *Stage) Root() string { return path.Join(s.Dir, "root") }

// stageable says whether the stage can carry the operation out. What belongs
// to the sandbox's own namespaces it can't: they don't exist yet.
func stageable(op Op) bool {
	switch op.(type) {
	case Proc, Mqueue:
		return false
	}
	return true
}

// split divides the steps between the stage and bubblewrap, both in order.
// What lies in a mount of bubblewrap's is bubblewrap's too, and so is what is
// mounted over one: the stage is done before bubblewrap begins.
func split(steps []Step) (staged, rest []Op) {
	var theirs []string
	for _, s := range steps {
		dst := s.Op.Dest()
		_, remount := s.Op.(RemountRO) // covers nothing, and / is remounted last
		if !stageable(s.Op) || slices.ContainsFunc(theirs, func(t string) bool {
			return within(dst, t) || !remount && within(t, dst)
		}) {
			theirs = append(theirs, dst)
			rest = append(rest, s.Op)
			continue
		}
		staged = append(staged, s.Op)
	}
	return staged, rest
}
