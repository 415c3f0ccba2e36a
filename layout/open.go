package layout

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// OpenOptions say which image of several is meant and what opening it may
// cost.
type OpenOptions struct {
	Platform string // os/arch[/variant]; "" = the host's
	Limits   Limits
}

// Open reads and verifies the documents of the image that ref and o select.
// No layer is read. Errors name the image.
func Open(ref Ref, o OpenOptions) (*Image, error) {
	img, err := open(ref, o)
	if err != nil {
		return nil, fmt.Errorf("image %s: %w", quote(ref.String()), err)
	}
	img.Name = ref.String()
	return img, nil
}

func open(ref Ref, o OpenOptions) (*Image, error) {
	want, err := wantedPlatform(o.Platform)
	if err != nil {
		return nil, err
	}
	path, err := filepath.Abs(ref.Path)
	if err != nil {
		return nil, err
	}
	form := ref.Transport
	if form == "" {
		if form, err = recognise(path); err != nil {
			return nil, err
		}
	}
	switch form {
	case "oci":
		return openOCI(path, ref.Tag, want, o.Limits.withDefaults())
	}
	return nil, fmt.Errorf("transport %q is not supported (supported: %s)", form, strings.Join(forms, ", "))
}

// recognise tells by its content which form of image path holds.
func recognise(path string) (string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", &hinted{
			errors.New("no such file or directory"),
			"IMAGE is a path on this machine; skopeo copy or crane pull --format=oci fetches one",
		}
	}
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return "", fmt.Errorf("not a directory (supported: an OCI image layout directory)")
	}
	if _, err := os.Lstat(filepath.Join(path, "oci-layout")); err == nil {
		return "oci", nil
	}
	return "", fmt.Errorf("not an image: the directory has no oci-layout file (supported: an OCI image layout directory)")
}
