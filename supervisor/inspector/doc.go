// Package inspector shows a running system in a browser, and answers the same as JSON:
//
//	mux := http.NewServeMux()
//	mux.Handle("/debug/tasklets/", inspector.Handler(sys))
//
// The pages are the tree with its problems first, a table of tasklets that can be sorted, one
// tasklet with all that is known of it, what is stuck, the last events, the dead letters, and the
// names, groups and schedulers of the system. Each page has an endpoint below api/ with the same
// rows, which are also those that package supervisor/tree writes to the log. So
//
//	watch -n1 curl -s localhost:8080/debug/tasklets/api/tree?format=text
//
// shows the tree in a terminal. docs/inspector.md describes all endpoints.
//
// The tasklets need not do anything for it. The handler never waits for a tasklet, so it shows a
// system whose schedulers are held. It never shows the contents of a message.
//
// # Who gets in
//
// Without [Authorize] the handler answers only requests whose remote address and whose Host header
// are both of the loopback interface, and which no proxy has forwarded. Requests that another
// site's page makes are refused in any case, for reads too, and so are those for a host name that
// the handler was not told, by which another site could reach it (DNS rebinding). Without
// [AllowActions] a request cannot change anything.
//
// # Cost
//
// All requests of a moment share one survey of the tree. It is used for half a second, or for five
// times as long as it took if that is more. Nothing is surveyed while nobody looks. At most eight
// streams are open at a time, and a browser needs one, however many tabs it has.
//
// From the first call of [Handler] on, the system keeps its last 1,000 events of level info and
// above, and those below that its log or Config.OnEvent takes anyway.
//
// # Clocks
//
// Times of tasklets and events are those of the system's clock. How long a survey is used, and how
// long a stream and a published state may take, is real time.
package inspector
