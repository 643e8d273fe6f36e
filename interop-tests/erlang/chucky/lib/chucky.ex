defmodule Chucky do
  @moduledoc """
  Facts about Chuck Norris as a distributed application: it runs on one node at a time, and whoever asks need not
  know which.
  """
  use Application

  @doc "A fact, from wherever the application runs."
  def fact, do: GenServer.call({:global, Chucky.Server}, :fact)

  @impl true
  def start(type, []) do
    IO.puts("chucky: start #{:io_lib.format("~p", [type])} on #{node()}")
    Supervisor.start_link([Chucky.Server], strategy: :one_for_one, max_restarts: 1, max_seconds: 10)
  end

  @impl true
  def stop(_state), do: IO.puts("chucky: stopped on #{node()}")
end
