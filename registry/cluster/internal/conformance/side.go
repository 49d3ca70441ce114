package conformance

import (
	"context"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/registry"
	"github.com/gotasklet/tasklet/registry/cluster"
)

// do calls f in a tasklet of the side, with its context, or with ctx if that is the side where the
// behaviour runs.
func (s *Side) do(ctx context.Context, f func(ctx context.Context)) {
	if s.Do == nil {
		f(ctx)
		return
	}
	s.Do(actor.Current(ctx), func(t *actor.Tasklet) { f(t) })
}

// claim gives a ref of the side a name.
func (s *Side) claim(ctx context.Context, name string, ref actor.Ref[msg]) (err error) {
	s.do(ctx, func(ctx context.Context) {
		if s.Node == nil {
			err = registry.Register(s.Registry, name, ref)
		} else {
			_, err = cluster.Claim(ctx, s.Node, name, ref)
		}
	})
	return err
}

// find returns the ref with a name.
func (s *Side) find(ctx context.Context, name string) (actor.Ref[msg], error) {
	return find[msg](ctx, s, name)
}

func find[M any](ctx context.Context, s *Side, name string) (ref actor.Ref[M], err error) {
	s.do(ctx, func(ctx context.Context) {
		if s.Node == nil {
			ref, err = registry.Lookup[M](s.Registry, name)
		} else {
			ref, err = cluster.Find[M](ctx, s.Node, name)
		}
	})
	return ref, err
}

// waitFor returns the ref with a name as soon as there is one.
func (s *Side) waitFor(ctx context.Context, name string) (ref actor.Ref[msg], err error) {
	s.do(ctx, func(ctx context.Context) {
		if s.Node == nil {
			ref, err = registry.WaitFor[msg](ctx, s.Registry, name)
		} else {
			ref, err = cluster.WaitFor[msg](ctx, s.Node, name)
		}
	})
	return ref, err
}

// group is a group as one side sees it.
type group interface {
	Join(ctx context.Context, ref actor.Ref[msg]) error
	Leave(ctx context.Context, ref actor.Ref[msg]) error
	Members() []actor.Ref[msg]
	Broadcast(ctx context.Context, m msg) (sent int, err error)
	Next() (actor.Ref[msg], error)
	ForKey(key string) (actor.Ref[msg], error)
}

// remote is a group of the side there.
type remote struct {
	group
	side *Side
}

func (r remote) Join(ctx context.Context, ref actor.Ref[msg]) (err error) {
	r.side.do(ctx, func(ctx context.Context) { err = r.group.Join(ctx, ref) })
	return err
}

func (r remote) Leave(ctx context.Context, ref actor.Ref[msg]) (err error) {
	r.side.do(ctx, func(ctx context.Context) { err = r.group.Leave(ctx, ref) })
	return err
}

// local is a group without nodes.
type local struct{ *registry.Group[msg] }

func (l local) Join(_ context.Context, ref actor.Ref[msg]) error { return l.Group.Join(ref) }

func (l local) Leave(_ context.Context, ref actor.Ref[msg]) error {
	l.Group.Leave(ref)
	return nil
}

// group returns a group by its name.
func (p *Place) group(s *Side, name string) group {
	p.TB.Helper()
	if s.Node == nil {
		g, err := registry.NewGroup[msg](s.Registry, name)
		require.NoError(p.TB, err)
		return remote{local{g}, s}
	}
	g, err := cluster.NewGroup[msg](s.Node, name)
	require.NoError(p.TB, err)
	return remote{g, s}
}
