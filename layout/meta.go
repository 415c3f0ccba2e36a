package layout

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
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
}

func newMeta(img *Image, o Ownership) *rootMeta {
	m := &rootMeta{Version: metaVersion, ChainID: img.ChainID().String(), Ownership: o.name(), Image: img.Name}
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

// readMeta reads the meta.json of a root. Its error is fs.ErrNotExist if the
// root isn't there, was made by another version of the cache, or was lost when
// the machine stopped.
func readMeta(dir string) (*rootMeta, error) {
	path := filepath.Join(dir, metaName)
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	// Whoever owns the root can change it at will.
	if st := info.Sys().(*syscall.Stat_t); st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return nil, &hinted{
			fmt.Errorf("cache: %s belongs to uid %d", path, st.Uid),
			"choose a cache directory of your own with --cache-dir",
		}
	}
	var m rootMeta
	if err := json.NewDecoder(f).Decode(&m); err != nil || m.Version != metaVersion {
		return nil, fs.ErrNotExist
	}
	return &m, nil
}
