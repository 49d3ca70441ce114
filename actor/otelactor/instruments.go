package otelactor

import (
	"errors"

	"go.opentelemetry.io/otel/metric"
)

// form is the way in which an instrument is read.
type form uint8

const (
	counter form = iota // only grows as long as its system lives
	upDown              // a sum of the moment, which can be added over attributes
	gauge               // a value of the moment, which cannot
)

// instrument is a row of the table in docs/metrics.md.
type instrument struct {
	name, unit string
	form       form
	float      bool
	attributes []string // besides system
	what       string
}

// The indexes of the instruments.
const (
	tasklets = iota
	started
	ended
	restarts
	giveUps
	handlerCalls
	handlerTime
	handlerBucket
	mailboxWaits
	mailboxTime
	mailboxBucket
	mailboxDepth
	mailboxDeepest
	mailboxOldest
	mailboxFull
	mailboxSenders
	lost
	callTimeouts
	stalls
	events
	schedulerReady
	schedulerBusy
	uptime
	surveyTime
	clusterNodes
	clusterLease
	clusterLinks
	clusterOutboxes
	clusterWaiting
	clusterUnconfirmed
	clusterQueued
	clusterCalls
	clusterClaims
	clusterMessages
	clusterFrames
	clusterBytes
	clusterAgain
	clusterRefused
	instrumentCount
)

var instruments = [instrumentCount]instrument{
	tasklets:       {"tasklet.tasklets", "{tasklet}", upDown, false, []string{"kind", "state"}, "Tasklets, and children of supervisors without a tasklet, by state."},
	started:        {"tasklet.started", "{tasklet}", counter, false, nil, "Tasklets that were started."},
	ended:          {"tasklet.ended", "{tasklet}", counter, false, []string{"reason"}, "Tasklets that have ended, by the way in which they ended."},
	restarts:       {"tasklet.restarts", "{restart}", counter, false, nil, "Restarts by supervisors and by sets of entities."},
	giveUps:        {"tasklet.give_ups", "{give_up}", counter, false, nil, "Supervisors and entities that have given up after too many restarts."},
	handlerCalls:   {"tasklet.handler.calls", "{call}", counter, false, []string{"kind"}, "Calls of handlers, one for each message, batch or round."},
	handlerTime:    {"tasklet.handler.time", "s", counter, true, []string{"kind"}, "The time that calls of handlers have taken, waits inside them included."},
	handlerBucket:  {"tasklet.handler.duration.bucket", "{call}", counter, false, []string{"kind", "le"}, "Calls of handlers that have taken less than le seconds."},
	mailboxWaits:   {"tasklet.mailbox.waits", "{message}", counter, false, []string{"kind"}, "Messages that tasklets have taken from their mailboxes."},
	mailboxTime:    {"tasklet.mailbox.time", "s", counter, true, []string{"kind"}, "The time that these messages were in the mailbox."},
	mailboxBucket:  {"tasklet.mailbox.duration.bucket", "{message}", counter, false, []string{"kind", "le"}, "Messages that were in the mailbox for less than le seconds."},
	mailboxDepth:   {"tasklet.mailbox.depth", "{message}", upDown, false, []string{"kind"}, "Messages in all mailboxes."},
	mailboxDeepest: {"tasklet.mailbox.deepest", "{message}", gauge, false, []string{"kind"}, "Messages in the mailbox that has the most."},
	mailboxOldest:  {"tasklet.mailbox.oldest", "s", gauge, true, []string{"kind"}, "A time for which the oldest message has waited at least."},
	mailboxFull:    {"tasklet.mailbox.full", "{mailbox}", upDown, false, []string{"kind"}, "Mailboxes without room."},
	mailboxSenders: {"tasklet.mailbox.senders", "{sender}", upDown, false, []string{"kind"}, "Senders and timers that wait for room in a mailbox."},
	lost:           {"tasklet.messages.lost", "{message}", counter, false, []string{"reason"}, "Messages that were accepted and not handled."},
	callTimeouts:   {"tasklet.call.timeouts", "{call}", counter, false, nil, "Calls that ended before their reply came."},
	stalls:         {"tasklet.stalls", "{stall}", counter, false, nil, "Tasklets that have kept their scheduler for too long."},
	events:         {"tasklet.events", "{event}", counter, false, []string{"event"}, "Events by kind, whether they are logged or not."},
	schedulerReady: {"tasklet.scheduler.ready", "{tasklet}", upDown, false, []string{"scheduler"}, "Tasklets that wait for their turn."},
	schedulerBusy:  {"tasklet.scheduler.busy", "s", counter, true, []string{"scheduler"}, "The time in which a scheduler had work."},
	uptime:         {"tasklet.uptime", "s", gauge, true, nil, "The time since the start of the system."},
	surveyTime:     {"tasklet.survey.time", "s", gauge, true, nil, "The time that the last walk over all tasklets has taken."},

	clusterNodes:       {"tasklet.cluster.nodes", "{node}", upDown, false, []string{"state"}, "Nodes of a cluster in this process, by state."},
	clusterLease:       {"tasklet.cluster.lease", "s", gauge, true, nil, "The time for which a node may count on its session; the least of all."},
	clusterLinks:       {"tasklet.cluster.links", "{link}", upDown, false, []string{"state"}, "Other nodes that are known, by state."},
	clusterOutboxes:    {"tasklet.cluster.outboxes", "{outbox}", upDown, false, nil, "Refs to other nodes that are used."},
	clusterWaiting:     {"tasklet.cluster.outboxes.waiting", "{outbox}", upDown, false, nil, "Outboxes whose message waits for room on the other node."},
	clusterUnconfirmed: {"tasklet.cluster.unconfirmed", "{message}", upDown, false, nil, "Messages to other nodes that are not confirmed."},
	clusterQueued:      {"tasklet.cluster.queued", "{message}", upDown, false, nil, "Messages of other nodes that wait for room in a mailbox."},
	clusterCalls:       {"tasklet.cluster.calls", "{call}", upDown, false, nil, "Calls that another node has to answer."},
	clusterClaims:      {"tasklet.cluster.claims", "{claim}", upDown, false, []string{"of"}, "Names of the cluster that the process holds."},
	clusterMessages:    {"tasklet.cluster.messages", "{message}", counter, false, []string{"direction"}, "Messages to and from other nodes."},
	clusterFrames:      {"tasklet.cluster.frames", "{frame}", counter, false, []string{"direction"}, "Frames to and from other nodes."},
	clusterBytes:       {"tasklet.cluster.bytes", "By", counter, false, []string{"direction"}, "The bytes of these frames."},
	clusterAgain:       {"tasklet.cluster.frames.again", "{frame}", counter, false, nil, "Frames that were sent once more."},
	clusterRefused:     {"tasklet.cluster.frames.refused", "{frame}", counter, false, []string{"reason"}, "Frames that have come and were not accepted."},
}

// made has the instruments of a meter. The others are nil.
type made struct {
	ints   [instrumentCount]metric.Int64Observable
	floats [instrumentCount]metric.Float64Observable
	all    []metric.Observable
}

// makeInstruments makes all instruments.
func makeInstruments(m metric.Meter) (made, error) {
	var all made
	var errs []error
	for i, in := range instruments {
		var err error
		d, u := metric.WithDescription(in.what), metric.WithUnit(in.unit)
		switch {
		case in.form == counter && in.float:
			all.floats[i], err = m.Float64ObservableCounter(in.name, d, u)
		case in.form == counter:
			all.ints[i], err = m.Int64ObservableCounter(in.name, d, u)
		case in.form == upDown:
			all.ints[i], err = m.Int64ObservableUpDownCounter(in.name, d, u)
		case in.float:
			all.floats[i], err = m.Float64ObservableGauge(in.name, d, u)
		default:
			all.ints[i], err = m.Int64ObservableGauge(in.name, d, u)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if in.float {
			all.all = append(all.all, all.floats[i])
		} else {
			all.all = append(all.all, all.ints[i])
		}
	}
	return all, errors.Join(errs...)
}
