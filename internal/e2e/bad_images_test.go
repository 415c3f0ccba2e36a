package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	ispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/oci2bwrap/oci2bwrap/fixtures"
)

// writeBadImages writes layouts into dir, each with one fault that its name tells.
func writeBadImages(dir string) error {
	for name, damage := range map[string]func(dir string) error{
		"missing-layer":    func(dir string) error { return onLayer(dir, os.Remove) },
		"wrong-digest":     func(dir string) error { return onLayer(dir, flipByte) },
		"truncated-layer":  func(dir string) error { return onLayer(dir, halve) },
		"wrong-diff-id":    func(dir string) error { return onConfig(dir, swapDiffID) },
		"short-tar":        func(dir string) error { return replaceLayer(dir, shortTar) },
		"missing-manifest": removeManifest,
		"other-platform":   func(dir string) error { return writeBase(dir, ispec.Platform{OS: "linux", Architecture: "s390x"}) },
		"no-layout":        func(dir string) error { return os.Remove(filepath.Join(dir, ispec.ImageLayoutFile)) },
		"bad-index": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, ispec.ImageIndexFile), []byte("{"), 0o644)
		},
		"unknown-user":   func(dir string) error { return onConfig(dir, unknownUser) },
		"volume-at-proc": func(dir string) error { return onConfig(dir, volumeAtProc) },
	} {
		path := filepath.Join(dir, name)
		if err := writeBase(path, ispec.Platform{}); err != nil {
			return err
		}
		if name == "other-platform" {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
		if err := damage(path); err != nil {
			return fmt.Errorf("bad image %s: %w", name, err)
		}
	}
	return nil
}

// writeBase writes the sound image that the bad ones begin as. Its second layer is
// the one that gets damaged: by then the first has been unpacked.
func writeBase(dir string, platform ispec.Platform) error {
	userland, err := fixtures.Userland()
	if err != nil {
		return err
	}
	upper := fixtures.Layer{Entries: []fixtures.Entry{fixtures.Dir("srv", 0o755)}}
	for i := range 200 {
		upper.Entries = append(upper.Entries, fixtures.File(fmt.Sprintf("srv/%d", i), 0o644, fmt.Sprint(i*i)))
	}
	return fixtures.WriteImages(dir, fixtures.Image{
		Tag: "v1", Platform: platform,
		Config: ispec.ImageConfig{Cmd: []string{"/bin/true"}},
		Layers: []fixtures.Layer{userland, upper},
	})
}

func onLayer(dir string, damage func(path string) error) error {
	_, manifest, err := documents(dir)
	if err != nil {
		return err
	}
	return damage(fixtures.BlobPath(dir, manifest.Layers[len(manifest.Layers)-1].Digest))
}

func flipByte(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	data[len(data)/2] ^= 0xff
	return os.WriteFile(path, data, 0o644)
}

func halve(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	return os.Truncate(path, info.Size()/2)
}

func removeManifest(dir string) error {
	index, _, err := documents(dir)
	if err != nil {
		return err
	}
	return os.Remove(fixtures.BlobPath(dir, index.Manifests[0].Digest))
}

func swapDiffID(config *ispec.Image) {
	config.RootFS.DiffIDs[1] = digest.FromString("another layer")
}

func unknownUser(config *ispec.Image) { config.Config.User = "nobody-of-that-name" }

func volumeAtProc(config *ispec.Image) {
	config.Config.Volumes = map[string]struct{}{"/srv/../proc": {}}
}

// onConfig changes the image's config and everything that names its digest, so
// that the change is the only fault.
func onConfig(dir string, change func(*ispec.Image)) error {
	index, manifest, err := documents(dir)
	if err != nil {
		return err
	}
	var config ispec.Image
	if err := readJSON(fixtures.BlobPath(dir, manifest.Config.Digest), &config); err != nil {
		return err
	}
	change(&config)
	if err := restate(dir, &manifest.Config, config); err != nil {
		return err
	}
	return writeDocuments(dir, index, manifest)
}

// replaceLayer changes the uncompressed last layer, its blob plain from then on,
// and everything that names it: only the tar itself is at fault.
func replaceLayer(dir string, change func() []byte) error {
	index, manifest, err := documents(dir)
	if err != nil {
		return err
	}
	data := change()
	d := digest.FromBytes(data)
	if err := os.WriteFile(fixtures.BlobPath(dir, d), data, 0o644); err != nil {
		return err
	}
	last := len(manifest.Layers) - 1
	manifest.Layers[last] = ispec.Descriptor{MediaType: ispec.MediaTypeImageLayer, Digest: d, Size: int64(len(data))}
	if err := writeDocuments(dir, index, manifest); err != nil {
		return err
	}
	return onConfig(dir, func(config *ispec.Image) { config.RootFS.DiffIDs[last] = d })
}

// shortTar is a tar whose only entry claims more content than there is.
func shortTar() []byte {
	header := bytes.Repeat([]byte{0}, 512)
	copy(header, "srv/long")
	copy(header[100:], "0000644\x000000000\x000000000\x0000000010000\x0000000000000\x00")
	copy(header[148:], "        ")
	header[156] = '0'
	copy(header[257:], "ustar\x0000")
	total := 0
	for _, b := range header {
		total += int(b)
	}
	copy(header[148:], fmt.Sprintf("%06o\x00 ", total))
	return append(header, "too short"...)
}

func documents(dir string) (index ispec.Index, manifest ispec.Manifest, err error) {
	if err = readJSON(filepath.Join(dir, ispec.ImageIndexFile), &index); err != nil {
		return index, manifest, err
	}
	err = readJSON(fixtures.BlobPath(dir, index.Manifests[0].Digest), &manifest)
	return index, manifest, err
}

func writeDocuments(dir string, index ispec.Index, manifest ispec.Manifest) error {
	if err := restate(dir, &index.Manifests[0], manifest); err != nil {
		return err
	}
	data, err := json.Marshal(index)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, ispec.ImageIndexFile), data, 0o644)
}

// restate writes document as a blob and makes descriptor name it.
func restate(dir string, descriptor *ispec.Descriptor, document any) error {
	data, err := json.Marshal(document)
	if err != nil {
		return err
	}
	descriptor.Digest, descriptor.Size = digest.FromBytes(data), int64(len(data))
	return os.WriteFile(fixtures.BlobPath(dir, descriptor.Digest), data, 0o644)
}

func readJSON(path string, document any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, document)
}
