{application, proxima,
 [{description, "Keeps what it is told, and takes it along to the node that takes over"},
  {vsn, "1.0.0"},
  {modules, [proxima, proxima_sup, proxima_server]},
  {registered, [proxima]},
  {applications, [kernel, stdlib]},
  {start_phases, [{init, []}, {takeover, []}, {go, []}]},
  {env, [{handover_limit, 5000}]},
  {mod, {proxima, []}}]}.
