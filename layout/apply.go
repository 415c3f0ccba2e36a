package layout

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// applier unpacks layers, lowest first, into one tree.
type applier struct {
	*tree
	ctx     context.Context
	o       UnpackOptions // Limits filled in
	base    *base         // what to start from; nil: nothing
	count   *meter
	umask   uint32 // and what else takes bits from a new file's mode
	uid     int    // whom new files belong to
	gid     int
	entries int64          // so far
	sparse  int64          // bytes claimed by sparse files so far
	skipped map[place]bool // device nodes that were left out
	told    bool           // OnOwner was
	buf     []byte
}

// place is a name in a directory.
type place struct {
	d    *dir
	name string
}

func newApplier(ctx context.Context, rootFD int, o UnpackOptions) *applier {
	o.Limits = o.Limits.withDefaults()
	return &applier{tree: newTree(rootFD), ctx: ctx, o: o, skipped: map[place]bool{}, buf: make([]byte, 256<<10)}
}

// apply unpacks all layers into the empty directory rootFD, which is ours and
// 0700, and verifies them. Its errors name the layer and the entry.
func (a *applier) apply(layers []Layer) error {
	defer a.close()
	if err := a.prepareRoot(); err != nil {
		return err
	}
	first := 0
	if a.base != nil {
		if err := a.seed(a.base); err != nil {
			return err
		}
		first = a.base.layers
	}
	a.count = newMeter(a.o.Progress, Unpacking, layers[first:], first+1)
	defer a.count.stop()
	streams := newAhead(a.ctx, layers[first:], a.o.Limits, a.count, a.rootFD)
	defer streams.close()
	for n := first; n < len(layers); n++ {
		a.layer = n
		a.count.begin(n + 1)
		if err := a.applyLayer(streams); err != nil {
			if a.ctx.Err() != nil {
				return context.Cause(a.ctx)
			}
			return fmt.Errorf("layer %d of %d (%s): %w", n+1, len(layers), layers[n].label(), err)
		}
		a.record.layers(n + 1)
	}
	return a.finish(a.root)
}

// prepareRoot keeps what the directory inherited (set-gid bit, default ACL)
// from reaching what is made in it, and looks at what new files are like.
func (a *applier) prepareRoot() error {
	for _, name := range []string{"system.posix_acl_default", "system.posix_acl_access"} {
		// Absent or unsupported is what is wanted.
		_ = unix.Fremovexattr(a.rootFD, name)
	}
	if err := unix.Fchown(a.rootFD, -1, unix.Getegid()); err != nil {
		return err
	}
	if err := unix.Fchmod(a.rootFD, 0o700); err != nil {
		return err
	}
	const probe = "probe"
	fd, err := openat(a.rootFD, probe, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o777)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	unix.Close(fd)
	if err != nil {
		return err
	}
	a.umask, a.uid, a.gid = 0o777&^st.Mode, int(st.Uid), int(st.Gid)
	a.chmod = a.umask&0o700 != 0
	if !a.o.Ownership.owners() {
		a.implied.uid, a.implied.gid = a.uid, a.gid
	}
	a.root.meta = a.implied
	a.record.dir(a.root)
	return unix.Unlinkat(a.rootFD, probe, 0)
}

// applyLayer applies one layer and verifies it to its end.
func (a *applier) applyLayer(streams *ahead) error {
	s, err := streams.stream()
	if err != nil {
		return err
	}
	defer s.close()
	tr := tar.NewReader(s)
	for {
		if err := a.ctx.Err(); err != nil {
			return err
		}
		hdr, err := tr.Next()
		if err == io.EOF {
			return s.verify()
		}
		if err != nil {
			return readError(s, err)
		}
		if err := a.entry(hdr, tr); err != nil {
			var read *contentError
			if errors.As(err, &read) {
				err = readError(s, read.error)
			}
			return fmt.Errorf("entry %s: %w", quote(hdr.Name), err)
		}
	}
}

// readError explains an archive that can't be read: a blob or stream that
// isn't what it should be goes before what the archive's reader makes of it.
func readError(s *stream, err error) error {
	if verr := s.verify(); verr != nil {
		return verr
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("archive is truncated")
	}
	return err
}

// contentError is an error of reading an entry's content.
type contentError struct{ error }

// cleanName returns an entry's path below the root, "" for the root itself.
// Absolute names are below the root; a ".." that climbs above it is refused.
func cleanName(name string) (string, error) {
	var parts []string
	for part := range strings.SplitSeq(name, "/") {
		switch part {
		case "", ".":
		case "..":
			if len(parts) == 0 {
				return "", errors.New("climbs above the root")
			}
			parts = parts[:len(parts)-1]
		default:
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "/"), nil
}

// entry applies one entry of an archive.
func (a *applier) entry(hdr *tar.Header, content io.Reader) error {
	if hdr.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	if a.entries++; a.entries > a.o.Limits.Entries {
		return &LimitError{"Entries", "too many entries", a.o.Limits.Entries}
	}
	name, err := cleanName(hdr.Name)
	if err != nil {
		return err
	}
	m, err := a.metaOf(hdr)
	if err != nil {
		return err
	}
	if name == "" {
		if hdr.Typeflag != tar.TypeDir {
			return errors.New("the root can only be a directory")
		}
		return a.list(a.root, m, a.xattrsOf(hdr, "/"))
	}
	if isAufs(name) {
		return nil
	}
	parentPath, base := path.Split(name)
	parentPath = strings.TrimSuffix(parentPath, "/")
	if err := checkWhiteoutNames(parentPath, base); err != nil {
		return err
	}
	if strings.HasPrefix(base, whiteoutPrefix) {
		return a.whiteout(parentPath, base)
	}
	parent, err := a.walk(parentPath, true)
	if err != nil {
		return err
	}
	return a.create(parent, base, name, hdr, m, content)
}

// list gives a directory the metadata that the layer lists for it.
func (a *applier) list(d *dir, m meta, attrs []xattr) error {
	d.meta = m
	d.listed = a.layer
	a.touch(d)
	if err := a.setDirXattrs(d, attrs); err != nil {
		return err
	}
	a.record.dir(d)
	return nil
}
