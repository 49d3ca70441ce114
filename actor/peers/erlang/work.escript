#!/usr/bin/env escript
%%! -smp enable
%% The work of the comparison in Erlang. Arguments and output are those of the Go programs, see
%% work/main.go:
%%
%%   escript work.escript WORKLOAD ACTORS OPERATIONS WARMUP SCHEDULERS BUSY
%%
%% Each workload returns {Done, Nanoseconds, Bytes}; Done is counted by the processes that did the
%% work. It is compiled, not interpreted. What an end by a crash would write to the log is switched
%% off, as everywhere in the comparison.
-mode(compile).
-export([init/1, handle_call/3, handle_cast/2]).

-define(TREE_WIDTH, 1000).
-define(BOUND, 1024).

main([Name, A, O, W, _Schedulers, _Busy]) ->
    logger:set_primary_config(level, none),
    [Actors, Operations, Warmup] = [list_to_integer(S) || S <- [A, O, W]],
    Work = work(Name),
    _ = [run(Work, Actors, Warmup) || Warmup > 0],
    {Done, Ns, Bytes} = run(Work, Actors, Operations),
    io:format("{\"version\":\"OTP ~s, ERTS ~s, ~s\",\"done\":~b,\"ns\":~b,\"bytes\":~b,\"allocs\":-1}~n",
              [erlang:system_info(otp_release), erlang:system_info(version), erlang:system_info(emu_flavor), Done, Ns, Bytes]);
main(_) ->
    io:format(standard_error, "erlang: the arguments are WORKLOAD ACTORS OPERATIONS WARMUP SCHEDULERS BUSY~n", []),
    halt(2).

work("ping-pong") -> fun ping_pong/2;
work("counting") -> fun(_, O) -> fan_in(1, O) end;
work("ring") -> fun(A, O) -> ring(A, O, 1) end;
work("big") -> fun big/2;
work("fork-join") -> fun fork_join/2;
work("idle") -> fun idle/2;
work("call") -> fun call/2;
work("teardown") -> fun teardown/2;
work("restart") -> fun restart/2;
work("fan-in") -> fun fan_in/2;
work("spread") -> fun(A, O) -> ring(A, O, stride(A)) end;
work("chain") -> fun chain/2;
work(Name) ->
    io:format(standard_error, "erlang has no workload \"~s\"~n", [Name]),
    halt(2).

%% run does the work in a process of its own, whose garbage goes with it.
run(Work, Actors, Operations) ->
    {Pid, Ref} = spawn_monitor(fun() -> exit({result, Work(Actors, Operations)}) end),
    receive
        {'DOWN', Ref, process, Pid, {result, Result}} -> Result;
        {'DOWN', Ref, process, Pid, Reason} ->
            io:format(standard_error, "erlang: ~p~n", [Reason]),
            halt(1)
    end.

timed(F) ->
    erlang:garbage_collect(),
    Begin = erlang:monotonic_time(nanosecond),
    Done = F(),
    {Done, erlang:monotonic_time(nanosecond) - Begin, 0}.

%% ended waits until as many monitored processes have ended as there are monitors. It takes them in
%% the order in which they come: to wait for a certain one would search all the others each time.
ended(Monitors) -> [receive {'DOWN', _, process, _, _} -> ok end || _ <- Monitors].

ping_pong(_, N) ->
    Self = self(),
    Pong = spawn_link(fun() -> pong(0) end),
    Ping = spawn_link(fun() -> receive go -> Self ! {pings, ping(Pong, N div 2, 0)} end end),
    {Pings, Ns, _} = timed(fun() -> Ping ! go, receive {pings, P} -> P end end),
    Pong ! {stop, Self},
    receive {pongs, Pongs} -> {Pings + Pongs, Ns, 0} end.

ping(_, 0, Counted) -> Counted;
ping(Pong, N, Counted) ->
    Pong ! {ball, N, self()},
    receive {ball, N} -> ping(Pong, N - 1, Counted + 1) end.

pong(Counted) ->
    receive
        {ball, N, From} -> From ! {ball, N}, pong(Counted + 1);
        {stop, To} -> To ! {pongs, Counted}
    end.

%% Mailboxes have no bound here. One that a whole stream piles up in costs its owner twice as much,
%% because its garbage collector goes through it; so senders wait until the counter confirms each
%% part, and no more than ?BOUND balls are on their way, as in the bounded mailboxes of others.
count(To, N, N) -> To ! {counted, N}, confirm();
count(To, N, Counted) ->
    receive
        {ball, _} -> count(To, N, Counted + 1);
        {confirm, From} -> From ! confirmed, count(To, N, Counted)
    end.

confirm() -> receive {confirm, From} -> From ! confirmed, confirm() end.

send(_, 0, _) -> ok;
send(To, N, Part) ->
    M = min(N, Part),
    send_part(To, M),
    To ! {confirm, self()},
    receive confirmed -> send(To, N - M, Part) end.

send_part(_, 0) -> ok;
send_part(To, N) -> To ! {ball, N}, send_part(To, N - 1).

fan_in(Actors, N) ->
    Self = self(),
    Counter = spawn_link(fun() -> count(Self, N, 0) end),
    Part = ?BOUND div Actors,
    Senders = [spawn_link(fun() -> receive go -> send(Counter, N div Actors, Part) end end)
               || _ <- lists:seq(1, Actors)],
    timed(fun() -> [S ! go || S <- Senders], receive {counted, Done} -> Done end end).

%% In the ring the message carries the count, and each place the pid of the next.
ring(Actors, N, Stride) ->
    Self = self(),
    Places = [spawn_monitor(fun() -> receive {next, Next} -> place(Self, Next) end end) || _ <- lists:seq(1, Actors)],
    Pids = list_to_tuple([P || {P, _} <- Places]),
    [element(I + 1, Pids) ! {next, element((I + Stride) rem Actors + 1, Pids)} || I <- lists:seq(0, Actors - 1)],
    [P ! hello || {P, _} <- Places], % what a process needs for its first message is not measured
    [receive hello -> ok end || _ <- Places],
    Result = timed(fun() -> element(1, Pids) ! {ball, N, 0}, receive {hops, Hops} -> Hops end end),
    [P ! stop || {P, _} <- Places],
    ended(Places),
    Result.

place(To, Next) ->
    receive
        {ball, 1, Hops} -> To ! {hops, Hops + 1}, place(To, Next);
        {ball, Left, Hops} -> Next ! {ball, Left - 1, Hops + 1}, place(To, Next);
        hello -> To ! hello, place(To, Next);
        stop -> ok
    end.

stride(N) -> stride(N, N * 618 div 1000).
stride(_, S) when S =< 1 -> 1;
stride(N, S) -> case gcd(S, N) of 1 -> S; _ -> stride(N, S - 1) end.

gcd(A, 0) -> A;
gcd(A, B) -> gcd(B, A rem B).

big(Actors, N) ->
    Self = self(),
    Each = N div (2 * Actors),
    Workers = [spawn_monitor(fun() -> receive {all, Pids} -> worker(Self, Pids, I, Each, 0) end end) || I <- lists:seq(0, Actors - 1)],
    Pids = list_to_tuple([P || {P, _} <- Workers]),
    [P ! {all, Pids} || {P, _} <- Workers],
    {_, Ns, _} = timed(fun() -> [P ! kick || {P, _} <- Workers], [receive done -> ok end || _ <- Workers], 0 end),
    [P ! stop || {P, _} <- Workers],
    Done = lists:sum([receive {handled, H} -> H end || _ <- Workers]),
    ended(Workers),
    {Done, Ns, 0}.

worker(To, Pids, Draw, Left, Handled) ->
    receive
        {ping, From} -> From ! pong, worker(To, Pids, Draw, Left, Handled + 1);
        pong when Left =:= 1 -> To ! done, worker(To, Pids, Draw, 0, Handled + 1);
        pong -> worker(To, Pids, ask(Pids, Draw), Left - 1, Handled + 1);
        kick -> worker(To, Pids, ask(Pids, Draw), Left, Handled);
        stop -> To ! {handled, Handled}
    end.

%% ask draws as work.Draw does.
ask(Pids, Draw) ->
    Next = (Draw * 1103515245 + 12345) band 16#7fffffff,
    element((Next bsr 8) rem tuple_size(Pids) + 1, Pids) ! {ping, self()},
    Next.

fork_join(_, N) ->
    Self = self(),
    timed(fun() ->
        [spawn(fun() -> receive {ball, _} -> Self ! handled end end) ! {ball, I} || I <- lists:seq(1, N)],
        length([receive handled -> ok end || _ <- lists:seq(1, N)])
    end).

%% The memory of the virtual machine as a whole still shrinks long after what was compiled at the
%% start has gone; so each process is asked for its own, after a collection.
idle(_, N) ->
    Self = self(),
    Begin = erlang:monotonic_time(nanosecond),
    Idle = [spawn_link(fun() -> idle_loop(Self) end) || _ <- lists:seq(1, N)],
    [P ! {ball, 1} || P <- Idle],
    Done = length([receive handled -> ok end || _ <- Idle]),
    Ns = erlang:monotonic_time(nanosecond) - Begin,
    Bytes = lists:sum([begin erlang:garbage_collect(P), {memory, M} = process_info(P, memory), M end || P <- Idle]),
    [P ! stop || P <- Idle],
    {Done, Ns, Bytes}.

idle_loop(To) ->
    receive
        {ball, _} -> To ! handled, idle_loop(To);
        stop -> ok
    end.

call(_, N) ->
    {ok, Server} = gen_server:start_link(?MODULE, [], []),
    Result = timed(fun() -> call_loop(Server, N, 0) end),
    gen_server:stop(Server),
    Result.

call_loop(_, 0, Answers) -> Answers;
call_loop(Server, N, Answers) ->
    case gen_server:call(Server, N) of
        M when M =:= N + 1 -> call_loop(Server, N - 1, Answers + 1);
        _ -> call_loop(Server, N - 1, Answers)
    end.

init([]) -> {ok, none}.
handle_call(N, _From, State) -> {reply, N + 1, State}.
handle_cast(_, State) -> {noreply, State}.

%% The end of a parent takes its children with it, through links; the driver monitors all of them.
teardown(_, N) ->
    Self = self(),
    Top = spawn(fun() -> parents(Self, N), receive never -> ok end end),
    Children = [receive {child, P} -> P end || _ <- lists:seq(1, N)],
    [P ! {ball, 1} || P <- Children],
    [receive handled -> ok end || _ <- Children],
    Monitors = [{P, monitor(process, P)} || P <- [Top | Children]],
    timed(fun() -> exit(Top, shutdown), length(ended(Monitors)) - 1 end).

parents(_, N) when N =< 0 -> ok;
parents(To, N) ->
    spawn_link(fun() ->
        [To ! {child, spawn_link(fun() -> idle_loop(To) end)} || _ <- lists:seq(1, min(?TREE_WIDTH, N))],
        receive never -> ok end
    end),
    parents(To, N - ?TREE_WIDTH).

%% The supervisor is written by hand: that of OTP looks through all restarts within its period at
%% each, and has no way to allow any number of them.
restart(_, N) ->
    Self = self(),
    Supervisor = spawn_link(fun() -> process_flag(trap_exit, true), supervise(Self, 1) end),
    Pid = receive {up, P, 1} -> P end,
    Result = timed(fun() -> crash(Pid, N, 1, 0) end),
    Supervisor ! stop,
    Result.

crash(_, 0, _, Restarts) -> Restarts;
crash(Pid, N, Incarnation, Restarts) ->
    Pid ! crash,
    receive {up, New, _} -> New ! {ball, self()} end,
    receive
        {answer, I} when I =:= Incarnation + 1 -> crash(New, N - 1, I, Restarts + 1);
        {answer, I} -> crash(New, N - 1, I, Restarts)
    end.

supervise(To, Incarnation) ->
    Pid = spawn_link(fun() -> fragile(Incarnation) end),
    To ! {up, Pid, Incarnation},
    receive
        {'EXIT', Pid, _} -> supervise(To, Incarnation + 1);
        stop -> exit(Pid, kill)
    end.

fragile(Incarnation) ->
    receive
        crash -> error(crash);
        {ball, From} -> From ! {answer, Incarnation}, fragile(Incarnation)
    end.

chain(Depth, N) ->
    timed(fun() -> lists:sum([chain_once(Depth) || _ <- lists:seq(1, N div Depth)]) end).

chain_once(Depth) ->
    Self = self(),
    {Top, Ref} = spawn_monitor(fun() -> level(Self, Depth - 1, 1) end),
    {Bottom, Levels} = receive {bottom, B, L} -> {B, L} end,
    BottomRef = monitor(process, Bottom),
    exit(Top, shutdown),
    ended([{Top, Ref}, {Bottom, BottomRef}]),
    Levels.

level(To, 0, Levels) -> To ! {bottom, self(), Levels}, receive never -> ok end;
level(To, Below, Levels) ->
    spawn_link(fun() -> level(To, Below - 1, Levels + 1) end),
    receive never -> ok end.
