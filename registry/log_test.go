package registry_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/registry"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

var rewriteLogs = flag.Bool("rewrite-logs", false, "write the logs in testdata anew; commit only what you understand")

// Rule 39: names and groups show as events and in the tree of the log. The same seed gives the same
// log.
func TestLog(t *testing.T) {
	file := filepath.Join("testdata", "shop.txt")
	log := shop(t, 1)
	if *rewriteLogs {
		require.NoError(t, os.WriteFile(file, []byte(log), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "to make it, run the test with -rewrite-logs")
	require.Equal(t, string(want), log)
	for seed := uint64(2); seed < 5; seed++ {
		require.Equal(t, shop(t, seed), shop(t, seed))
	}
}

// shop gives the events, and what the tree says of names and groups, of a run.
func shop(t *testing.T, seed uint64) string {
	var b strings.Builder
	start := time.Unix(0, 0)
	cfg := actor.Config{Name: "shop", Clock: scheduler.NewVirtualClock(start), Seed: seed, Logger: zap.NewNop()}
	cfg.OnEvent = func(e actor.EventRecord) {
		switch e.Kind {
		case registry.EventNameRegistered, registry.EventNameLost, registry.EventGroupJoined, registry.EventGroupLeft:
			fmt.Fprintf(&b, "t=%v %v %s %s=%s\n", e.Time.Sub(start), e.Kind, e.Path, e.Fields[0].Key, e.Fields[0].String)
		case event.Spawn, event.Exit, supervisor.EventRestart:
			fmt.Fprintf(&b, "t=%v %v %s\n", e.Time.Sub(start), e.Kind, e.Path)
		}
	}
	name, labels := regexp.MustCompile(`\pL+`), regexp.MustCompile(`(name|groups)=\S+`)
	say := func(k *actor.Tasklet, what string) {
		fmt.Fprintf(&b, "---- %s\n", what)
		var out strings.Builder
		if err := tree.Write(&out, k, tree.Width(200)); err != nil {
			panic(err)
		}
		for line := range strings.Lines(out.String()) {
			if has := labels.FindAllString(line, -1); has != nil {
				fmt.Fprintln(&b, name.FindString(line), strings.Join(has, " "))
			}
		}
		fmt.Fprintln(&b, "----")
	}
	err := actor.Run(context.Background(), cfg, func(k *actor.Tasklet) error {
		r := registry.Of(k.System())
		workers := group[int](t, r, "workers")
		spec := supervisor.Spec{Name: "pool"}
		var refs []actor.Ref[int]
		for _, name := range []string{"ada", "bob"} {
			c, ref := named(r, name)
			spec.Children = append(spec.Children, c)
			refs = append(refs, ref)
		}
		s, err := supervisor.Start(k, spec)
		if err != nil {
			return err
		}
		for _, ref := range refs {
			if err := workers.Join(ref); err != nil {
				return err
			}
		}
		guest := idle(k, actor.Name("guest"))
		actor.Go(k, func(k *actor.Tasklet) error {
			_, err := registry.WaitFor[int](k, r, "visitor")
			return err
		}, actor.Name("host"))
		k.Sleep(time.Second)
		if err := registry.Register(r, "visitor", guest); err != nil {
			return err
		}
		if err := workers.Join(guest); err != nil {
			return err
		}
		say(k, "all are there")
		if err := refs[0].Send(k, -1); err != nil {
			return err
		}
		k.Sleep(time.Second)
		say(k, "ada has crashed, and keeps what she has")
		guest.Kill()
		_ = guest.Join(k)
		if err := s.StopChild(k, "bob"); err != nil {
			return err
		}
		say(k, "the guest has gone, bob is stopped")
		if err := s.DeleteChild(k, "bob"); err != nil {
			return err
		}
		r.Unregister("ada")
		say(k, "bob is deleted, ada has no name")
		return nil
	})
	require.NoError(t, err)
	return b.String()
}
