package convert

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// tmpfsWish is what a tmpfs is to be like.
type tmpfsWish struct {
	mode             *fs.FileMode
	size             int64 // 0 where none is given
	uid, gid         *int
	copyUp, readOnly bool
	attr             bwrap.Attr
	data             []string // options that tmpfs alone knows
}

// over gives the tmpfs with the options that are set.
func (o tmpfsWish) over(t bwrap.Tmpfs) bwrap.Tmpfs {
	t.Attr = o.attr
	if o.data != nil {
		t.Data = o.data
	}
	if o.mode != nil {
		t.Mode = *o.mode
	}
	if o.size != 0 {
		t.Size = o.size
	}
	if o.uid != nil {
		t.UID = *o.uid
	}
	if o.gid != nil {
		t.GID = *o.gid
	}
	return t
}

func tmpfsOptions(options []string) (o tmpfsWish, err error) {
	w := parseWords(options)
	o = tmpfsWish{copyUp: slices.Contains(options, "tmpcopyup"), readOnly: w.readOnly, attr: w.attr &^ (bwrap.Single | bwrap.Slave)}
	for _, option := range w.data {
		key, value, _ := strings.Cut(option, "=")
		switch key {
		case "mode":
			mode, err := octalMode(value)
			if err != nil {
				return o, fmt.Errorf("option %q: no octal mode", option)
			}
			o.mode = &mode
		case "uid", "gid":
			id, err := strconv.ParseUint(value, 10, 31)
			if err != nil {
				return o, fmt.Errorf("option %q: no id", option)
			}
			n := int(id)
			if key == "uid" {
				o.uid = &n
			} else {
				o.gid = &n
			}
		case "size":
			if strings.HasSuffix(value, "%") {
				o.data = append(o.data, option)
				continue
			}
			if o.size, err = parseSize(value); err != nil {
				return o, fmt.Errorf("option %q: %w", option, err)
			} else if o.size == 0 { // no limit
				o.data = append(o.data, option)
			}
		default:
			if !slices.Contains(tmpfsData[:], key) {
				return o, fmt.Errorf("option %q: tmpfs has no such option", option)
			}
			o.data = append(o.data, option)
		}
	}
	return o, nil
}

// tmpfsData are the options of tmpfs that are handed on as they are.
var tmpfsData = [...]string{"nr_inodes", "nr_blocks", "huge", "mpol", "inode32", "inode64", "noswap"}

// fileMode turns the twelve bits of chmod(2) into Go's.
func fileMode(bits uint32) fs.FileMode {
	m := fs.FileMode(bits & 0o777)
	if bits&0o4000 != 0 {
		m |= fs.ModeSetuid
	}
	if bits&0o2000 != 0 {
		m |= fs.ModeSetgid
	}
	if bits&0o1000 != 0 {
		m |= fs.ModeSticky
	}
	return m
}

// parseSize reads a number of bytes with tmpfs' suffixes k, m and g.
func parseSize(s string) (int64, error) {
	shift := 0
	if s != "" {
		shift = map[byte]int{'k': 10, 'm': 20, 'g': 30}[s[len(s)-1]|0x20]
	}
	if shift != 0 {
		s = s[:len(s)-1]
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > (1<<62)>>shift {
		return 0, errors.New("no size in bytes, or with k, m or g")
	}
	return n << shift, nil
}
