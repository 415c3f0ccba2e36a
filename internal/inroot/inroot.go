// Package inroot resolves a path inside a root file system as the kernel does
// for openat2(2) with RESOLVE_IN_ROOT: absolute link targets start at the root
// and ".." at the root stays there, so that no name leads out of it.
//
// It looks at the tree through an fs.ReadLinkFS, one component at a time, and
// never hands it a name that crosses a link. The answer holds as long as
// nobody else changes the tree.
package inroot

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// The kernel's limits: symlinks followed in one look-up, bytes of a path
// without its final NUL, bytes of one component on the usual file systems.
const (
	maxLinks = 40
	maxPath  = 4095
	maxName  = 255
)

var (
	ErrLoop        = errors.New("too many levels of symbolic links")
	ErrNotDir      = errors.New("not a directory")
	ErrNameTooLong = errors.New("name too long")

	errClimb = fmt.Errorf("%w, so that \"..\" can't leave it", fs.ErrNotExist)
)

// Error says where the resolution of a name ended. Err is one of the
// package's errors, fs.ErrNotExist, fs.ErrInvalid, or what the FS said.
type Error struct {
	Name string // as given
	At   string // the component it failed at: absolute, without links above it
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("resolve %q: %q: %v", e.Name, e.At, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// Path is a resolved name.
type Path struct {
	// Name is absolute, clean and slash-separated. No component of it that
	// exists is a symlink, but for the last one after ResolveParent.
	Name string

	// Missing is empty when Name exists, else the topmost component of Name
	// that doesn't: Name itself or an ancestor of it.
	Missing string

	Mode fs.FileMode // of Name, 0 where it is missing
}

// Resolve resolves name, which is absolute or relative to the root, and
// follows a symlink in its last component too.
//
// Where the kernel says ENOENT, the answer is the path that would have to be
// made (Path.Missing), a dangling link's target included. Two cases have no
// such path and are errors that match fs.ErrNotExist: an empty name or link
// target, and a ".." below something missing, which depends on what somebody
// makes there. A component over 255 bytes is ErrNameTooLong wherever it
// stands, as it can't be made either.
func Resolve(fsys fs.ReadLinkFS, name string) (Path, error) {
	return resolve(fsys, name, true)
}

// ResolveParent is Resolve for O_PATH|O_NOFOLLOW: a symlink in the last
// component is the answer and not followed, unless a slash stands behind it.
func ResolveParent(fsys fs.ReadLinkFS, name string) (Path, error) {
	return resolve(fsys, name, false)
}

func resolve(fsys fs.ReadLinkFS, name string, follow bool) (Path, error) {
	w := walk{fsys: fsys, name: name, follow: follow, at: "/"}
	switch {
	case name == "":
		return Path{}, w.fail("/", fs.ErrNotExist)
	case strings.IndexByte(name, 0) >= 0:
		return Path{}, w.fail("/", fs.ErrInvalid)
	case len(name) > maxPath:
		return Path{}, w.fail("/", ErrNameTooLong)
	}
	w.mode = fs.ModeDir
	for rest := name; ; {
		elem, after := cut(rest)
		if elem == "" {
			break
		}
		var err error
		if rest, err = w.step(elem, after); err != nil {
			return Path{}, err
		}
	}
	if w.at == "/" {
		fi, err := fsys.Lstat(".")
		if err != nil {
			return Path{}, w.fail("/", err)
		}
		w.mode = fi.Mode()
	}
	return Path{Name: w.at, Missing: w.missing, Mode: w.mode}, nil
}

// walk is a look-up under way. Between two steps at is a directory, or below
// missing.
type walk struct {
	fsys    fs.ReadLinkFS
	name    string
	follow  bool
	links   int
	at      string
	missing string
	mode    fs.FileMode
}

// step walks one component and returns what is left to walk: after, the text
// behind it with its leading slash, or a link's target and then that.
func (w *walk) step(elem, after string) (string, error) {
	switch {
	case elem == ".":
		return after, nil
	case elem == ".." && w.missing != "":
		return "", w.fail(w.missing, errClimb)
	case elem == "..":
		w.at, w.mode = parent(w.at), fs.ModeDir
		return after, nil
	}
	here := join(w.at, elem)
	if len(elem) > maxName {
		return "", w.fail(here, ErrNameTooLong)
	}
	if w.missing != "" {
		w.at = here
		return after, nil
	}
	fi, err := w.fsys.Lstat(here[1:])
	switch {
	case errors.Is(err, fs.ErrNotExist):
		w.at, w.missing, w.mode = here, here, 0
		return after, nil
	case err != nil:
		return "", w.fail(here, err)
	case fi.Mode().Type() == fs.ModeSymlink && (w.follow || after != ""):
		return w.link(here, after)
	case !fi.IsDir() && after != "":
		return "", w.fail(here, ErrNotDir)
	}
	w.at, w.mode = here, fi.Mode()
	return after, nil
}

func (w *walk) link(here, after string) (string, error) {
	if w.links++; w.links > maxLinks {
		return "", w.fail(here, ErrLoop)
	}
	target, err := w.fsys.ReadLink(here[1:])
	switch {
	case err != nil:
		return "", w.fail(here, err)
	case target == "":
		return "", w.fail(here, fs.ErrNotExist)
	case strings.IndexByte(target, 0) >= 0:
		return "", w.fail(here, fs.ErrInvalid)
	}
	if target[0] == '/' {
		w.at, w.mode = "/", fs.ModeDir
	}
	// after starts with a slash or is empty, so a target that was followed
	// for a trailing slash has to be a directory as well.
	return target + after, nil
}

// fail drops the cause's own path, which would say At a second time.
func (w *walk) fail(at string, err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return &Error{Name: w.name, At: at, Err: err}
}

// cut splits the first component off; after is empty or starts with a slash.
func cut(rest string) (elem, after string) {
	rest = strings.TrimLeft(rest, "/")
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		return rest[:i], rest[i:]
	}
	return rest, ""
}

func parent(at string) string {
	if i := strings.LastIndexByte(at, '/'); i > 0 {
		return at[:i]
	}
	return "/"
}

func join(at, elem string) string {
	if at == "/" {
		return "/" + elem
	}
	return at + "/" + elem
}
