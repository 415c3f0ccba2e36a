package main

import (
	"errors"
	"io/fs"
	"os"

	"github.com/oci2bwrap/oci2bwrap/convert"
	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
	"github.com/oci2bwrap/oci2bwrap/runner"
)

// openTrees makes the mounts with ids of their own where this process may, before
// it enters a user namespace in which it may not.
func openTrees(binds []bwrap.Bind) []*runner.Tree {
	if !isRoot() {
		return nil
	}
	var trees []*runner.Tree
	for _, b := range binds {
		trees = append(trees, runner.OpenTree(b))
	}
	return trees
}

// mapIDs has the mounts of the Spec with ids of their own, or why there are none.
// Root of a namespace that was made for the sandbox has those that real root has
// made before; root of any other can try.
func (s *session) mapIDs() {
	switch {
	case s.inside != nil:
		s.trees = s.inside.Trees
	case s.standing.root && !s.script:
		for _, b := range convert.IDMapped(s.result.Spec) {
			s.trees = append(s.trees, runner.OpenTree(b))
		}
	}
	if len(s.trees) == 0 {
		return
	}
	s.host.IDMapped = func(b bwrap.Bind) error {
		for _, t := range s.trees {
			if t.Is(b) {
				return t.Err
			}
		}
		return errors.New("it is another than the one that was made before the user namespace was entered")
	}
	// The sources may be out of this root's reach, but for their trees.
	paths := map[string]string{}
	for _, t := range s.trees {
		if info, err := os.Stat(t.Path()); t.Err == nil && err == nil {
			s.host.Paths[t.Bind.Src], paths[t.Bind.Src] = info.Mode(), t.Path()
		}
	}
	open := s.host.Dir
	s.host.Dir = func(dir string) (fs.ReadLinkFS, error) {
		if path, ok := paths[dir]; ok {
			dir = path
		}
		return open(dir)
	}
}

// idMapWords tells as whose a mount shows its files: on disk = outside of the
// sandbox.
func idMapWords(m *bwrap.IDMap) string {
	if m == nil {
		return ""
	}
	text := ", ids as in " + m.Path
	if m.Path == "" {
		text = ", uids " + idRanges(m.UIDs) + ", gids " + idRanges(m.GIDs)
	}
	return text + map[bool]string{true: ", with what is mounted below"}[m.Recursive]
}
