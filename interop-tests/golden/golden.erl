%% Golden bytes of the external term format (wire.md 8): writes what this OTP release makes of every kind of term, and
%% what it says about bytes that others made, as lines that interop-tests/tests/golden.rs reads. `cargo xtask golden`
%% runs it in every release.
-module(golden).
-export([main/1]).

main(File) ->
    Lines = [written(Name, Term) || {Name, Term} <- terms()] ++ [read(Name, Bytes) || {Name, Bytes} <- bytes()],
    ok = file:write_file(File, [header(), Lines]).

header() ->
    ["# What OTP ", erlang:system_info(otp_release), " writes and reads, by golden.erl. One case a line, with tabs between:\n"
     "# 1. its name\n"
     "# 2. the options of term_to_binary/2 that gave the bytes, or `read` for bytes that others wrote; options that\n"
     "#    change nothing are left out\n"
     "# 3. the bytes in hex; 61*70 is 61 seventy times\n"
     "# 4. what this release writes after reading them, with minor_version 2 and, from OTP 25 on, deterministic; or\n"
     "#    `refused`\n"
     "# 5. its text as io:format(\"~0tp\") prints it (with k too from OTP 26 on), where it is short and reads back\n"].

%% The release's number.
release() -> list_to_integer(erlang:system_info(otp_release)).

%% ---------------------------------------------------------------------------------------------------------------------
%% Lines

written(Name, Term) ->
    Plain = term_to_binary(Term),
    Others = [{Options, Bytes} || Options <- options(Term),
                                  Bytes <- [term_to_binary(Term, Options)],
                                  Bytes =/= Plain],
    [line(Name, io_lib:format("~0p", [Options]), Bytes) || {Options, Bytes} <- [{[], Plain} | Others]].

options(Term) ->
    [[{minor_version, V}] || V <- [0, 1, 2]]
        ++ [[compressed], [{compressed, 1}], [{compressed, 9}], [{minor_version, 0}, compressed]]
        ++ [[deterministic] || release() >= 25]
        ++ [[local] || release() >= 26, has_own(Term)].

read(Name, Bytes) -> line(Name, "read", Bytes).

line(Name, How, Bytes) ->
    {Again, Text} = try binary_to_term(Bytes) of Term -> {hex(again(Term)), text(Term)} catch error:_ -> {"refused", ""} end,
    unicode:characters_to_binary([Name, $\t, How, $\t, hex(Bytes), $\t, Again, $\t, Text, $\n]).

again(Term) -> term_to_binary(Term, [{minor_version, 2}] ++ [deterministic || release() >= 25]).

text(Term) ->
    Format = case release() >= 26 of true -> "~0tkp"; false -> "~0tp" end,
    case has_text(Term) andalso lists:flatten(io_lib:format(Format, [Term])) of
        Text when is_list(Text), length(Text) < 600 -> Text;
        _ -> ""
    end.

%% Whether the text has all of it, always in one way.
has_text(T) when is_pid(T); is_port(T); is_reference(T) -> false;
has_text(T) when is_function(T) -> erlang:fun_info(T, type) =:= {type, external};
has_text([H | T]) -> has_text(H) andalso has_text(T);
has_text(T) when is_tuple(T) -> has_text(tuple_to_list(T));
has_text(T) when is_map(T) -> (map_size(T) =< 32 orelse release() >= 26) andalso has_text(maps:to_list(T));
has_text(_) -> true.

%% Whether it names this node. An external fun does not, and with `local` OTP 27 and 29 abort on one ("buffer overflow").
has_own(T) when is_pid(T); is_port(T); is_reference(T) -> node(T) =:= node();
has_own([H | T]) -> has_own(H) orelse has_own(T);
has_own(T) when is_tuple(T) -> has_own(tuple_to_list(T));
has_own(T) when is_map(T) -> has_own(maps:to_list(T));
has_own(T) -> is_function(T) andalso erlang:fun_info(T, type) =:= {type, local}.

hex(Bytes) -> lists:join($\s, runs(binary_to_list(Bytes), [])).

%% Bytes that repeat, alone or as a pair, are counted from sixteen times on.
runs([], Plain) -> plain(Plain);
runs([A | _] = All, Plain) ->
    case repeated([A], All, 0) of
        {Count, Rest} when Count >= 16 -> plain(Plain) ++ [run([A], Count) | runs(Rest, [])];
        _ -> runs_of_pairs(All, Plain)
    end.

runs_of_pairs([A, B | _] = All, Plain) ->
    case repeated([A, B], All, 0) of
        {Count, Rest} when Count >= 16 -> plain(Plain) ++ [run([A, B], Count) | runs(Rest, [])];
        _ -> runs(tl(All), [A | Plain])
    end;
runs_of_pairs([A], Plain) -> plain([A | Plain]).

repeated([A], [A | Rest], Count) -> repeated([A], Rest, Count + 1);
repeated([A, B], [A, B | Rest], Count) -> repeated([A, B], Rest, Count + 1);
repeated(_, Rest, Count) -> {Count, Rest}.

plain([]) -> [];
plain(Reversed) -> [digits(lists:reverse(Reversed))].

run(Unit, Count) -> [digits(Unit), $*, integer_to_list(Count)].

digits(Bytes) -> [io_lib:format("~2.16.0b", [Byte]) || Byte <- Bytes].

%% ---------------------------------------------------------------------------------------------------------------------
%% Terms that this release writes

terms() ->
    integers() ++ floats() ++ atoms() ++ lists() ++ tuples() ++ binaries() ++ maps() ++ funs() ++ own() ++ foreign()
        ++ records() ++ mixed().

integers() ->
    [{"integer " ++ integer_to_list(I), I}
     || I <- [0, 1, 255, 256, -1, -256, 16#7fffffff, -16#80000000, 16#80000000, -16#80000001, 16#ffffffff,
              (1 bsl 59) - 1, 1 bsl 59, -(1 bsl 59), -(1 bsl 59) - 1, (1 bsl 63) - 1, -(1 bsl 63), 1 bsl 63,
              -(1 bsl 63) - 1, (1 bsl 64) - 1, 1 bsl 64, -(1 bsl 64), (1 bsl 64) + 1]]
        ++ [{"integer of 255 bytes", (1 bsl 2040) - 1}, {"integer of 256 bytes", 1 bsl 2040},
            {"negative integer of 255 bytes", -((1 bsl 2040) - 1)}, {"negative integer of 256 bytes", -(1 bsl 2040)},
            {"integer of 10000 bytes", (1 bsl 80000) - 1}].

floats() ->
    MinusZero = binary_to_term(<<131, 70, 16#80, 0:56>>),
    [{"float " ++ io_lib:format("~w", [F]), F}
     || F <- [0.0, 1.0, -1.0, 1.5, 0.1, 3.141592653589793, 1.0e22, 1.0e23, 123456789.125, 9007199254740992.0,
              9007199254740993.0, 1.7976931348623157e308, -1.7976931348623157e308, 2.2250738585072014e-308, 5.0e-324,
              1.0e-5, 1.0e-4, 0.001]] ++ [{"float minus zero", MinusZero}].

atoms() ->
    [{"atom a", a}, {"atom empty", ''}, {"atom quoted", 'A b\n\'c\''}, {"atom reserved", 'end'},
     {"atom latin-1", 'grüße'}, {"atom latin-1 letter", 'é'}, {"atom cyrillic", 'жук'}, {"atom outside the BMP", '\x{1F980}'},
     {"atom of 255 ascii", list_to_atom(lists:duplicate(255, $x))},
     {"atom of 127 latin-1", list_to_atom(lists:duplicate(127, 16#e9))},
     {"atom of 128 latin-1", list_to_atom(lists:duplicate(128, 16#e9))},
     {"atom of 255 latin-1", list_to_atom(lists:duplicate(255, 16#e9))},
     {"atom of 255 outside the BMP", list_to_atom(lists:duplicate(255, 16#1F980))}].

lists() ->
    [{"nil", []}, {"string one", [0]}, {"string text", "text"}, {"string with escapes", "\e\"\\\n\t\b\f\v\r\d"},
     {"string latin-1", "grüße"}, {"string of 300", lists:duplicate(300, $x)},
     {"string of 65535", lists:duplicate(65535, $x)}, {"list of 65536 bytes", lists:duplicate(65536, $x)},
     {"list of one", [a]}, {"list of integers", [256, 1, -1]}, {"list of a byte and not", [1, 256]},
     {"list of negatives", [-1, -300]}, {"list unicode", "日本"}, {"list of lists", [[], [[]], [[[]]], "ab"]},
     {"list improper", [a | b]}, {"list improper of bytes", [1, 2, 3 | 4]}, {"list improper binary", [[] | <<"t">>]},
     {"list improper tuple", [a, {b} | {c}]}, {"list of 300", [a | lists:duplicate(300, b)]}].

tuples() ->
    [{"tuple empty", {}}, {"tuple one", {a}}, {"tuple nested", {a, {b, {c, {}}}}},
     {"tuple of 255", list_to_tuple(lists:duplicate(255, []))}, {"tuple of 256", list_to_tuple(lists:duplicate(256, []))},
     {"tuple of 300", list_to_tuple(lists:seq(1, 300))}].

binaries() ->
    [{"binary empty", <<>>}, {"binary zero", <<0>>}, {"binary text", <<"text">>}, {"binary utf8", <<"grüße"/utf8>>},
     {"binary bytes", <<1, 2, 255>>}, {"binary of 22", binary:copy(<<7>>, 22)}, {"binary of 64", binary:copy(<<7>>, 64)},
     {"binary of 65", binary:copy(<<7>>, 65)}, {"binary of 70000", binary:copy(<<7>>, 70000)}]
        ++ [{io_lib:format("bits ~b", [N]), <<(16#a5a5 bsr (16 - N)):N>>} || N <- [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15]]
        ++ [{"bits 8 * 100 + 3", <<(binary:copy(<<170>>, 100))/binary, 5:3>>}].

maps() ->
    [{"map empty", #{}}, {"map one", #{a => 1}}, {"map integer and float", #{1 => int, 1.0 => float}},
     {"map of kinds", #{[] => {}, {} => [], #{} => #{x => #{}}, <<"b">> => 1.5, 7 => "s"}},
     {"map of atoms", #{zebra => 1, apple => 2, mango => 3, 'Ä' => 4}},
     {"map of 32", maps:from_list([{I, -I} || I <- lists:seq(1, 32)])},
     {"map of 33", maps:from_list([{I, -I} || I <- lists:seq(1, 33)])},
     {"map of 40 mixed", maps:from_list([{case I rem 3 of 0 -> I; 1 -> {I}; 2 -> <<I>> end, I} || I <- lists:seq(1, 40)])},
     {"map of numbers", maps:from_list([{K, 0} || I <- lists:seq(-20, 20), K <- [I, float(I), I * (1 bsl 70)]])}].

funs() ->
    X = 7,
    [{"fun export", fun lists:map/2}, {"fun export missing", fun no_such:'Function'/0}, {"fun export of 255", fun erlang:'+'/255},
     {"fun local", fun() -> ok end}, {"fun local with a value", fun(Y) -> X + Y end},
     {"fun local with values", fun(A, B) -> {A, B, X, self_and(X)} end},
     {"fun in fun", begin F = fun() -> X end, fun() -> F() end end}, {"fun by name", fun self_and/1}].

self_and(X) -> {self(), X}.

%% Those of this node, which has no name.
own() ->
    [{"own pid", self()}, {"own init", whereis(init)}, {"own port", hd(erlang:ports())}, {"own reference", make_ref()},
     {"own all", {self(), [make_ref(), hd(erlang:ports())], #{self() => b}}}]
        ++ [{"own alias", erlang:apply(erlang, alias, [])} || release() >= 24].

%% Those of other nodes, as they are made of bytes.
foreign() ->
    [{Name, binary_to_term(<<131, Bytes/binary>>)} || {Name, Bytes} <- foreign_bytes()].

foreign_bytes() ->
    N = node_a(),
    Long = <<118, 255:16, (binary:copy(<<"n">>, 250))/binary, "@host">>,
    [{"foreign pid", <<88, N/binary, 1:32, 2:32, 3:32>>},
     {"foreign pid of 28 bits", <<88, N/binary, 16#7fff:32, 16#1fff:32, 16#ffffffff:32>>},
     {"foreign pid of creation 0", <<88, N/binary, 1:32, 2:32, 0:32>>},
     {"foreign pid of an utf8 node", <<88, 119, 7, "é@ж"/utf8, 0, 1, 1:32, 2:32, 3:32>>},
     {"foreign pid of a long node", <<88, Long/binary, 1:32, 2:32, 3:32>>},
     {"foreign port", <<89, N/binary, 5:32, 3:32>>},
     {"foreign port of 28 bits", <<89, N/binary, 16#fffffff:32, 3:32>>}]
        ++ case release() >= 24 of
               true ->
                   [{"foreign pid at its ends", <<88, N/binary, 16#ffffffff:32, 16#ffffffff:32, 16#ffffffff:32>>},
                    {"foreign port of 64 bits", <<120, N/binary, 16#ffffffffffffffff:64, 3:32>>},
                    {"foreign reference at its ends",
                     <<90, 3:16, N/binary, 16#ffffffff:32, 16#ffffffff:32, 16#ffffffff:32, 16#ffffffff:32>>}];
               false -> []
           end
        ++ [{io_lib:format("foreign reference of ~b", [W]),
             <<90, W:16, N/binary, 3:32, (<< <<(16#10000 + I):32>> || I <- lists:seq(1, W) >>)/binary>>}
            || W <- lists:seq(1, case release() >= 24 of true -> 5; false -> 3 end)].

node_a() -> <<119, 3, "a@b">>.

%% Native records, from OTP 29 on.
records() ->
    case release() >= 29 of
        true ->
            Create = fun(Module, Name, Fields, Exported) ->
                         erlang:apply(records, create, [Module, Name, Fields, #{is_exported => Exported}])
                     end,
            [{"record", Create(geometry, point, [{x, 1}, {y, [2.5]}], true)},
             {"record not exported", Create(m, secret, [{a, b}], false)},
             {"record empty", Create(m, empty, [], true)},
             {"record nested", Create(m, outer, [{inner, Create(m, inner, [{z, 1}, {a, {}}], true)}, {'Ä', []}], true)}];
        false -> []
    end.

mixed() ->
    [{"mixed call", {'$gen_call', {self(), [alias | make_ref()]}, {get, <<"key">>, [{timeout, 5000}]}}},
     {"mixed text", [{I, <<"some text that repeats">>, "and more text that repeats", [I, -I]} || I <- lists:seq(1, 20)]},
     {"mixed deep", lists:foldl(fun(I, Acc) -> {[Acc | I]} end, end_of_it, lists:seq(1, 100))}].

%% ---------------------------------------------------------------------------------------------------------------------
%% Bytes of others: old tags, what is longer than it need be, and what is wrong

bytes() ->
    [{Name, <<131, Bytes/binary>>} || {Name, Bytes} <- old() ++ long() ++ wrong()] ++ whole().

old() ->
    N = node_a(),
    Old = <<100, 3:16, "a@b">>,
    Float = fun(Text) -> <<99, (list_to_binary(Text))/binary, 0:(8 * (31 - length(Text)))>> end,
    [{"FLOAT_EXT 99", Float("1.50000000000000000000e+00")}, {"FLOAT_EXT 99 minus zero", Float("-0.00000000000000000000e+00")},
     {"FLOAT_EXT 99 small", Float("4.94065645841246544177e-324")}, {"FLOAT_EXT 99 large", Float("1.79769313486231570815e+308")},
     {"FLOAT_EXT 99 without exponent", Float("2.5")}, {"FLOAT_EXT 99 integer", Float("2")}, {"FLOAT_EXT 99 no number", Float("what")},
     {"FLOAT_EXT 99 infinite", Float("1.0e+999")}, {"FLOAT_EXT 99 empty", Float("")}, {"FLOAT_EXT 99 space", Float(" 1.0e+00")},
     {"FLOAT_EXT 99 rest", Float("1.0e+00x")}, {"FLOAT_EXT 99 plus", Float("+1.0e+00")}, {"FLOAT_EXT 99 hex", Float("0x1.8p+1")},
     %% None of 31 characters: without a zero at the end OTP may read on behind them.
     {"FLOAT_EXT 99 nan", Float("nan")}, {"FLOAT_EXT 99 of 30", Float("1.5000000000000000000000000000")},
     {"ATOM_EXT 100", <<100, 3:16, "abc">>}, {"ATOM_EXT 100 latin-1", <<100, 1:16, 16#e9>>},
     {"ATOM_EXT 100 empty", <<100, 0:16>>}, {"ATOM_EXT 100 of 255", <<100, 255:16, (binary:copy(<<16#e9>>, 255))/binary>>},
     {"ATOM_EXT 100 of 256", <<100, 256:16, (binary:copy(<<"x">>, 256))/binary>>},
     {"SMALL_ATOM_EXT 115", <<115, 3, "abc">>}, {"SMALL_ATOM_EXT 115 latin-1", <<115, 1, 16#e9>>},
     {"SMALL_ATOM_EXT 115 of 255", <<115, 255, (binary:copy(<<16#e9>>, 255))/binary>>},
     {"PID_EXT 103", <<103, N/binary, 1:32, 2:32, 3>>}, {"PID_EXT 103 old atom", <<103, Old/binary, 1:32, 2:32, 1>>},
     {"PID_EXT 103 creation 4", <<103, N/binary, 1:32, 2:32, 4>>}, {"PID_EXT 103 large id", <<103, N/binary, 16#fffffff:32, 16#ffff:32, 3>>},
     {"PORT_EXT 102", <<102, N/binary, 5:32, 3>>}, {"PORT_EXT 102 creation 4", <<102, N/binary, 5:32, 4>>},
     {"NEW_PORT_EXT 89", <<89, N/binary, 5:32, 300:32>>}, {"NEW_PORT_EXT 89 of 32 bits", <<89, N/binary, 16#ffffffff:32, 300:32>>},
     {"REFERENCE_EXT 101", <<101, N/binary, 5:32, 3>>}, {"REFERENCE_EXT 101 creation 4", <<101, N/binary, 5:32, 4>>},
     {"NEW_REFERENCE_EXT 114", <<114, 3:16, N/binary, 3, 1:32, 2:32, 3:32>>},
     {"NEW_REFERENCE_EXT 114 of 1", <<114, 1:16, N/binary, 3, 1:32>>},
     {"NEW_REFERENCE_EXT 114 creation 4", <<114, 3:16, N/binary, 4, 1:32, 2:32, 3:32>>},
     {"NEW_REFERENCE_EXT 114 word of 18 bits", <<114, 3:16, N/binary, 3, 16#3ffff:32, 2:32, 3:32>>},
     {"FUN_EXT 117", <<117, 0:32, 103, N/binary, 1:32, 2:32, 3, 119, 1, "m", 97, 0, 97, 0>>}].

%% Other spellings of the same.
long() ->
    [{"INTEGER_EXT 98 of 1", <<98, 1:32>>}, {"INTEGER_EXT 98 of 255", <<98, 255:32>>},
     {"SMALL_BIG_EXT 110 of nothing", <<110, 0, 0>>}, {"SMALL_BIG_EXT 110 of 1", <<110, 1, 0, 1>>},
     {"SMALL_BIG_EXT 110 of -1", <<110, 1, 1, 1>>}, {"SMALL_BIG_EXT 110 of minus zero", <<110, 1, 1, 0>>},
     {"SMALL_BIG_EXT 110 with zeros", <<110, 12, 0, 5, 0:88>>}, {"SMALL_BIG_EXT 110 of -2^63", <<110, 8, 1, 0:56, 16#80>>},
     {"SMALL_BIG_EXT 110 of 2^32", <<110, 8, 0, 0:32, 1, 0:24>>},
     {"LARGE_BIG_EXT 111 of nothing", <<111, 0:32, 0>>}, {"LARGE_BIG_EXT 111 of 7", <<111, 1:32, 0, 7>>},
     {"LARGE_BIG_EXT 111 with zeros", <<111, 300:32, 1, 9, 0:(299 * 8)>>},
     {"ATOM_UTF8_EXT 118 short", <<118, 1:16, "a">>}, {"ATOM_UTF8_EXT 118 empty", <<118, 0:16>>},
     {"LARGE_TUPLE_EXT 105 empty", <<105, 0:32>>}, {"LARGE_TUPLE_EXT 105 of 1", <<105, 1:32, 106>>},
     {"STRING_EXT 107 empty", <<107, 0:16>>}, {"LIST_EXT 108 of bytes", <<108, 2:32, 97, 1, 97, 2, 106>>},
     {"LIST_EXT 108 of nothing", <<108, 0:32, 106>>}, {"LIST_EXT 108 of nothing but a tail", <<108, 0:32, 97, 1>>},
     {"LIST_EXT 108 with a string as tail", <<108, 1:32, 97, 1, 107, 2:16, 2, 3>>},
     {"LIST_EXT 108 with a list as tail", <<108, 1:32, 97, 1, 108, 1:32, 119, 1, "a", 106>>},
     {"LIST_EXT 108 with an improper list as tail", <<108, 1:32, 97, 1, 108, 1:32, 97, 2, 97, 3>>},
     {"BIT_BINARY_EXT 77 of 8 bits", <<77, 1:32, 8, 255>>}, {"BIT_BINARY_EXT 77 dirty", <<77, 1:32, 3, 255>>},
     {"BIT_BINARY_EXT 77 of nothing", <<77, 0:32, 0>>},
     {"MAP_EXT 116 out of order", <<116, 3:32, 119, 1, "b", 97, 1, 97, 5, 97, 2, 119, 1, "a", 97, 3>>},
     {"MAP_EXT 116 with zeros of both signs", <<116, 2:32, 70, 0:64, 97, 1, 70, 16#80, 0:56, 97, 2>>},
     {"EXPORT_EXT 113 old atoms", <<113, 100, 1:16, "m", 115, 1, "f", 97, 3>>},
     {"NEWER_REFERENCE_EXT 90 of 2", <<90, 2:16, (node_a())/binary, 3:32, 7:32, 0:32>>}].

wrong() ->
    N = node_a(),
    [{"bits 0 of 1", <<77, 1:32, 0, 255>>}, {"bits 9", <<77, 1:32, 9, 255>>}, {"bits 1 of none", <<77, 0:32, 1>>},
     {"utf8 atom that is not", <<119, 1, 16#e9>>}, {"utf8 atom cut", <<119, 2, $a, 16#c3>>}, {"utf8 atom overlong", <<119, 2, 16#c0, 16#80>>},
     {"utf8 atom surrogate", <<119, 3, 16#ed, 16#a0, 16#80>>}, {"utf8 atom of 256", <<118, 256:16, (binary:copy(<<"x">>, 256))/binary>>},
     {"utf8 atom too high", <<119, 4, 16#f4, 16#90, 16#80, 16#80>>}, {"utf8 atom fffe", <<119, 3, 16#ef, 16#bf, 16#be>>},
     {"infinity", <<70, 16#7ff0:16, 0:48>>}, {"not a number", <<70, 16#7ff8:16, 0:48>>},
     {"two equal keys", <<116, 2:32, 97, 1, 97, 2, 97, 1, 97, 3>>}, {"two equal keys spelled differently", <<116, 2:32, 97, 1, 97, 2, 98, 1:32, 97, 3>>},
     {"reference of 6 words", <<90, 6:16, N/binary, 3:32, 1:192>>}, {"reference of no words", <<90, 0:16, N/binary, 3:32>>},
     {"pid of a number's node", <<88, 97, 1, 1:32, 2:32, 3:32>>}, {"pid of nil's node", <<88, 106, 1:32, 2:32, 3:32>>},
     %% No arity of 256: OTP 27 takes it for a local fun and crashes when that is looked at.
     {"export of a long arity", <<113, 119, 1, "m", 119, 1, "f", 98, 1:32>>},
     {"export of a negative arity", <<113, 119, 1, "m", 119, 1, "f", 98, -1:32>>},
     {"big of sign 2", <<110, 1, 2, 5>>}, {"tuple of 2^32-1", <<105, 16#ffffffff:32>>}, {"list of 2^32-1", <<108, 16#ffffffff:32>>},
     {"map of 2^32-1", <<116, 16#ffffffff:32>>}, {"binary of 2^32-1", <<109, 16#ffffffff:32>>}, {"list without tail", <<108, 1:32, 97, 1>>},
     {"cache reference", <<82, 0>>}, {"header alone", <<68>>}, {"no tag", <<1>>}, {"local of others", <<121, 1, 2, 3, 4, 97, 1>>},
     {"nothing", <<>>}, {"bytes after it", <<97, 1, 0>>}].

%% With what stands before the term.
whole() ->
    Zip = fun(Bytes) -> zlib:compress(Bytes) end,
    Text = <<109, 100:32, (binary:copy(<<"x">>, 100))/binary>>,
    [{"no version", <<97, 1>>}, {"empty", <<>>}, {"version 130", <<130, 97, 1>>}, {"version twice", <<131, 131, 97, 1>>},
     {"compressed", <<131, 80, 105:32, (Zip(Text))/binary>>}, {"compressed says more", <<131, 80, 106:32, (Zip(Text))/binary>>},
     {"compressed says less", <<131, 80, 104:32, (Zip(Text))/binary>>},
     {"compressed with a version", <<131, 80, 106:32, (Zip(<<131, Text/binary>>))/binary>>},
     {"compressed twice", <<131, 80, 105:32, (Zip(<<80, 105:32, (Zip(Text))/binary>>))/binary>>},
     {"compressed with bytes after it", <<131, 80, 105:32, (Zip(Text))/binary, 0>>},
     {"compressed with bytes after the term", <<131, 80, 106:32, (Zip(<<Text/binary, 0>>))/binary>>}].
