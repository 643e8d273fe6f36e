{application, chucky,
 [{description, "Tells facts about Chuck Norris, on one node of several"},
  {vsn, "1.0.0"},
  {modules, []},
  {registered, ['Elixir.Chucky.Server']},
  {applications, [kernel, stdlib]},
  {mod, {'Elixir.Chucky', []}}]}.
