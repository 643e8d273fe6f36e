defmodule Chucky.Server do
  @moduledoc false
  use GenServer

  @external_resource facts = Path.join(__DIR__, "../../priv/facts.txt")
  @facts facts |> File.read!() |> String.split("\n", trim: true)

  # Started without its name, which in a takeover is still that of the server on the node taken over: that one stops
  # only after this one has started.
  def start_link(arguments), do: GenServer.start_link(__MODULE__, arguments)

  @impl true
  def init(_arguments) do
    take_name()
    {:ok, @facts}
  end

  @impl true
  def handle_call(:fact, _from, facts), do: {:reply, Enum.random(facts), facts}

  # A node that has just booted may not have been told the names of the others: registering now would make two owners,
  # of which global kills one at random. Not waited for without end: registering is right even then.
  defp take_name do
    try do
      :erpc.call(node(), :global, :sync, [], 5000)
    catch
      _, _ -> :ok
    end

    :yes = :global.re_register_name(__MODULE__, self())
  end
end
