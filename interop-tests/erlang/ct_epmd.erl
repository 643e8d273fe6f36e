%% In the place of erl_epmd, by -epmd_module: knows the one node that CT_EPMD_NODE names, as NAME@HOST:PORT, at
%% 127.0.0.1, and tells nobody of this one.
-module(ct_epmd).
-export([start_link/0, register_node/2, register_node/3, port_please/2, port_please/3, names/1, listen_port_please/2,
         address_please/3]).

-define(VERSION, 6).

start_link() ->
    ignore.

register_node(Name, Port) ->
    register_node(Name, Port, inet).

register_node(_Name, _Port, _Family) ->
    {ok, rand:uniform(1000) + 3}.

listen_port_please(_Name, _Host) ->
    {ok, 0}.

port_please(Name, Host) ->
    port_please(Name, Host, infinity).

port_please(Name, _Host, _Timeout) ->
    case the_node() of
        {Name, Port} -> {port, Port, ?VERSION};
        _ -> noport
    end.

address_please(Name, _Host, _Family) ->
    case the_node() of
        {Name, Port} -> {ok, {127, 0, 0, 1}, Port, ?VERSION};
        _ -> {error, nxdomain}
    end.

names(_Host) ->
    {error, address}.

the_node() ->
    case os:getenv("CT_EPMD_NODE") of
        false ->
            none;
        Node ->
            [Name, HostAndPort] = string:split(Node, "@"),
            [_Host, Port] = string:split(HostAndPort, ":"),
            {Name, list_to_integer(Port)}
    end.
