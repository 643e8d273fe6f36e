{application, job_center,
 [{description, "Hands out jobs, and takes back those whose worker has died"},
  {vsn, "1.0.0"},
  {modules, [job_center, job_center_sup, job_center_serv]},
  {registered, [job_center_serv]},
  {applications, [kernel, stdlib]},
  {mod, {job_center, []}}]}.
