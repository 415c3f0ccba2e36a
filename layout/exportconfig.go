package layout

import (
	"cmp"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"

	ispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// exportConfig is the image config of directories: their own, for the platform
// that they are of, or what of a bundle's config.json an image can say.
func (i *Image) exportConfig() (ispec.Image, error) {
	config := i.Config
	if i.Bundle != nil {
		var err error
		if config.Config, err = bundleConfig(i.Bundle); err != nil {
			return config, err
		}
	}
	config.OS = cmp.Or(config.OS, "linux")
	if config.Architecture == "" {
		config.Architecture = cmp.Or(i.Platform.Architecture, runtime.GOARCH)
		config.Variant = cmp.Or(config.Variant, i.Platform.Variant)
	}
	return config, nil
}

// bundleConfig turns a bundle's process into an image's. An image has no words
// for the rest, which says how a container is confined and not what it runs.
func bundleConfig(raw []byte) (ispec.ImageConfig, error) {
	var c ispec.ImageConfig
	var doc struct {
		Process struct {
			Args []string `json:"args"`
			Env  []string `json:"env"`
			Cwd  string   `json:"cwd"`
			User struct {
				UID uint32 `json:"uid"`
				GID uint32 `json:"gid"`
			} `json:"user"`
		} `json:"process"`
		Annotations map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return c, fmt.Errorf("%s: %w", configFile, foreign(err))
	}
	c.Entrypoint, c.Env, c.WorkingDir, c.Labels = doc.Process.Args, doc.Process.Env, doc.Process.Cwd, doc.Annotations
	c.User = fmt.Sprintf("%d:%d", doc.Process.User.UID, doc.Process.User.GID)
	return c, nil
}

// withDockerKeys encodes the config with the keys that only docker has, such
// as Healthcheck, which image-spec's type drops.
func (i *Image) withDockerKeys(config ispec.Image) ([]byte, error) {
	raw, err := json.Marshal(config)
	if err != nil || i.RawConfig == nil {
		return raw, err
	}
	var have, out map[string]json.RawMessage
	if err := json.Unmarshal(i.RawConfig, &have); err != nil {
		return nil, foreign(err)
	}
	object := map[string]json.RawMessage{}
	for key, value := range have {
		if strings.EqualFold(key, "config") {
			if err := json.Unmarshal(value, &object); err != nil {
				return nil, foreign(err)
			}
		}
	}
	extra := map[string]json.RawMessage{}
	for key, value := range object {
		n := slices.IndexFunc(dockerKeys[:], func(k string) bool { return strings.EqualFold(k, key) })
		if n >= 0 {
			extra[dockerKeys[n]] = value
		}
	}
	if len(extra) == 0 {
		return raw, nil
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return nil, err
	}
	var inner map[string]json.RawMessage
	if err := json.Unmarshal(out["config"], &inner); err != nil {
		return nil, err
	}
	for key, value := range extra {
		inner[key] = value
	}
	if out["config"], err = json.Marshal(inner); err != nil {
		return nil, err
	}
	return json.Marshal(out)
}
