package cluster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/internal/vitals"
	"github.com/gotasklet/tasklet/registry/cluster"
	"github.com/gotasklet/tasklet/registry/cluster/clustertest"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// linkTo returns what a node of the pair knows of the other one.
func linkTo(tb testing.TB, n *cluster.Node) cluster.LinkInfo {
	all := n.Links()
	require.Len(tb, all, 1)
	return all[0]
}

// rowOf returns the row of the tree for the only tasklet whose path ends so.
func rowOf(t *actor.Tasklet, end string) (row tree.Row) {
	n := 0
	for _, r := range tree.Snapshot(t.System().Root()) {
		if strings.HasSuffix(r.Path, end) {
			row = r
			n++
		}
	}
	require.Equal(actortest.TB(t), 1, n, "rows of %s", end)
	return row
}

func TestLinks(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		ref, _ := claim(p, "there", func(t *actor.Tasklet, m say) error {
			if m.N == 1 {
				return m.Ask.Send(t, 1)
			}
			return nil
		})
		_, err := ask(p, ref, 1)
		require.NoError(p.tb, err)
		for range 9 {
			require.NoError(p.tb, ref.Send(t, say{}))
		}
		t.Sleep(2 * time.Second)
		to := linkTo(p.tb, p.a)
		require.Equal(p.tb, "b", to.Peer.Name)
		require.Equal(p.tb, map[string]string{"zone": "2"}, to.Peer.Labels)
		require.Equal(p.tb, cluster.LinkUp, to.State)
		require.Equal(p.tb, 2*time.Second, to.For.Truncate(time.Second))
		require.Equal(p.tb, []int{1, 0, 0, 0}, []int{to.Outboxes, to.Waiting, to.Unconfirmed, to.Calls})
		require.EqualValues(p.tb, 10, to.Sent.Messages)
		back := linkTo(p.tb, p.b)
		require.EqualValues(p.tb, 10, back.Received.Messages)
		require.Zero(p.tb, to.Received.Messages, "an answer is no message")
		stats := p.net.Stats()
		require.EqualValues(p.tb, stats.Arrived, to.Received.Frames+back.Received.Frames)
		require.EqualValues(p.tb, stats.Sent, to.Sent.Frames+back.Sent.Frames)
		require.Greater(p.tb, to.Sent.Bytes, 10*to.Sent.Messages)

		// The network loses what goes to b, which then does not confirm.
		p.net.Cut("a", "b")
		for range 7 {
			require.NoError(p.tb, ref.Send(t, say{}))
		}
		call := actor.Go(t, func(t *actor.Tasklet) error {
			_, err := actor.Call(t, ref, func(r actor.Reply[int]) say { return say{N: 1, Ask: r} })
			return err
		})
		t.Sleep(1500 * time.Millisecond)
		to = linkTo(p.tb, p.a)
		require.Equal(p.tb, []int{8, 1}, []int{to.Unconfirmed, to.Calls})
		require.Equal(p.tb, "8", rowOf(t, "(cluster)/b/there").Labels["unconfirmed"])
		require.NotZero(p.tb, to.UnconfirmedBytes)
		p.net.Heal("a", "b")
		require.NoError(p.tb, call.Join(t))
		t.Sleep(1500 * time.Millisecond)
		to = linkTo(p.tb, p.a)
		require.Equal(p.tb, []int{0, 0}, []int{to.Unconfirmed, to.UnconfirmedBytes})
		require.NotZero(p.tb, to.Again)
		require.NotContains(p.tb, rowOf(t, "(cluster)/b/there").Labels, "unconfirmed")
		require.EqualValues(p.tb, 18, linkTo(p.tb, p.b).Received.Messages)
	})
}

// A target that takes nothing: its outbox has no credits left, its mailbox here is full, and its
// senders wait.
func TestLinkOfAParkedTarget(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		door := actortest.NewProbe[bool](t)
		stop := true
		ref, _ := claim(p, "there", func(t *actor.Tasklet, m say) error {
			for stop {
				t.Sleep(100 * time.Millisecond)
			}
			return nil
		}, actor.MailboxLen(4))
		sender := actor.Go(t, func(t *actor.Tasklet) error {
			for range 1500 {
				if err := ref.Send(t, say{}); err != nil {
					return err
				}
			}
			return door.Ref().Send(t, true)
		}, actor.Name("sender"))
		t.Sleep(3 * time.Second)
		to, there := linkTo(p.tb, p.a), linkTo(p.tb, p.b)
		require.Equal(p.tb, []int{1, 1, 0}, []int{to.Outboxes, to.Waiting, to.Unconfirmed})
		require.NotZero(p.tb, there.Queued, "b has them in its side queue")
		row := rowOf(t, "(cluster)/b/there")
		require.Equal(p.tb, "outbox", row.Kind)
		require.Equal(p.tb, map[string]string{"credits": "0", "waits": "for credits"}, row.Labels)
		require.Equal(p.tb, row.Mailbox.Cap, row.Mailbox.Len)
		require.Equal(p.tb, "send to", rowOf(t, "sender").Wait)
		require.Equal(p.tb, "1", rowOf(t, "test/(cluster)/b").Labels["waiting"])
		require.NotEmpty(p.tb, rowOf(t, "host-b/(cluster)/a").Labels["queued"])

		stop = false
		door.Expect(true)
		require.NoError(p.tb, sender.Join(t))
		t.Sleep(2 * time.Second)
		to = linkTo(p.tb, p.a)
		require.Equal(p.tb, []int{1, 0, 0}, []int{to.Outboxes, to.Waiting, to.Unconfirmed})
		require.EqualValues(p.tb, 1500, to.Sent.Messages)
		require.NotEqual(p.tb, "0", rowOf(t, "(cluster)/b/there").Labels["credits"])
	})
}

// A cut makes the other node suspect, and then it is down.
func TestLinkGoesDown(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		_, _ = claim(p, "there", func(*actor.Tasklet, say) error { return nil })
		t.Sleep(10 * time.Second)
		p.net.Partition("b")
		states := map[cluster.LinkState]time.Duration{}
		var order []string
		for range 300 {
			l := linkTo(p.tb, p.a)
			if s := l.State.String(); len(order) == 0 || order[len(order)-1] != s {
				order = append(order, s)
				require.LessOrEqual(p.tb, l.For, 15*time.Second)
			}
			require.Equal(p.tb, l.State == cluster.LinkDown, l.Cause != nil)
			states[l.State] += 100 * time.Millisecond
			if l.State == cluster.LinkSuspect {
				require.Equal(p.tb, "suspect", rowOf(t, "test/(cluster)/b").Labels["state"])
			}
			t.Sleep(100 * time.Millisecond)
		}
		require.Equal(p.tb, []string{"up", "suspect", "down"}, order)
		require.InDelta(p.tb, 3, states[cluster.LinkUp].Seconds(), 1.1, "suspect after 3 s")
		require.InDelta(p.tb, 12, states[cluster.LinkUp].Seconds()+states[cluster.LinkSuspect].Seconds(), 3.1, "down after the TTL")
		require.ErrorIs(p.tb, linkTo(p.tb, p.a).Cause, cluster.ErrDown)
		require.Equal(p.tb, []string{"a", "b"}, []string{vitals.ClusterNodes(t.System())[0].Name, vitals.ClusterNodes(t.System())[1].Name})
		require.Zero(p.tb, vitals.ClusterNodes(t.System())[1].Lease, "it can't know more")
		p.net.Calm()
		t.Sleep(5 * time.Second)
		require.Equal(p.tb, cluster.LinkUp, linkTo(p.tb, p.a).State, "another incarnation")
		require.Less(p.tb, linkTo(p.tb, p.a).For, 5*time.Second)
		require.NoError(p.tb, p.b.Leave(t))
		t.Sleep(time.Second)
		require.Equal(p.tb, cluster.LinkDown, linkTo(p.tb, p.a).State)
	}, actortest.Limit(time.Minute))
}

// However many nodes come and go, the number of those that are remembered is bounded.
func TestLinksOfNodesThatAreGone(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		net := clustertest.New(t, clustertest.Faults{})
		a, err := cluster.Join(t, t, cluster.Config{Name: "a", Connect: net})
		require.NoError(tb, err)
		for i := range 70 {
			n, err := cluster.Join(t, t, cluster.Config{Name: fmt.Sprintf("n%02d", i), Connect: net})
			require.NoError(tb, err)
			t.Sleep(100 * time.Millisecond)
			require.NoError(tb, n.Leave(t))
			t.Sleep(100 * time.Millisecond)
		}
		all := a.Links()
		require.Len(tb, all, 64)
		require.Equal(tb, "n06", all[0].Peer.Name)
		require.Equal(tb, "n69", all[63].Peer.Name)
	}, actortest.Limit(time.Hour))
}

// What the page and the metrics get. Counts go on when links and nodes have ended.
func TestVitals(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		sys := t.System()
		ref, _ := claim(p, "there", func(*actor.Tasklet, say) error { return nil })
		for range 10 {
			require.NoError(p.tb, ref.Send(t, say{}))
		}
		p.do(func(t *actor.Tasklet) {
			actor.StartTasklet(t, cluster.Singleton(p.b, "one", func(*cluster.Claimed) actor.Body {
				return actor.GoBody(func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
			}))
		})
		t.Sleep(3 * time.Second)
		nodes := vitals.ClusterNodes(sys)
		require.Len(p.tb, nodes, 2)
		a, b := nodes[0], nodes[1]
		require.Equal(p.tb, []string{"a", "b"}, []string{a.Name, b.Name})
		require.Equal(p.tb, "member", b.State)
		require.InDelta(p.tb, 10.5, b.Lease.Seconds(), 1.6)
		require.Equal(p.tb, []int{1, 1, 0}, []int{b.Names, b.Singletons, b.Shards})
		held := p.b.Claims()
		require.Equal(p.tb, []string{"singleton/one", "there"}, []string{held[0].Name, held[1].Name})
		require.Equal(p.tb, "b", a.Links[0].Node)
		require.EqualValues(p.tb, 10, a.Links[0].Sent.Messages)
		p.do(func(t *actor.Tasklet) { require.NoError(p.tb, held[1].Release(t)) })
		require.Equal(p.tb, 0, vitals.ClusterNodes(sys)[1].Names)
		p.do(func(t *actor.Tasklet) {
			again := actor.Receiver(t, func(*actor.Tasklet, say) error { return nil })
			for range 2 { // the second time it has the name already
				_, err := cluster.Claim(t, p.b, "there", again)
				require.NoError(p.tb, err)
			}
		})
		t.Sleep(100 * time.Millisecond)
		require.Equal(p.tb, 1, vitals.ClusterNodes(sys)[1].Names)
		names := map[string]string{}
		vitals.ClusterNames(sys, func(n vitals.ClusterName) bool {
			require.True(p.tb, n.Member)
			names[n.At+" "+n.Name] = n.Node + " " + n.Type
			return true
		})
		require.Equal(p.tb, map[string]string{
			"a there": "b test.say/1", "b there": "b test.say/1", "a singleton/one": "b ", "b singleton/one": "b ",
		}, names)

		p.a.Receive("b", []byte("no frame at all, but long enough for the head of one"))
		p.a.Receive("nobody", nil)
		t.Sleep(1100 * time.Millisecond)
		before := vitals.ClusterCountsOf(sys)
		require.EqualValues(p.tb, 10, before.Sent.Messages)
		require.EqualValues(p.tb, 10, before.Received.Messages)
		require.Equal(p.tb, [7]uint64{0: 1, 5: 1}, before.Refused, "%v", vitals.ClusterReasons)
		require.EqualValues(p.tb, 1, linkTo(p.tb, p.a).Refused)
		p.crash()
		t.Sleep(20 * time.Second)
		after := vitals.ClusterCountsOf(sys)
		require.EqualValues(p.tb, 10, after.Received.Messages)
		require.GreaterOrEqual(p.tb, after.Sent.Frames, before.Sent.Frames)
		require.Len(p.tb, vitals.ClusterNodes(sys), 1)
	})
}

// The rows of the tree, as text and as an entry of the log.
func TestClusterTree(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		ref, _ := claim(p, "there", func(*actor.Tasklet, say) error { return nil })
		require.NoError(p.tb, ref.Send(t, say{}))
		t.Sleep(2 * time.Second)
		var text bytes.Buffer
		require.NoError(p.tb, tree.Write(&text, p.a.Tasklet()))
		ids := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`)
		require.Regexp(p.tb, `(?m)^\(cluster\) +node +idle`, text.String())
		require.Contains(p.tb, ids.ReplaceAllString(text.String(), "ID"), "incarnation=ID  sent=1  state=up")
		require.Regexp(p.tb, `there +outbox +idle .* credits=31$`, firstWith(text.String(), "outbox"))

		var buf bytes.Buffer
		tree.Log(zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&buf), zap.InfoLevel)), p.a.Tasklet())
		var entry struct {
			Tree []struct {
				Kind    string
				State   string `json:"label_state"`
				Sent    string `json:"label_sent"`
				Credits string `json:"label_credits"`
			}
		}
		require.NoError(p.tb, json.Unmarshal(buf.Bytes(), &entry))
		seen := 0
		for _, r := range entry.Tree {
			switch r.Kind {
			case "link":
				seen++
				require.Equal(p.tb, []string{"up", "1"}, []string{r.State, r.Sent})
			case "outbox":
				seen++
				require.Equal(p.tb, "31", r.Credits)
			}
		}
		require.Equal(p.tb, 2, seen)
	})
}

func firstWith(text, part string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			return strings.TrimRight(line, "\n")
		}
	}
	return ""
}

// Links may be called on any goroutine, while messages flow.
func TestLinksFromOutside(t *testing.T) {
	sys, err := actor.Start(actor.Config{Logger: zap.NewNop()})
	require.NoError(t, err)
	stop := make(chan struct{})
	joined := make(chan *cluster.Node, 1)
	body := actor.Go(sys, func(t *actor.Tasklet) error {
		net := clustertest.New(t, clustertest.Faults{})
		a, err := cluster.Join(t, t, cluster.Config{Name: "a", Connect: net})
		if err != nil {
			return err
		}
		b, err := cluster.Join(t, t, cluster.Config{Name: "b", Connect: net})
		if err != nil {
			return err
		}
		if _, err := cluster.Claim(t, b, "there", actor.Receiver(t, func(*actor.Tasklet, say) error { return nil })); err != nil {
			return err
		}
		ref, err := cluster.WaitFor[say](t, a, "there")
		if err != nil {
			return err
		}
		joined <- a
		for {
			select {
			case <-stop:
				return nil
			default:
			}
			if err := ref.Send(t, say{}); err != nil {
				return err
			}
		}
	})
	a := <-joined
	deadline := time.Now().Add(20 * time.Second)
	for {
		l := linkTo(t, a)
		_ = tree.Write(new(bytes.Buffer), sys.Root())
		a.Claims()
		if l.Sent.Messages > 1000 || time.Now().After(deadline) {
			require.Greater(t, l.Sent.Messages, uint64(1000))
			break
		}
	}
	close(stop)
	require.NoError(t, body.Join(context.Background()))
	require.NoError(t, sys.Stop(context.Background()))
}

func TestLinkState(t *testing.T) {
	require.Equal(t, "suspect", cluster.LinkSuspect.String())
	require.Equal(t, "LinkState(9)", cluster.LinkState(9).String())
}

func ExampleNode_Links() {
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
	err := actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
		net := clustertest.New(t, clustertest.Faults{})
		shop, err := cluster.Join(t, t, cluster.Config{Name: "shop", Connect: net})
		if err != nil {
			return err
		}
		bank, err := cluster.Join(t, t, cluster.Config{Name: "bank", Connect: net})
		if err != nil {
			return err
		}
		show := func() {
			for _, l := range shop.Links() {
				fmt.Println(l.Peer.Name, "is", l.State, "since", l.For.Truncate(time.Second), l.Cause)
			}
		}
		t.Sleep(10 * time.Second)
		show()
		if err := bank.Leave(t); err != nil {
			return err
		}
		t.Sleep(2 * time.Second)
		show()
		return nil
	})
	fmt.Println(err)
	// Output:
	// bank is up since 10s <nil>
	// bank is down since 2s cluster: node "bank" is lost: its session has ended
	// <nil>
}
