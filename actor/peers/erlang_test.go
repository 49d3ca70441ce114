package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gotasklet/tasklet/actor/peers/work"
	"github.com/gotasklet/tasklet/actor/peers/work/worktest"
)

// The Erlang program does all of the work too, and says what else it is asked for.
func TestErlang(t *testing.T) {
	argv, err := erlang(t.Context(), t.TempDir())
	if err != nil {
		t.Skip(err)
	}
	p := runnable{allPeers[len(allPeers)-1], argv}
	for _, w := range work.Workloads {
		if !w.DoneBy(p.name) {
			continue
		}
		t.Run(w.Name, func(t *testing.T) {
			t.Parallel()
			params := worktest.Tiny(w.Sizes[len(w.Sizes)-1].Params)
			r, err := p.run(t.Context(), w, params, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			worktest.Check(t, w, params, r)
			if !strings.HasPrefix(r.Version, "OTP ") {
				t.Errorf("version %q", r.Version)
			}
		})
	}
	t.Run("unknown", func(t *testing.T) {
		t.Parallel()
		_, err := p.run(t.Context(), work.Workload{Name: "nope"}, work.Params{Operations: 1}, time.Minute)
		if err == nil || !strings.Contains(err.Error(), `no workload "nope"`) {
			t.Error(err)
		}
	})
}

func TestErlangIsNotInstalled(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := erlang(t.Context(), t.TempDir()); err == nil || !strings.Contains(err.Error(), "erlang-base") {
		t.Error(err)
	}
}

func TestEscriptIsWritten(t *testing.T) {
	bin, dir := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "escript"), []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	argv, err := erlang(t.Context(), dir)
	if err != nil || len(argv) != 2 || argv[0] != filepath.Join(bin, "escript") {
		t.Fatal(argv, err)
	}
	if text, err := os.ReadFile(argv[1]); err != nil || !strings.HasPrefix(string(text), "#!/usr/bin/env escript") {
		t.Error(err)
	}
}
