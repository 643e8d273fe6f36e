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

  # That global has taken the name from this process, after the network was divided.
  @impl true
  def handle_info(_message, facts), do: {:noreply, facts}

  # A node that has just booted may not have been told the names of the others: registering now would make two owners
  # for a while. Not waited for without end: registering is right even then.
  defp take_name do
    try do
      :erpc.call(node(), :global, :sync, [], 5000)
    catch
      _, _ -> :ok
    end

    server = self()
    :yes = give_name(server)
    spawn(fn -> keep_name(server, Process.monitor(server)) end)
  end

  # After the network was divided two processes have the name, of which dist_ac stops one. By default global would kill
  # one of the two, perhaps the other one. Here it takes the name from one of them, who has it back when it is free.
  defp give_name(server), do: :global.re_register_name(__MODULE__, server, &:global.random_notify_name/3)

  # Nobody is told that a name is free.
  defp keep_name(server, monitor) do
    receive do
      {:DOWN, ^monitor, :process, _, _} -> :ok
    after
      300 ->
        if :global.whereis_name(__MODULE__) == :undefined, do: give_name(server)
        keep_name(server, monitor)
    end
  end
end
