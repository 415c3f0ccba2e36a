package layout

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestWrongTransport names each transport for what is of another form: the
// message says what is missing, and that the name can be left out.
func TestWrongTransport(t *testing.T) {
	dir := makeTree(t, tempDir(t), "image/config.json="+wholeConfig, "image/rootfs/f=x", "oci/oci-layout={}")
	tar := filepath.Join(dir, "docker.tar")
	if err := os.WriteFile(tar, dockerSave(t, map[string]formsImage{"a:1": twoLayers(t, "a")}, "a:1"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		ref  Ref
		want string
		hint bool
	}{
		{Ref{"oci", filepath.Join(dir, "image"), ""}, "oci-layout: no such file", true},
		{Ref{"dir", filepath.Join(dir, "image"), ""}, "version: no such file", true},
		{Ref{"layers", filepath.Join(dir, "oci"), ""}, "config.json: no such file", true},
		{Ref{"bundle", filepath.Join(dir, "oci"), ""}, "config.json: no such file", true},
		{Ref{"oci-archive", tar, ""}, `"oci-layout": not in the archive`, true},
		{Ref{"oci", filepath.Join(dir, "oci"), ""}, "oci-layout: imageLayoutVersion", false},
		{Ref{"bundle", filepath.Join(dir, "image"), ""}, "no ociVersion", false},
	} {
		_, err := Open(test.ref, OpenOptions{})
		wantError(t, err, test.want)
		var h interface{ Hint() string }
		if has := errors.As(err, &h) && h.Hint() == formHint; has != test.hint {
			t.Errorf("%s: %v: the hint is there: %v", test.ref, err, has)
		}
	}
	if os.Geteuid() == 0 {
		return // whom no mode keeps from looking; TestAsOrdinaryUser is kept
	}
	closed := filepath.Join(dir, "oci")
	if err := os.Chmod(closed, 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(closed, 0o700)
	_, err := Open(Ref{"oci", closed, ""}, OpenOptions{})
	wantError(t, err, "oci-layout: permission denied")
	wantHint(t, err, "")
}
