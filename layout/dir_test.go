package layout

import (
	"path/filepath"
	"testing"
)

// TestDirTransport has skopeo's dir, with a manifest of each kind.
func TestDirTransport(t *testing.T) {
	img := twoLayers(t, "a")
	const version = "version=Directory Transport Version: 1.1\n"
	blob := func(b []byte, suffix string) string { return digestOf(b).Hex + suffix + "=" + string(b) }
	desc := func(mediaType string, b []byte) doc {
		return doc{"mediaType": mediaType, "digest": digestOf(b), "size": len(b)}
	}
	manifest := func(mediaType, config, layer string) []byte {
		m := doc{"schemaVersion": 2, "config": desc(config, img.config), "layers": []doc{desc(layer, img.layers[0]), desc(layer, img.layers[1])}}
		if mediaType != "" {
			m["mediaType"] = mediaType
		}
		return marshal(t, m)
	}
	const docker = "application/vnd.docker.distribution.manifest.v2+json"
	blobs := []string{version, blob(img.config, ""), blob(img.layers[0], ""), blob(img.layers[1], "")}
	oci := manifest("", ociConfig, ociLayer)
	list := marshal(t, doc{"schemaVersion": 2, "manifests": []doc{desc(ociManifest, oci)}})
	for name, test := range map[string]struct {
		paths []string
		tag   string
		err   string
	}{
		"OCI":             {paths: append(blobs, "manifest.json="+string(oci))},
		"docker":          {paths: append(blobs, "manifest.json="+string(manifest(docker, dockerConfig, dockerLayer)))},
		"list":            {paths: append(blobs, "manifest.json="+string(list), blob(oci, ".manifest.json"))},
		"tag":             {paths: append(blobs, "manifest.json="+string(oci)), tag: "v1", err: `no tag "v1" in manifest.json, which has no tags`},
		"tag of a list":   {paths: append(blobs, "manifest.json="+string(list)), tag: "v1", err: `no tag "v1"`},
		"list, no image":  {paths: append(blobs, "manifest.json="+string(list)), err: ".manifest.json: no such file"},
		"schema 1":        {paths: append(blobs, `manifest.json={"schemaVersion":1,"fsLayers":[]}`), err: "schema 1"},
		"no manifest":     {paths: append(blobs, `manifest.json={}`), err: "manifest.json: neither a manifest nor an index"},
		"cut short":       {paths: append(blobs, `manifest.json=`+string(oci[:50])), err: "manifest.json: unexpected end"},
		"docker archive":  {paths: []string{"manifest.json=[]"}, err: "not an image"},
		"version 2":       {paths: []string{"version=Directory Transport Version: 2.0\n", "manifest.json={}"}, err: "version: "},
		"no config":       {paths: []string{version, "manifest.json=" + string(oci)}, err: "config: " + digestOf(img.config).Hex + ": no such file"},
		"truncated layer": {paths: []string{version, blobs[1], blobs[2], digestOf(img.layers[1]).Hex + "=x", "manifest.json=" + string(oci)}, err: "truncated"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := openAMD64(t, makeTree(t, t.TempDir(), test.paths...), test.tag)
			if err == nil && test.err != "" {
				err = Unpack(t.Context(), got, filepath.Join(tempDir(t), "root"), UnpackOptions{})
			}
			if test.err != "" {
				wantError(t, err, test.err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			wantTwoLayers(t, got, "dir", "a")
		})
	}
}
