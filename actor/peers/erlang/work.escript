#!/usr/bin/env escript
%%! -smp enable
%% The same work in Erlang: n round trips between two processes, and a stream of n messages from one process to another, which counts
%% them. The stream has no bound but the memory, as a mailbox of Erlang has none; so it is sent in parts of 1024, each of which the
%% counter confirms.
%%
%%   escript work.escript
%%
%% An escript is compiled here, not interpreted.
-mode(compile).

main(_) ->
    [run(Name, F, N) || {Name, F, N} <- [{"PingPong", fun ping_pong/1, 1000000}, {"Stream", fun stream/1, 5000000}], _ <- lists:seq(1, 6)].

run(Name, F, N) ->
    F(N div 10),
    {Time, Messages} = timer:tc(fun() -> F(N) end),
    io:format("~s ~.1f ns/msg~n", [Name, Time * 1000 / Messages]).

ping_pong(N) ->
    Self = self(),
    Pong = spawn_link(fun() -> pong() end),
    Ping = spawn_link(fun() -> receive go -> ping(Pong, N) end, Self ! done end),
    Ping ! go,
    receive done -> ok end,
    Pong ! stop,
    2 * N.

ping(_, 0) -> ok;
ping(Pong, N) ->
    Pong ! {ball, N, self()},
    receive {ball, N} -> ping(Pong, N - 1) end.

pong() ->
    receive
        {ball, N, From} -> From ! {ball, N}, pong();
        stop -> ok
    end.

stream(N) ->
    Self = self(),
    Counter = spawn_link(fun() -> count(Self, 0) end),
    send(Counter, N),
    Counter ! {stop, Self},
    receive {counted, N} -> N end.

send(_, 0) -> ok;
send(Counter, N) ->
    Part = min(N, 1024),
    [Counter ! {ball, I} || I <- lists:seq(1, Part)],
    Counter ! confirm,
    receive confirmed -> send(Counter, N - Part) end.

count(To, N) ->
    receive
        {ball, _} -> count(To, N + 1);
        confirm -> To ! confirmed, count(To, N);
        {stop, From} -> From ! {counted, N}
    end.
