package bwrap

import (
	"encoding/json"
	"fmt"
	"io/fs"
)

// stepJSON is the form of a Step in JSON: flat, with the kind in "op".
type stepJSON struct {
	Op        string   `json:"op"`
	Dst       string   `json:"dst"`
	Src       string   `json:"src,omitempty"`
	Lower     []string `json:"lower,omitempty"` // lowest first
	Merged    bool     `json:"merged,omitempty"`
	Upper     string   `json:"upper,omitempty"`
	Work      string   `json:"work,omitempty"`
	Whiteouts int      `json:"whiteouts,omitempty"` // how many there are in lower
	Points    []string `json:"points,omitempty"`
	Paths     []string `json:"paths,omitempty"` // of a closure, on the host
	Target    string   `json:"target,omitempty"`
	Mode      string   `json:"mode,omitempty"` // octal
	Size      int64    `json:"size,omitempty"`
	UID       int      `json:"uid,omitempty"`
	GID       int      `json:"gid,omitempty"`
	Data      string   `json:"data,omitempty"`
	ReadOnly  bool     `json:"readOnly,omitempty"`
	Options   []string `json:"options,omitempty"` // of the mount, then of the file system
	Devices   bool     `json:"devices,omitempty"`
	IDMap     *IDMap   `json:"idMap,omitempty"`
	OriginTag string   `json:"why,omitempty"`
}

// MarshalJSON writes the step as one flat object.
func (s Step) MarshalJSON() ([]byte, error) {
	j := stepJSON{Op: s.Op.name(), Dst: s.Op.Dest(), OriginTag: s.Why}
	switch o := s.Op.(type) {
	case Bind:
		j.Src, j.ReadOnly, j.Devices, j.Options = o.Src, o.ReadOnly, o.Devices, o.Attr.Words()
		j.IDMap = o.IDMap
	case Tmpfs:
		j.Mode, j.Size, j.UID, j.GID = octal(o.Mode), o.Size, o.UID, o.GID
		j.Options = append(o.Attr.Words(), o.Data...)
	case Overlay:
		j.Lower, j.Merged, j.Upper, j.Work, j.Size, j.Options = o.Lower, o.Merged, o.Upper, o.Work, o.Size, o.Attr.Words()
		for _, w := range o.Whiteouts {
			j.Whiteouts += len(w.Hidden) + len(w.Opaque)
		}
		for _, p := range o.Points {
			j.Points = append(j.Points, p.Path)
		}
		j.Mode = octal(o.Mode)
		if o.Owner != nil {
			j.UID, j.GID = o.Owner.UID, o.Owner.GID
		}
	case Closure:
		for _, p := range o.Paths {
			j.Paths = append(j.Paths, p.Src)
		}
	case Dir:
		j.Mode, j.UID, j.GID = octal(o.Mode), o.UID, o.GID
	case File:
		j.Mode, j.Data, j.ReadOnly, j.Options = octal(o.Mode), string(o.Data), o.ReadOnly, o.Attr.Words()
	case Dev:
		j.Size, j.Options = o.Size, o.Attr.Words()
	case Sysfs:
		j.ReadOnly, j.Options = o.ReadOnly, o.Attr.Words()
	case Cgroup:
		j.ReadOnly, j.Options = o.ReadOnly, o.Attr.Words()
	case Node:
		j.Target, j.Mode, j.UID, j.GID = fmt.Sprintf("%c %d:%d", o.Kind, o.Major, o.Minor), octal(o.Mode), o.UID, o.GID
	case Mqueue:
		j.Options = o.Attr.Words()
	case Symlink:
		j.Target = o.Target
	}
	return json.Marshal(j)
}

// UnixMode gives the twelve permission bits as chmod(2) takes them.
func UnixMode(m fs.FileMode) uint32 {
	u := uint32(m.Perm())
	if m&fs.ModeSetuid != 0 {
		u |= 0o4000
	}
	if m&fs.ModeSetgid != 0 {
		u |= 0o2000
	}
	if m&fs.ModeSticky != 0 {
		u |= 0o1000
	}
	return u
}

func octal(m fs.FileMode) string { return fmt.Sprintf("%04o", UnixMode(m)) }
