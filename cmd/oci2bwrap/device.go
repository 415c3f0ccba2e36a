package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/oci2bwrap/oci2bwrap/convert"
)

// parseDevice reads SRC[:DST][:ACCESS], and looks the device up, or all in
// the directory that SRC is.
func parseDevice(s string) ([]convert.Device, error) {
	parts := strings.Split(s, ":")
	src, dst, access := parts[0], parts[0], "rwm"
	rest := parts[1:]
	if len(rest) > 0 && strings.HasPrefix(rest[0], "/") {
		dst, rest = rest[0], rest[1:]
	}
	if len(rest) > 0 {
		access, rest = rest[0], rest[1:]
	}
	if len(rest) > 0 || access == "" || strings.Trim(access, "rwm") != "" {
		return nil, errors.New("is not SRC[:DST][:rwm]")
	}
	if !filepath.IsAbs(src) {
		return nil, &hinted{fmt.Errorf("source %q is not absolute", src), "--device /dev/" + filepath.Base(src)}
	}
	real, err := filepath.EvalSymlinks(src)
	if err != nil {
		return nil, err
	}
	var devices []convert.Device
	err = filepath.WalkDir(real, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() || path != real && entry.Type()&fs.ModeDevice == 0 {
			return nil
		}
		d, err := lookAtDevice(path)
		d.Path, d.Access = filepath.Join(dst, strings.TrimPrefix(path, real)), access
		devices = append(devices, d)
		return err
	})
	if err == nil && len(devices) == 0 {
		err = errors.New("has no devices in it")
	}
	return devices, err
}

// lookAtDevice tells what the node of the host is.
func lookAtDevice(path string) (convert.Device, error) {
	info, err := os.Stat(path)
	if err != nil {
		return convert.Device{}, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || info.Mode()&fs.ModeDevice == 0 {
		return convert.Device{}, fmt.Errorf("%s is no device", path)
	}
	d := convert.Device{Source: path, Node: convert.Node{
		Type: "b", Major: int64(unix.Major(uint64(st.Rdev))), Minor: int64(unix.Minor(uint64(st.Rdev))),
	}, Mode: info.Mode().Perm(), UID: st.Uid, GID: st.Gid}
	if info.Mode()&fs.ModeCharDevice != 0 {
		d.Type = "c"
	}
	return d, nil
}
