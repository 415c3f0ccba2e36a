package runner

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// exact is a string that comes through JSON byte for byte: names and values
// need not be UTF-8.
type exact []byte

func exactly(list []string) []exact {
	out := make([]exact, len(list))
	for i, s := range list {
		out[i] = exact(s)
	}
	return out
}

func texts(list []exact) []string {
	out := make([]string, len(list))
	for i, e := range list {
		out[i] = string(e)
	}
	return out
}

// stageSpec is what the stage process is told.
type stageSpec struct {
	Dir      exact
	Ops      []wireOp
	Fuse     exact `json:",omitempty"`
	Handed   exact
	HandedFD int  // the number that the init knows it by
	PastaFD  int  `json:",omitempty"` // the socket of a helper to be started; 0 is none
	Time     bool // a time namespace for bubblewrap
	Clocks   []bwrap.Clock
	Proc     bool // mount a procfs of this process's pid namespace over /proc
}

// wireOp is any operation of a stage.
type wireOp struct {
	Kind              string
	Dst, Src          exact `json:",omitempty"`
	Data              exact `json:",omitempty"`
	Mode              fs.FileMode
	Size              int64
	UID, GID          int
	ReadOnly, Devices bool
	Attr              bwrap.Attr  `json:",omitempty"`
	Words             []exact     `json:",omitempty"` // options of the file system
	Pts               *bwrap.Pts  `json:",omitempty"`
	Node              *wireNode   `json:",omitempty"`
	Lower             []exact     `json:",omitempty"`
	Points            []wirePoint `json:",omitempty"`
	Work              exact       `json:",omitempty"`
	Merged            bool
	Whiteouts         []wireWhiteouts `json:",omitempty"`
	Owner             *bwrap.Owner    `json:",omitempty"`
}

type wireWhiteouts struct {
	Lower                   int
	Markers, Hidden, Opaque []exact
}

type wireNode struct {
	Kind         byte
	Major, Minor uint32
}

type wirePoint struct {
	Path exact
	File bool
}

func newStageSpec(s *bwrap.Stage) (*stageSpec, error) {
	if i := slices.IndexFunc(s.Ops, func(op bwrap.Op) bool { _, is := op.(bwrap.Proc); return is }); i >= 0 {
		return nil, fmt.Errorf("%s: a procfs of another pid namespace than the stage's", s.Ops[i].Dest())
	}
	ops, err := wireOps(s.Ops)
	return &stageSpec{Dir: exact(s.Dir), Ops: ops, Handed: exact(s.Handed), Fuse: exact(s.FuseOverlay)}, err
}

func wireOps(ops []bwrap.Op) ([]wireOp, error) {
	var wired []wireOp
	for _, op := range ops {
		w := wireOp{Dst: exact(op.Dest())}
		switch o := op.(type) {
		case bwrap.Bind:
			if o.IDMap != nil {
				return nil, fmt.Errorf("%s: only real root's stage has id-mapped mounts", o.Dst)
			}
			w.Kind, w.Src, w.ReadOnly, w.Devices, w.Attr = "bind", exact(o.Src), o.ReadOnly, o.Devices, o.Attr
		case bwrap.Tmpfs:
			w.Kind, w.Mode, w.Size, w.UID, w.GID = "tmpfs", o.Mode, o.Size, o.UID, o.GID
			w.Attr, w.Words = o.Attr, exactly(o.Data)
		case bwrap.Overlay:
			w.Kind, w.Lower, w.Mode, w.Merged = "overlay", exactly(o.Lower), o.Mode, o.Merged
			w.Size, w.Attr, w.Src = o.Size, o.Attr, exact(o.Upper)
			w.Owner, w.Work = o.Owner, exact(o.Work)
			for _, h := range o.Whiteouts {
				w.Whiteouts = append(w.Whiteouts, wireWhiteouts{h.Lower, exactly(h.Markers), exactly(h.Hidden), exactly(h.Opaque)})
			}
			for _, p := range o.Points {
				w.Points = append(w.Points, wirePoint{exact(p.Path), p.File})
			}
		case bwrap.File:
			w.Kind, w.Data, w.Mode, w.ReadOnly, w.Attr = "file", o.Data, o.Mode, o.ReadOnly, o.Attr
		case bwrap.Dev:
			w.Kind, w.Mode, w.Size, w.Attr, w.Pts = "dev", o.Mode, o.Size, o.Attr, &o.Pts
		case bwrap.Dir:
			w.Kind, w.Mode, w.UID, w.GID = "dir", o.Mode, o.UID, o.GID
		case bwrap.Closure:
			w.Kind = "closure"
			for _, p := range o.Paths {
				w.Data = append(w.Data, p.Name+"\x00"+p.Src+"\x00"+p.Link+"\x00"...)
			}
		case bwrap.Symlink:
			w.Kind, w.Src = "symlink", exact(o.Target)
		case bwrap.Proc:
			w.Kind = "proc"
		case bwrap.Mqueue:
			w.Kind, w.Attr = "mqueue", o.Attr
		case bwrap.Sysfs:
			w.Kind, w.ReadOnly, w.Attr = "sysfs", o.ReadOnly, o.Attr
		case bwrap.Cgroup:
			w.Kind, w.ReadOnly, w.Attr = "cgroup", o.ReadOnly, o.Attr
		case bwrap.Node:
			w.Kind, w.Mode, w.UID, w.GID, w.Node = "node", o.Mode, o.UID, o.GID, &wireNode{o.Kind, o.Major, o.Minor}
		case bwrap.RemountRO:
			w.Kind = "remount-ro"
		default:
			return nil, fmt.Errorf("%s: %T is not mounted by us", op.Dest(), op)
		}
		wired = append(wired, w)
	}
	return wired, nil
}

func (s *stageSpec) stage() (*bwrap.Stage, error) {
	ops, err := unwireOps(s.Ops)
	return &bwrap.Stage{Dir: string(s.Dir), Ops: ops, Handed: string(s.Handed), FuseOverlay: string(s.Fuse)}, err
}

func unwireOps(wired []wireOp) ([]bwrap.Op, error) {
	var ops []bwrap.Op
	for _, w := range wired {
		op, err := w.op()
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	return ops, nil
}

func (w wireOp) op() (bwrap.Op, error) {
	dst := string(w.Dst)
	switch w.Kind {
	case "bind":
		return bwrap.Bind{Src: string(w.Src), Dst: dst, ReadOnly: w.ReadOnly, Devices: w.Devices, Attr: w.Attr}, nil
	case "tmpfs":
		t := bwrap.Tmpfs{Dst: dst, Mode: w.Mode, Size: w.Size, UID: w.UID, GID: w.GID, Attr: w.Attr}
		if len(w.Words) > 0 {
			t.Data = texts(w.Words)
		}
		return t, nil
	case "overlay":
		o := bwrap.Overlay{Lower: texts(w.Lower), Dst: dst, Mode: w.Mode, Merged: w.Merged, Owner: w.Owner, Size: w.Size, Attr: w.Attr, Upper: string(w.Src), Work: string(w.Work)}
		for _, h := range w.Whiteouts {
			o.Whiteouts = append(o.Whiteouts, bwrap.Whiteouts{Lower: h.Lower, Markers: texts(h.Markers), Hidden: texts(h.Hidden), Opaque: texts(h.Opaque)})
		}
		for _, p := range w.Points {
			o.Points = append(o.Points, bwrap.Point{Path: string(p.Path), File: p.File})
		}
		return o, nil
	case "file":
		return bwrap.File{Dst: dst, Mode: w.Mode, Data: w.Data, ReadOnly: w.ReadOnly, Attr: w.Attr}, nil
	case "dev":
		d := bwrap.Dev{Dst: dst, Mode: w.Mode, Size: w.Size, Attr: w.Attr}
		if w.Pts != nil {
			d.Pts = *w.Pts
		}
		return d, nil
	case "dir":
		return bwrap.Dir{Dst: dst, Mode: w.Mode, UID: w.UID, GID: w.GID}, nil
	case "closure":
		o := bwrap.Closure{Dst: dst}
		words := strings.Split(string(w.Data), "\x00")
		for i := 0; i+2 < len(words); i += 3 {
			o.Paths = append(o.Paths, bwrap.StorePath{Name: words[i], Src: words[i+1], Link: words[i+2]})
		}
		return o, nil
	case "symlink":
		return bwrap.Symlink{Target: string(w.Src), Dst: dst}, nil
	case "proc":
		return bwrap.Proc{Dst: dst}, nil
	case "mqueue":
		return bwrap.Mqueue{Dst: dst, Attr: w.Attr}, nil
	case "sysfs":
		return bwrap.Sysfs{Dst: dst, ReadOnly: w.ReadOnly, Attr: w.Attr}, nil
	case "cgroup":
		return bwrap.Cgroup{Dst: dst, ReadOnly: w.ReadOnly, Attr: w.Attr}, nil
	case "node":
		if w.Node != nil {
			return bwrap.Node{Dst: dst, Mode: w.Mode, UID: w.UID, GID: w.GID, Kind: w.Node.Kind, Major: w.Node.Major, Minor: w.Node.Minor}, nil
		}
	case "remount-ro":
		return bwrap.RemountRO{Dst: dst}, nil
	}
	return nil, fmt.Errorf("stage: unknown operation %q", w.Kind)
}
