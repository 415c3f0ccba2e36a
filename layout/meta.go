package layout

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	rootfsName  = "rootfs"
	metaName    = "meta.json"
	metaVersion = 2
	maxSkipped  = 1000 // kept in meta.json
)

// rootMeta is meta.json: what the tree itself doesn't show.
type rootMeta struct {
	Version   int       `json:"version"`
	ChainID   string    `json:"chainID"`
	Ownership string    `json:"ownership"`
	DiffIDs   []string  `json:"diffIDs"`
	Base      int       `json:"base"`    // layers that another root gave
	Record    string    `json:"record"`  // SHA-256 of the record
	Files     int64     `json:"files"`   // regular ones
	Image     string    `json:"image"`   // the name it was first used by
	Skipped   []Skipped `json:"skipped"` // the first maxSkipped

	// Owner is a file that is not root's in the image, if there is one.
	Owner *FileOwner `json:"owner,omitempty"`

	// IDs are the maps of the user namespace in which it was unpacked, as in an
	// Ownership of Mapped; "" in the first one.
	IDs string `json:"ids,omitempty"`

	Parts *rootParts `json:"parts,omitempty"`
}

func (m *rootMeta) owner(o FileOwner) { m.Owner = &o }

func newMeta(img *Image, o Ownership) *rootMeta {
	m := &rootMeta{Version: metaVersion, ChainID: digestName(img.ChainID()), Ownership: o.name(), Image: img.Name}
	if m.IDs = string(o); !o.mapped() {
		m.IDs = string(ownMaps())
	}
	for _, l := range img.Layers {
		m.DiffIDs = append(m.DiffIDs, l.DiffID.String())
	}
	return m
}

func (m *rootMeta) skip(s Skipped) {
	if len(m.Skipped) < maxSkipped {
		m.Skipped = append(m.Skipped, s)
	}
}

func (m *rootMeta) write(dir string) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, metaName), append(b, '\n'), 0o600)
}

// trusted says whether a file's owner can do no more than the caller: root,
// the caller, or for root of a user namespace whoever is in it.
func trusted(uid int) bool {
	const overflow = 65534 // what is not mapped
	return uid == 0 || uid == os.Geteuid() || os.Geteuid() == 0 && uid != overflow && ownMaps() != ""
}

// readMeta reads the meta.json of a root. Its error is fs.ErrNotExist if the
// root isn't there, was made by another version of the cache, or isn't one
// that the Store made: a link in the place of a directory leads elsewhere.
func readMeta(dir string) (*rootMeta, error) {
	path := filepath.Join(dir, metaName)
	f, err := openMeta(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fs.ErrNotExist
	}
	// Whoever owns the root can change it at will.
	if st := info.Sys().(*syscall.Stat_t); !trusted(int(st.Uid)) {
		return nil, &hinted{
			fmt.Errorf("%s belongs to uid %d", path, st.Uid),
			"choose a cache directory of your own with --cache-dir",
		}
	}
	var m rootMeta
	if err := json.NewDecoder(f).Decode(&m); err != nil || m.Version != metaVersion {
		return nil, fs.ErrNotExist
	}
	return &m, nil
}

// openMeta opens a root's meta.json through nothing but directories.
func openMeta(dir string) (*os.File, error) {
	at, err := openat(unix.AT_FDCWD, dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(at)
	kind, err := lstatKind(at, rootfsName)
	if err == nil && kind != unix.S_IFDIR {
		return nil, fs.ErrNotExist
	}
	fd := -1
	if err == nil {
		fd, err = openat(at, metaName, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	}
	if errors.Is(err, unix.ELOOP) {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: filepath.Join(dir, metaName), Err: err}
	}
	return os.NewFile(uintptr(fd), filepath.Join(dir, metaName)), nil
}
