%% The programs in Erlang. `main` runs one so many times, and prints nanoseconds a line.
-module(worlds).
-export([main/0]).

main() ->
    [Name, Runs | Arguments] = init:get_plain_arguments(),
    Numbers = [list_to_integer(Text) || Text <- Arguments],
    [io:format("~b~n", [timed(Name, Numbers)]) || _ <- lists:seq(1, list_to_integer(Runs))],
    halt().

%% In a process of its own, as all others; those that it leaves behind are ended when the clock has stopped.
timed(Name, Numbers) ->
    Me = self(),
    Before = erlang:monotonic_time(nanosecond),
    spawn(fun() -> Me ! {done, run(Name, Numbers)} end),
    receive {done, Left} -> Left end,
    Time = erlang:monotonic_time(nanosecond) - Before,
    [exit(Process, kill) || Process <- Left],
    erlang:garbage_collect(),
    Time.

run("spawn-all", [Count]) ->
    All = [spawn(fun() -> receive stop -> ok end end) || _ <- lists:seq(1, Count)],
    erlang:yield(),
    All;
run("ping-pong", [Count]) ->
    Other = spawn(fun echo/0),
    ping(Other, Count),
    [Other];
run("ring", [Size, Hops]) ->
    Next = lists:foldl(fun(_, Next) -> spawn(fun() -> pass(Next) end) end, self(), lists:seq(2, Size)),
    Next ! Hops,
    head(Next),
    [];
run("many-to-one", [Senders, Each]) ->
    Me = self(),
    [spawn(fun() -> source(Me, Each) end) || _ <- lists:seq(1, Senders)],
    sink(Senders * Each),
    [];
run("fan-out", [Workers, Rounds]) ->
    Me = self(),
    All = [spawn(fun() -> worker(Me) end) || _ <- lists:seq(1, Workers)],
    [begin [Worker ! Round || Worker <- All], sink(Workers) end || Round <- lists:seq(1, Rounds)],
    All;
run("skynet", [Size]) ->
    Me = self(),
    spawn(fun() -> sky(Me, 0, Size) end),
    receive Sum -> Sum = Size * (Size - 1) div 2 end,
    [].

echo() -> receive From -> From ! 0, echo() end.

ping(_, 0) -> ok;
ping(Other, Count) -> Other ! self(), receive 0 -> ping(Other, Count - 1) end.

pass(Next) -> receive N -> Next ! N - 1, if N > 0 -> pass(Next); true -> ok end end.

head(Next) -> receive N when N =< 0 -> ok; N -> Next ! N - 1, head(Next) end.

source(_, 0) -> ok;
source(To, Count) -> To ! Count, source(To, Count - 1).

sink(0) -> ok;
sink(Count) -> receive _ -> sink(Count - 1) end.

worker(To) -> receive N -> To ! N, worker(To) end.

sky(Up, First, 1) -> Up ! First;
sky(Up, First, Size) ->
    Part = Size div 10,
    Me = self(),
    [spawn(fun() -> sky(Me, First + I * Part, Part) end) || I <- lists:seq(0, 9)],
    Up ! add(10, 0).

add(0, Sum) -> Sum;
add(Count, Sum) -> receive Part -> add(Count - 1, Sum + Part) end.
