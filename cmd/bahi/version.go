package main

import "runtime/debug"

// version says what this program was built from: the module's version, or the
// revision of the repository, which the Go toolchain records.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "of an unknown build"
	}
	var revision, changed string
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = " (" + s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = ", with changes"
		}
	}
	if revision != "" {
		revision += changed + ")"
	}
	return info.Main.Version + revision + " " + info.GoVersion
}
