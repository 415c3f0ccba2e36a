package main

import "golang.org/x/sys/unix"

// fileSystem names the kind of a directory's file system, as " (ext4)", where
// it is a known one, and says whether it is on another machine.
func fileSystem(dir string) (kind string, remote bool) {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return "", false
	}
	for _, known := range []struct {
		magic  int64
		name   string
		remote bool
	}{
		{unix.EXT4_SUPER_MAGIC, "ext4", false}, {unix.XFS_SUPER_MAGIC, "xfs", false}, {unix.BTRFS_SUPER_MAGIC, "btrfs", false},
		{unix.F2FS_SUPER_MAGIC, "f2fs", false}, {unix.TMPFS_MAGIC, "tmpfs", false}, {unix.OVERLAYFS_SUPER_MAGIC, "overlayfs", false},
		{0x2fc12fc1, "zfs", false}, {unix.NFS_SUPER_MAGIC, "nfs", true}, {unix.SMB2_SUPER_MAGIC, "smb", true}, {unix.CIFS_SUPER_MAGIC, "cifs", true},
		{unix.V9FS_MAGIC, "9p", true}, {unix.CEPH_SUPER_MAGIC, "ceph", true}, {unix.FUSE_SUPER_MAGIC, "fuse", true}, {unix.AFS_SUPER_MAGIC, "afs", true},
	} {
		if int64(st.Type) == known.magic {
			return " (" + known.name + ")", known.remote
		}
	}
	return "", false
}
