package runner

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// EnterKinds are the namespaces that this program has to be in from the start:
// the kernel lets no process with threads enter them, as each of Go's is.
var EnterKinds = []string{"user", "time"}

// BeforeKinds are those that a thread can enter by itself.
var BeforeKinds = []string{"network", "ipc", "uts", "cgroup"}

// joinEntry opens what the Entry joins.
func (c *Entered) joinEntry(joins []bwrap.Join) error {
	for _, kind := range EnterKinds { // the user namespace first, whose root may enter the others
		j := joined(joins, kind)
		if j == nil {
			continue
		}
		f, err := openNamespace(*j)
		if err != nil {
			return err
		}
		c.namespaces = append(c.namespaces, f)
		c.order = append(c.order, *j)
	}
	return nil
}

// forkJoined is fork for namespaces that are there.
func (c *Entered) forkJoined(argv, env []string, files []uintptr) (int, error) {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		return 0, err
	}
	defer self.Close()
	caps := knownCaps()
	j := joining{
		alone: true, mounts: joined(c.order, "user") != nil, argv: argv, env: env, lastCap: len(caps) - 1,
		files: append(files, self.Fd()), self: len(files),
	}
	for i, f := range c.namespaces {
		defer f.Close()
		j.enter = append(j.enter, entering{f.Fd(), uintptr(joinKinds[c.order[i].Kind])})
	}
	pid, err := j.start()
	if refused := (*enterError)(nil); errors.As(err, &refused) {
		n := c.order[refused.index]
		return 0, &Error{Msg: fmt.Sprintf("%s: join %q", n.Field, n.Path), Err: refused.errno, Remedy: joinRemedy(n.Kind, refused.errno)}
	}
	if err != nil {
		return 0, fmt.Errorf("join namespaces: %w", err)
	}
	return pid, nil
}

func joinRemedy(kind string, err error) string {
	switch {
	case kind == "user" && errors.Is(err, unix.EPERM):
		return "a user namespace is joined by who made it, or by root of the one around it"
	case kind == "user":
		return "it has to be below the one that oci2bwrap is in"
	case errors.Is(err, unix.EPERM):
		return fmt.Sprintf("a %s namespace is joined by root of the user namespace that it belongs to: name that by its path as well, or run oci2bwrap as root", kind)
	}
	return ""
}

// SameNamespace says that the path is that of the caller's own namespace.
func SameNamespace(path, kind string) bool {
	var own, theirs unix.Stat_t
	return unix.Stat("/proc/self/ns/"+kind, &own) == nil && unix.Stat(path, &theirs) == nil && own.Ino == theirs.Ino && own.Dev == theirs.Dev
}

// joinedWord tells the child what it has joined, where it has not been made
// for it.
func (c *Entered) joinedWord() string {
	word := 0
	for i, kind := range slices.Concat(EnterKinds, BeforeKinds) {
		if slices.ContainsFunc(slices.Concat(c.order, c.before), func(j bwrap.Join) bool { return j.Kind == kind }) {
			word |= 1 << i
		}
	}
	return strconv.Itoa(word)
}
